"""Answers questions about one learning curve."""
