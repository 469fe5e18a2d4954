"""Finds and lists image files in folders."""
