"""Decides, look by look, whether a question is answered and which runs come next."""
