"""Stores what a run leaves behind: folder, records, predictions, provenance."""
