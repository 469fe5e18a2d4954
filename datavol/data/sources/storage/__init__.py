"""Reads the bytes of a data set's files, wherever these lie."""
