"""Finds what makes the runs of a study not comparable."""
