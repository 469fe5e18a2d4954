"""Writes a study's report: page, figures and tables."""
