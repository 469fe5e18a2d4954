"""Draws stratified, seeded subsets as sorted index lists.

Per class, round(n_c x fraction) images are drawn without replacement. `fraction` counts as the decimal that the user
wrote, and halves go to the even number, as Python's `round` does (thesis appendix A.1). The generator is named in
`datavol.runs.randomness`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datavol.cli.text import shown
from datavol.errors import ConfigError
from datavol.runs.randomness import permutation

Indices = NDArray[np.int64]
HALF = Fraction("0.5000001")  # an image's half rounds to none, a little more to one


@dataclass(frozen=True)
class Subset:
    """Holds the images that a (data, fraction, seed, draw) picks."""

    indices: Indices  # (N,), sorted positions in the full training set
    images_per_class: tuple[int, ...]
    full_size: int  # images of the full training set
    fraction: float  # share asked for; of an imported list, its share of the full set
    draw: str  # `independent`, `nested`, `disjoint`, or `listed` for an imported list
    draw_seed: int

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def sha256(self) -> str:
        """Hash the index list as little-endian int64."""
        return hashlib.sha256(self.indices.astype("<i8").tobytes()).hexdigest()

    def manifest(self, source: str, fingerprint: str) -> dict[str, Any]:
        """Describe the subset as `subset.json` does."""
        values = asdict(self)
        del values["indices"]
        return {"source": source, "fingerprint": fingerprint, "size": len(self), **values, "sha256": self.sha256}

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any], indices: Indices) -> Subset:
        """Rebuild a subset from its manifest and index list.

        Raises:
            ConfigError: If the list is not the one that the manifest was written for.
        """
        names = ("full_size", "fraction", "draw", "draw_seed")
        subset = cls(indices, tuple(manifest["images_per_class"]), *(manifest[name] for name in names))
        if subset.sha256 != manifest["sha256"]:
            raise ConfigError(
                f"a subset must be the one of its manifest (sha256 {manifest['sha256'][:12]}), got "
                f"{subset.sha256[:12]}; type the command again"
            )
        return subset


def draw_subset(
    labels: Indices,
    classes: Sequence[str],
    fraction: float,
    draw: str,
    draw_seed: int,
    partition_seed: int = 0,
    shares: Sequence[float] | None = None,
) -> Subset:
    """Draw a stratified subset.

    Args:
        labels: The class of every image of the full training set, shape (N_full,).
        classes: The classes' names.
        fraction: Share of every class, 0 < fraction <= 1.
        draw: `independent`: a permutation per class keyed by (draw_seed, fraction), as in the thesis. `nested`: keyed
            by draw_seed alone, its prefix taken, so that a smaller fraction lies inside a larger one. `disjoint`: one
            permutation per class keyed by `partition_seed`, of which draw_seed d takes the d-th block.
        draw_seed: The seed of the draw.
        partition_seed: Which partition `disjoint` deals out.
        shares: Of each class's images, how many the draw takes on top of `fraction`; None is 1 for all.

    Raises:
        ConfigError: If a class is left without images, or `disjoint` has no d-th block.
    """
    # Exact arithmetic on the decimal as written: 0.7 is 7/10, not the nearest binary number, so that the counts of a
    # class are the same on every machine and round as on paper
    share = Fraction(repr(float(fraction)))
    members = _members(labels, len(classes))
    weights = [Fraction(repr(float(weight))) for weight in shares or [1.0] * len(members)]
    counts = [round(len(images) * share * weight) for images, weight in zip(members, weights, strict=True)]
    _check_no_class_is_empty(members, weights, counts, classes, share)
    pick = _picker(draw, share, draw_seed, partition_seed, members, counts)
    pairs = enumerate(zip(members, counts, strict=True))
    chosen = np.concatenate([images[pick(c, len(images), count)] for c, (images, count) in pairs])
    return Subset(np.sort(chosen), tuple(counts), len(labels), float(fraction), draw, draw_seed)


def class_weights(profile: str, ratio: float, classes: int, seed: int) -> list[float] | None:
    """Weigh the classes of an imbalanced draw, 1 to 1 / ratio.

    `long_tail` falls exponentially over the classes (Cui et al. 2019, arXiv 1901.05555), `step` gives half of them all
    and the others the least (Buda et al. 2018, arXiv 1710.05381). Which classes are rare is drawn by `seed`.

    >>> class_weights("step", 10, 4, 0)
    [0.1, 0.1, 1.0, 1.0]
    """
    if profile == "none":
        return None
    ranks = permutation(classes, "imbalance", seed).tolist()
    if profile == "step":
        return [1.0 if rank < (classes + 1) // 2 else 1 / ratio for rank in ranks]
    return [float(ratio ** (-rank / (classes - 1))) for rank in ranks]


def _members(labels: Indices, classes: int) -> list[Indices]:
    """List each class's positions, ascending."""
    # A stable sort groups the positions by class and leaves them ascending; the sums of the counts cut the groups
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.cumsum(np.bincount(labels, minlength=classes))[:-1])


