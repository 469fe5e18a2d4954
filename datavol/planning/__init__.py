"""Predicts what a sweep would do, take and cost, before it trains."""
