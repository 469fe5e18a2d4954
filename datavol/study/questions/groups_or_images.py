"""Compares what twice the groups would buy with what twice the images of each would.

A study that draws whole groups (`draw_by=groups`) and images of all groups (`draw_by=items`) measures two learning
curves, which meet at the full set. From there on one goes on to more groups, the other to more images of the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from datavol.cli.text import chance, points, span
from datavol.study.curves.learning_curve import REACH
from datavol.study.load.labels import DRAWN
from datavol.study.load.measure import TOP1, Measure
from datavol.study.questions.curve_runs import CURVE_COLUMNS, SEEDS, CurveRuns
from datavol.study.questions.gates import Gate, Refused
from datavol.study.questions.remedies import train_command
from datavol.study.questions.saturation import full_curve

OTHERS = [name for name in CURVE_COLUMNS if name != "draw_by"]


@dataclass(frozen=True)
class GroupsOrImages:
    """Stores what twice the groups buy, and twice the images of each.

    Attributes:
        n: Images of twice the full set.
        groups: Groups of the full training set.
        gain_groups: Rise of the average run's accuracy by twice the groups, a share.
        groups_low, groups_high: Its interval.
        gain_images: Rise by twice the images of each group.
        images_low, images_high: Its interval.
        probability: Probability that twice the groups buys more.
        more, more_low, more_high: By how much more, and its interval.
        level: Of the intervals, and from which probability on one way is named.
        measure: What accuracies are in words.
    """

    n: int
    groups: int
    gain_groups: float
    groups_low: float
    groups_high: float
    gain_images: float
    images_low: float
    images_high: float
    probability: float
    more: float
    more_low: float
    more_high: float
    level: float
    measure: Measure = TOP1

    @property
    def better(self) -> str | None:
        """Name the way that buys more, `groups` or `images`.

        None if that can't be told yet.
        """
        if max(self.probability, 1 - self.probability) < self.level:
            return None
        return "groups" if self.probability > 0.5 else "images"

    def __str__(self) -> str:
        bought = self.measure.bought(points(self.gain_groups, self.groups_high - self.groups_low))
        images = points(self.gain_images, self.images_high - self.images_low)
        gains = (
            f"twice the groups ({2 * self.groups:,}) would "
            f"{bought} ({span(self.groups_low, self.groups_high, self.level)}), twice the images of each {images} "
            f"({span(self.images_low, self.images_high, self.level)})"
        )
        if self.better is None:
            return f"cannot be told apart yet: {gains}; more groups are the better buy {_chance(self.probability)}"
        sure = self.probability if self.better == "groups" else 1 - self.probability
        return f"more {'groups' if self.better == 'groups' else 'images of each group'} {_chance(sure)}: {gains}"

    @property
    def reason(self) -> str:
        """Describe the method."""
        more = points(self.more, self.more_high - self.more_low)
        interval = span(self.more_low, self.more_high, self.level)
        return (
            f"each forecast by its own learning curve, to {self.n:,} images; twice the groups buys {more} ({interval}) "
            "more than twice the images, with the two curves taken for unrelated, which makes intervals rather too wide"
        )

    @property
    def numbers(self) -> dict[str, float | None]:
        """Return the numbers of the sentence, named as in the class.

        Accuracies are shares.
        """
        names = ("n", "groups", "gain_groups", "groups_low", "groups_high", "gain_images", "images_low", "images_high")
        return {name: getattr(self, name) for name in (*names, "probability", "more", "more_low", "more_high")}


def counterpart(curve: CurveRuns, curves: Sequence[CurveRuns]) -> CurveRuns | None:
    """Find the curve that differs only in what its fractions count.

    None if there is none.
    """
    own = curve.runs[CURVE_COLUMNS].iloc[0]
    for other in curves:
        theirs = other.runs[CURVE_COLUMNS].iloc[0] if len(other.runs) else own
        if theirs["draw_by"] != own["draw_by"] and (theirs[OTHERS] == own[OTHERS]).all():
            return other
    return None


def groups_or_images(curve: CurveRuns, other: CurveRuns | None, level: float = 0.95) -> GroupsOrImages:
    """Compare buying twice the groups with twice the images of each.

    Args:
        curve: Of runs on data with groups.
        other: The curve of the same training on subsets drawn the other way.
        level: Of intervals, and from which probability on one way is named.

    Raises:
        InsufficientData: If subsets were drawn in one way only, a curve cannot be fitted, or twice the full set is
            beyond four times its largest subset.
    """
    way = str(curve.runs["draw_by"].iloc[0])
    if other is None:
        missing = "items" if way == "groups" else "groups"
        command = train_command(curve.runs, draw_by=[missing])
        why = f"{DRAWN[way]} were drawn, and never {DRAWN[missing]}"
        raise Refused(Gate("one_way", why, f"train with draw_by={missing} as well", True, command))
    by_groups, by_items = (curve, other) if way == "groups" else (other, curve)
    # Equally likely gains (draws,), by seeds of their own: as of two unrelated curves
    gains = [
        _gain(_with_full_set(by_groups, by_items), level, seed=0),
        _gain(_with_full_set(by_items, by_groups), level, seed=1),
    ]
    edges = [0.5, (1 - level) / 2, (1 + level) / 2]
    more = gains[0] - gains[1]
    of_groups, of_images, apart = (np.quantile(drawn, edges).tolist() for drawn in (*gains, more))
    return GroupsOrImages(
        n=2 * curve.full_size,
        groups=max(int(one.runs["drawn_groups"].max()) for one in (by_groups, by_items)),
        **dict(zip(("gain_groups", "groups_low", "groups_high"), of_groups, strict=True)),
        **dict(zip(("gain_images", "images_low", "images_high"), of_images, strict=True)),
        probability=float((more > 0).mean()),
        **dict(zip(("more", "more_low", "more_high"), apart, strict=True)),
        level=level,
        measure=curve.measure,
    )


def _with_full_set(curve: CurveRuns, other: CurveRuns) -> CurveRuns:
    """Add the other curve's runs on the full set.

    That set is the same whatever is drawn.
    """
    whole = other.runs[other.runs["fraction"] == 1]
    own = curve.runs.loc[curve.runs["fraction"] == 1, SEEDS].apply(tuple, axis=1)
    new = whole[~whole[SEEDS].apply(tuple, axis=1).isin(own)]  # the same run in both ways counts once
    return replace(curve, runs=pd.concat([curve.runs, new])) if len(new) else curve


def _gain(curve: CurveRuns, level: float, seed: int) -> np.ndarray:
    """Draw equally likely gains by twice the full set (draws,)."""
    fitted = full_curve(curve, level)
    full = float(curve.full_size)
    if 2 * full > fitted.limit * (1 + 1e-9) and curve.fraction_of(fitted.largest) < 0.5:
        why = (
            f"twice the full set ({2 * curve.full_size:,} images) is {2 * full / fitted.largest:.3g} times the largest "
            f"subset of {curve.name}, and nothing validates forecasts beyond {REACH:g} times"
        )
        command = train_command(curve.runs, fraction=[0.5])
        raise Refused(Gate("full_set", why, "train on half of the data or more, fraction=0.5", True, command))
    # Gains are taken draw by draw, so that what is unknown of the whole level, as of the test images, cancels
    now, later = fitted.average_errors([full, min(2 * full, fitted.limit)], seed=seed).T
    return np.asarray(now - later)


def _chance(probability: float) -> str:
    return f"(probability {chance(probability)})"
