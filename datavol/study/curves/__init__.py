"""Fits learning curves and forecasts from them."""
