"""Decides, look by look, whether a question is answered."""
