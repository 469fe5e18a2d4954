"""Words what an audit counts, for the data themselves and for studies of them."""

from typing import Literal

from datavol.cli.text import per_cent

Severity = Literal["major", "minor", "note"]
MAJOR = 0.001
"""Share of the validation images from which on those that are also in train are a major finding: a tenth of a point."""


def leak_in_words(leaked: int, identical: int, images: int) -> str:
    """Write how many validation images train has, and what it means."""
    alike = leaked - identical
    kinds = [f"{identical:,} with the same bytes or pixels"] if identical else []
    kinds += [f"{alike:,} alike, resized, saved anew, brightened or mirrored"] if alike else []
    share = leaked / images
    return (
        f"{leaked:,} of {images:,} validation images are also in train ({', '.join(kinds)}): accuracy may be too good "
        f"by up to {per_cent(share, 2).replace(' %', '')} points"
    )


def severity_of_leak(leaked: int, images: int) -> Severity:
    """Judge how much images in both splits may add to accuracy."""
    return "major" if leaked >= MAJOR * images else "minor"
