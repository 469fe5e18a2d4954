"""Loads run folders and W&B projects as data frames."""
