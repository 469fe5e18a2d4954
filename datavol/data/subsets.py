"""Draws stratified, seeded subsets as sorted index lists.

Per class, round(n_c x fraction) images are drawn without replacement. `fraction` counts as the decimal that the user
wrote, and halves go to the even number, as Python's `round` does (thesis appendix A.1). The generator is named in
`datavol.runs.randomness`. Where images belong to groups, whole groups are drawn so, each for its commonest class, or
images spread evenly over all groups.
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
from datavol.data.group_draws import commonest_classes, spread_over_groups
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
    draw_by: str = "items"  # `items`: images are drawn; `groups`: whole groups
    groups: int | None = None  # of its images, where they belong to groups

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def sha256(self) -> str:
        """Hash the index list as little-endian int64."""
        return hashlib.sha256(self.indices.astype("<i8").tobytes()).hexdigest()

    def manifest(self, source: str, fingerprint: str) -> dict[str, Any]:
        """Describe the subset as `subset.json` does."""
        values = {name: value for name, value in asdict(self).items() if name not in ("indices", "draw_by", "groups")}
        manifest = {"source": source, "fingerprint": fingerprint, "size": len(self), **values, "sha256": self.sha256}
        if self.groups is None:
            return manifest
        return manifest | {"draw_by": self.draw_by, "groups": {"drawn": self.groups}}

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any], indices: Indices) -> Subset:
        """Rebuild a subset from its manifest and index list.

        Raises:
            ConfigError: If the list is not the one that the manifest was written for.
        """
        names = ("full_size", "fraction", "draw", "draw_seed")
        subset = cls(
            indices,
            tuple(manifest["images_per_class"]),
            **{name: manifest[name] for name in names},
            draw_by=manifest.get("draw_by", "items"),
            groups=manifest.get("groups", {}).get("drawn"),
        )
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
    groups: Indices | None = None,
    by: str = "items",
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
        groups: The group of every image, shape (N_full,), where images belong together: a patient, a drive, a clip.
        by: What `fraction` counts: `items`, of each class, spread evenly over its groups if there are such; or whole
            `groups`, each as one of its commonest class, with all of its images.

    Raises:
        ConfigError: If a class is left without images, or `disjoint` has no d-th block.
    """
    if by == "groups" and groups is None:
        raise ConfigError("by must be items without groups, got groups; give the group of every image")
    # Exact arithmetic on the decimal as written: 0.7 is 7/10, not the nearest binary number, so that the counts of a
    # class are the same on every machine and round as on paper
    share = Fraction(repr(float(fraction)))
    if by == "groups" and groups is not None:
        return _draw_groups(labels, groups, classes, share, draw, draw_seed, partition_seed, shares)
    members = _members(labels, len(classes))
    weights = [Fraction(repr(float(weight))) for weight in shares or [1.0] * len(members)]
    counts = [round(len(images) * share * weight) for images, weight in zip(members, weights, strict=True)]
    _check_no_class_is_empty(members, weights, counts, classes, share, "image")
    own_groups = None if groups is None else [groups[images] for images in members]
    chosen = _pick(members, counts, draw, share, draw_seed, partition_seed, own_groups)
    drawn = None if groups is None else len(np.unique(groups[chosen]))
    return Subset(chosen, tuple(counts), len(labels), float(fraction), draw, draw_seed, by, drawn)


def _draw_groups(
    labels: Indices,
    groups: Indices,
    classes: Sequence[str],
    share: Fraction,
    draw: str,
    draw_seed: int,
    partition_seed: int,
    shares: Sequence[float] | None,
) -> Subset:
    """Draw whole groups of each commonest class, with all of their images."""
    _, number = np.unique(groups, return_inverse=True)  # of each image's group, 0 .. groups - 1
    members = _members(commonest_classes(labels, groups), len(classes))  # of each class the groups of which it is that
    weights = [Fraction(repr(float(weight))) for weight in shares or [1.0] * len(members)]

    def draw_share(share: Fraction) -> tuple[list[int], Indices]:
        counts = [round(len(own) * share * weight) for own, weight in zip(members, weights, strict=True)]
        _check_no_class_is_empty(members, weights, counts, classes, share, "group")
        return counts, _pick(members, counts, draw, share, draw_seed, partition_seed)

    chosen = draw_share(share)[1]
    indices = np.flatnonzero(np.isin(number, chosen))
    images = np.bincount(labels[indices], minlength=len(classes))
    if missing := np.flatnonzero((images == 0) & (np.bincount(labels, minlength=len(classes)) > 0)).tolist():
        pairs = np.unique(number * len(classes) + labels)  # a group and a class of its images, by one number
        raise _missing_class(missing, pairs, classes, share, lambda other: draw_share(other)[1])
    counts = tuple(images.tolist())
    return Subset(indices, counts, len(labels), float(share), draw, draw_seed, "groups", len(chosen))


