"""From image sources to batches: sources, subsets, sampling, transforms."""
