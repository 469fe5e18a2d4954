"""How many processes load images; without torch, since plans ask for it too."""

from __future__ import annotations

MOST = 8


def loading_workers(cores: int, ranks: int) -> int:
    """What `data.workers=auto` gives each rank of a machine, for images in files: the cores that its ranks leave."""
    return max(1, min(MOST, cores // ranks))
