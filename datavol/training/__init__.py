"""Trains one run: network, recipe, metrics, callbacks and the loop around them."""