def _missing_class(
    missing: list[int],
    pairs: Indices,
    classes: Sequence[str],
    share: Fraction,
    drawn: Callable[[Fraction], Indices],
) -> ConfigError:
    """Build the error for classes that no drawn group holds.

    They are the commonest of no group, so that none is drawn for them. The remedy is the least fraction in hundredths
    at which they have images, or draws of items.
    """

    def works(other: Fraction) -> bool:
        try:
            found = pairs[np.isin(pairs // len(classes), drawn(other))] % len(classes)
        except ConfigError:  # no such block of a disjoint draw, or another class is left without groups
            return False
        return set(missing) <= set(found.tolist())

    hundredths = (Fraction(percent, 100) for percent in range(int(100 * share) + 1, 101))
    enough = next((other for other in hundredths if works(other)), None)
    remedy = "draw_by=items" if enough is None else f"fraction={float(enough):g}"
    return ConfigError(
        f"fraction must leave every class at least one image, got {float(share):g}, whose groups hold none of class "
        f"{shown(classes[missing[0]])}" + _others(missing) + f"; try {remedy}"
    )


def _others(classes: Sequence[int]) -> str:
    return f" and of {len(classes) - 1} more" if len(classes) > 1 else ""


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


def _pick(
    members: list[Indices],
    counts: list[int],
    draw: str,
    share: Fraction,
    draw_seed: int,
    partition_seed: int,
    groups: list[Indices] | None = None,
) -> Indices:
    """Draw `counts` of each class's members, sorted.

    They are spread evenly over their groups, if these are given.
    """
    # A permutation's key decides what is shared. With the fraction in it, draws are independent; without it, a smaller
    # count takes a prefix of what a larger one takes; without the seed as well, seeds can take disjoint blocks of it
    keys = {"independent": (draw_seed, share), "nested": (draw_seed,), "disjoint": (partition_seed,)}
    block = draw_seed if draw == "disjoint" else 0
    if draw == "disjoint":
        _check_block(members, counts, share, draw_seed)
    chosen = []
    for c, (own, count) in enumerate(zip(members, counts, strict=True)):
        key = (f"subset {draw}", *keys[draw], c)
        order = permutation(len(own), *key) if groups is None else spread_over_groups(groups[c], *key)
        chosen.append(own[order[block * count :][:count]])
    return np.sort(np.concatenate(chosen))


def _check_block(members: list[Indices], counts: list[int], share: Fraction, draw_seed: int) -> None:
    """Raise a ConfigError unless every class has a block of number `draw_seed`."""
    largest = min(len(own) // count for own, count in zip(members, counts, strict=True) if count) - 1
    if draw_seed > largest:
        raise ConfigError(
            f"draw_seed must be at most {largest} with draw=disjoint and fraction={float(share):g}, got {draw_seed}; "
            f"try draw_seed={largest} or a smaller fraction"
        )


def _check_no_class_is_empty(
    members: list[Indices],
    weights: Sequence[Fraction],
    counts: list[int],
    classes: Sequence[str],
    share: Fraction,
    unit: str,
) -> None:
    # A class may be the commonest of no group: then images of it come with other groups
    empty = [c for c, count in enumerate(counts) if count == 0 and (len(members[c]) or unit == "image")]
    if not empty:
        return
    # One at least is drawn from half of one on, of the class's n images (or groups) weighed by the imbalance profile
    worst = min(empty, key=lambda c: len(members[c]) * weights[c])
    images = len(members[worst])
    enough = HALF / (images * weights[worst]) if images else Fraction(1)
    raise ConfigError(
        f"fraction must leave every class at least one {unit}, got {float(share):g}, which leaves none of the {images} "
        f"{'groups ' * (unit == 'group')}of class {shown(classes[worst])}{_others(empty)}; "
        f"try {_remedy(enough, members, weights)}"
    )


def _remedy(enough: Fraction, members: list[Indices], weights: Sequence[Fraction]) -> str:
    """Name the fraction that is enough or, if none is, the imbalance."""
    if enough <= 1:
        return f"fraction={min(math.ceil(1000 * enough) / 1000, 1):g}"
    # The profiles are powers of their ratio, 1 / min(weights): with a smaller one, ratio^t, weights are w^t. Of the
    # whole set, class c keeps half an image of its n while n w^t > 1/2, so t < log(2 n) / -log(w)
    own = zip(members, weights, strict=True)
    rare = [(len(all_), float(weight)) for all_, weight in own if weight < 1 and len(all_)]
    power = min(math.log(images / float(HALF)) / -math.log(weight) for images, weight in rare)
    ratio = math.floor(10 * (1 / float(min(weights))) ** power) / 10
    return f"fraction=1 imbalance.ratio={max(ratio, 1):g}"