def _picker(
    draw: str, share: Fraction, draw_seed: int, partition_seed: int, members: list[Indices], counts: list[int]
) -> Callable[[int, int, int], Indices]:
    """Return a function from (class, its n images, count) to members' indices."""
    # A permutation's key decides what is shared. With the fraction in it, draws are independent; without it, a smaller
    # count takes a prefix of what a larger one takes; without the seed as well, seeds can take disjoint blocks of it
    if draw == "independent":
        return lambda c, n, count: permutation(n, "subset independent", draw_seed, share, c)[:count]
    if draw == "nested":
        return lambda c, n, count: permutation(n, "subset nested", draw_seed, c)[:count]
    largest = min(len(images) // count for images, count in zip(members, counts, strict=True)) - 1
    if draw_seed > largest:
        raise ConfigError(
            f"draw_seed must be at most {largest} with draw=disjoint and fraction={float(share):g}, got {draw_seed}; "
            f"try draw_seed={largest} or a smaller fraction"
        )
    return lambda c, n, count: permutation(n, "subset disjoint", partition_seed, c)[draw_seed * count :][:count]


def _check_no_class_is_empty(
    members: list[Indices], weights: Sequence[Fraction], counts: list[int], classes: Sequence[str], share: Fraction
) -> None:
    empty = [c for c, count in enumerate(counts) if count == 0]
    if not empty:
        return
    # An image at least is drawn from half an image on, of the class's n images weighed by the imbalance profile
    worst = min(empty, key=lambda c: len(members[c]) * weights[c])
    images = len(members[worst])
    enough = HALF / (images * weights[worst]) if images else Fraction(1)
    raise ConfigError(
        f"fraction must leave every class at least one image, got {float(share):g}, which leaves none of the {images} "
        f"of class {shown(classes[worst])}"
        + (f" and of {len(empty) - 1} more" if len(empty) > 1 else "")
        + f"; try {_remedy(enough, members, weights)}"
    )


def _remedy(enough: Fraction, members: list[Indices], weights: Sequence[Fraction]) -> str:
    """Name the fraction that is enough or, if none is, the imbalance."""
    if enough <= 1:
        return f"fraction={min(math.ceil(1000 * enough) / 1000, 1):g}"
    # The profiles are powers of their ratio, 1 / min(weights): with a smaller one, ratio^t, weights are w^t. Of the
    # whole set, class c keeps half an image of its n while n w^t > 1/2, so t < log(2 n) / -log(w)
    rare = [(len(all_), float(weight)) for all_, weight in zip(members, weights, strict=True) if weight < 1]
    power = min(math.log(images / float(HALF)) / -math.log(weight) for images, weight in rare)
    ratio = math.floor(10 * (1 / float(min(weights))) ** power) / 10
    return f"fraction=1 imbalance.ratio={max(ratio, 1):g}"
