"""Builds networks, and finds and fits their weights."""
