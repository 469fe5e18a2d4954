"""Builds the optimiser and the schedule of a recipe."""
