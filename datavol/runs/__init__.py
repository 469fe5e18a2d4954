"""What a run leaves behind: its folder, records, predictions and provenance."""
