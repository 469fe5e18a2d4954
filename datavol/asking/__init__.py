"""Trains what a question needs and no more, look by look."""
