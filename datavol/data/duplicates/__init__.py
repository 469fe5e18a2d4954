"""Finds images that a data set holds more than once."""
