"""Reads tables of labels as people write them."""
