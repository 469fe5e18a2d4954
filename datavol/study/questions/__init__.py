"""Answers questions about learning curves."""
