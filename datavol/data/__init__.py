"""Turns image sources into batches: sources, subsets, sampling, transforms."""
