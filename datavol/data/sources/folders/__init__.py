"""Opens data sets with a folder per class."""
