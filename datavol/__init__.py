"""Measures how much training data is enough, and what more would buy."""

__version__ = "0.1.0"
