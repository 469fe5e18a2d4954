"""Talks to Weights & Biases: runs, workspaces and reports."""
