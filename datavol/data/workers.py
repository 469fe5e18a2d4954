"""Chooses the number of processes that load images, without importing torch."""

MOST = 8


def loading_workers(cores: int, ranks: int) -> int:
    """Choose `data.workers=auto` of each rank, for images in files."""
    return max(1, min(MOST, cores // ranks))  # the ranks of a machine share its cores
