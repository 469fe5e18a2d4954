"""Makes the first screen of a report, and shows it in several forms."""
