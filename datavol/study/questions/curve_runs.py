"""Splits the runs of a study into learning curves."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import pandas as pd

from datavol.errors import ConfigError, InsufficientData
from datavol.study.audit.findings import list_fractions
from datavol.study.curves.checks import RisingErrors
from datavol.study.curves.learning_curve import FURTHER, LearningCurve, fit_learning_curve
from datavol.study.load.guessing import with_guesses
from datavol.study.load.labels import DRAWN, with_mean_images
from datavol.study.load.measure import TOP1, Measure
from datavol.study.load.study import STATES, Study, finished_of
from datavol.study.questions.common_mistakes import GroupedImages, grouped_images, shared_noise

Metric = Literal["top1", "top5"]
Column = Literal["error", "best_error"]
RANKS: dict[str, int] = {"top1": 1, "top5": 5}  # how many of the likeliest classes may be the true one

SEEDS = ["draw_seed", "init_seed", "order_seed"]
CURVE_COLUMNS = ["data", "model", "recipe", "budget", "draw", "draw_by", "folds"]
"""Columns that the runs of a learning curve have in common; fractions and seeds vary along it."""


@dataclass(frozen=True, eq=False)
class CurveRuns:
    """Stores the finished runs of one learning curve.

    Attributes:
        name: The curve's name in a sentence.
        metric: `top1` or `top5`.
        runs: The finished runs: the columns of `Study.runs`, `error` (of the last evaluation) and `best_error` (of
            the best one), shares.
        left_out: Number of runs that are not used, by state.
        measure: What accuracies are in words.
        points: Whether they are points of another trainer, of which there is no more than `n`, value and seed.
        further: Curves of other networks on the same data, by the same recipe, that go further.
    """

    name: str
    metric: Metric
    runs: pd.DataFrame
    left_out: Mapping[str, int]
    measure: Measure = TOP1
    points: bool = False
    further: tuple["CurveRuns", ...] = ()

    @property
    def full_size(self) -> int:
        """Return the number of images in the full training set."""
        return int(self.runs["full_size"].iloc[0])

    @property
    def test_images(self) -> int | None:
        """Return the least number of validation images, None if unknown."""
        sizes = self.runs["validation_images"].dropna()
        return int(sizes.min()) if len(sizes) else None

    @property
    def test_size(self) -> float | None:
        """Return as how many independent images the validation images count.

        None if unknown.
        """
        images = self.test_images
        return images if images is None or self.grouped is None else min(images, self.grouped.effective)

    @cached_property
    def grouped(self) -> GroupedImages | None:
        """Return what groups make of the number of validation images.

        None without groups.
        """
        return grouped_images(self.runs, RANKS[self.metric])

    @cached_property
    def shared_noise(self) -> float | None:
        """Return the share of test-set noise that all runs have in common.

        None if unknown.
        """
        return shared_noise(self.runs, RANKS[self.metric])

    @cached_property
    def chance_error(self) -> float:
        """Return the error of always guessing the commonest class.

        For top-5 it is that of guessing the five commonest ones, as the columns `guess_top1` and `guess_top5` have it.
        Where damaged images make runs differ, that of the most validation images counts.

        Raises:
            InsufficientData: If the runs were trained on different versions of the data, the number of classes is not
                known, or guessing is always right.
        """
        for column in ("full_size", "fingerprint", "classes"):
            if self.runs[column].nunique() > 1:
                raise InsufficientData(
                    f"cannot say: these runs were trained on different versions of the data ({column}); bring one "
                    "version back, and train those runs again"
                )
        counted = self.runs["validation_images"].fillna(0).astype(int)
        most = self.runs.iloc[int(counted.argmax())]
        guess, classes = most[f"guess_{self.metric}"], most["classes"]
        if pd.isna(guess) and (pd.isna(classes) or classes > RANKS[self.metric]):
            raise InsufficientData("cannot say: nothing tells how many classes there are; load the study's folder")
        if pd.isna(guess) or 1 - guess < 1e-9:
            raise InsufficientData(
                f"cannot say: with {classes:.0f} classes every {self.metric} guess is right; ask of top1"
            )
        return 1 - float(guess)

    @property
    def largest(self) -> float:
        """Return the images of the largest subset."""
        return float(self.runs["images"].max())

    @cached_property
    def fitted(self) -> LearningCurve | None:
        """Return the fitted curve, for others to lean on.

        None where there is none, which its own answers tell.
        """
        try:
            return self.fit(level=0.95)
        except (InsufficientData, ConfigError):
            return None

    @property
    def provenance(self) -> str:
        """Describe how many runs were used, and how many left out."""
        if self.points:
            count, sizes = len(self.runs), self.runs["images"].nunique()
            return f"from {count} point{'s' * (count > 1)} at {sizes} size{'s' * (sizes > 1)}"
        used = f"from {len(self.runs)} finished runs at {self.runs['fraction'].nunique()} fractions"
        used += f"; {self.grouped}" if self.grouped else ""
        if not self.left_out:
            return used
        return f"{used}; left out: " + ", ".join(f"{count} {state}" for state, count in self.left_out.items())

    @property
    def help(self) -> str:
        """Name the other networks whose curves help to forecast this one.

        Empty where none does.
        """
        names = [f"{curve.runs['model'].iloc[0]} (up to {curve.largest:,.0f} images)" for curve in self.further]
        curves = f"curve{'s' * (len(names) > 1)}"
        return f"with the {curves} of {', '.join(names)}, as far as they are alike" if names else ""

    def fit(self, level: float, column: Column = "error") -> LearningCurve:
        """Fit the learning curve.

        Raises:
            InsufficientData: If there are fewer than three fractions, all is at chance, or a run lacks the metric.
        """
        if self.runs[column].isna().any():
            raise InsufficientData(f"cannot say: not every run recorded {self.metric}; ask of top1")
        fractions = sorted(self.runs["fraction"].unique())
        if len(fractions) < 3 or self.runs["images"].nunique() < 3:
            count = f"{len(fractions)} ({list_fractions(fractions)})" if fractions else "none"
            raise InsufficientData(
                f"cannot say: a curve takes three measured fractions, there are {count}; train on more"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RisingErrors)  # these are errors; a gate says so of a study
            return fit_learning_curve(
                self.runs["images"].to_numpy(float),
                self.runs[column].to_numpy(float),
                chance_error=self.chance_error,
                test_size=self.test_size,
                shared=self.shared_noise,
                seed=[*self.runs[SEEDS].itertuples(index=False, name=None)],
                level=level,
                others=[curve.fitted for curve in self.further if curve.fitted],
            )

    def fraction_of(self, n: float) -> float:
        """Return the fraction that `n` images are."""
        # As the command line had it where a run has n images: rounding to whole images moves n / full_size
        known = dict(zip(self.runs["images"], self.runs["fraction"], strict=True))
        return float(known[n]) if n in known else n / self.full_size


def curves_of_study(study: Study, metric: Metric = "top1") -> list[CurveRuns]:
    """Split a study into its learning curves, sorted by `CURVE_COLUMNS`.

    Only finished runs are used; the others are counted, those whose record cannot be read in every curve.

    Raises:
        ConfigError: If the metric is unknown.
    """
    if metric not in RANKS:
        raise ConfigError(f"metric must be one of {', '.join(RANKS)}, got {metric!r}")
    all_runs = with_guesses(study.runs)  # a study that was not loaded may lack them, and how its subsets were drawn
    all_runs = all_runs.assign(draw_by=all_runs["draw_by"].astype(object).fillna("items"))
    all_runs = all_runs.assign(folds=all_runs["folds"].fillna(0) if "folds" in all_runs else 0)  # 0: val is one set
    unreadable = all_runs[CURVE_COLUMNS].isna().any(axis=1)
    known, lost = all_runs[~unreadable], all_runs[unreadable]
    # Only what varies is part of the names
    varied = [name for name in ("budget", "draw", "draw_by", "folds") if known[name].nunique() > 1]
    curves = []
    for _, runs in known.groupby(CURVE_COLUMNS):
        run = runs.iloc[0]
        settings = ", ".join(DRAWN[run[name]] if name == "draw_by" else f"{name} {run[name]}" for name in varied)
        name = f"{run['model']} by {run['recipe']} on {run['data']}" + (f" ({settings})" if settings else "")
        finished = with_mean_images(finished_of(runs))
        best = metric if study.points else f"best_{metric}"
        errors = finished.assign(error=1 - finished[metric], best_error=1 - finished[best])
        counts = pd.concat([runs["state"], lost["state"]]).value_counts()
        left_out = {state: int(counts[state]) for state in STATES[1:] if state in counts}  # all but finished
        if study.points:
            name = run["model"]
        curves.append(CurveRuns(name, metric, errors, left_out, study.measure, study.points is not None))
    return [replace(curve, further=_further(curve, curves)) for curve in curves]


def _further(curve: CurveRuns, curves: Sequence[CurveRuns]) -> tuple[CurveRuns, ...]:
    """Find other networks' curves on the same data that go further."""
    same = [name for name in CURVE_COLUMNS if name != "model"]
    version = ["full_size", "fingerprint", "classes"]

    def helps(other: CurveRuns) -> bool:
        if curve.runs.empty or other.runs.empty or other.largest < FURTHER * curve.largest:
            return False
        told = pd.concat([curve.runs, other.runs])[[*same, *version]]
        return bool((told.nunique() <= 1).all()) and other.fitted is not None

    return tuple(other for other in curves if helps(other))
