"""Makes a study of points that another trainer measured, such as those of a CSV file.

    study = study_of_points(read_points(Path("points.csv")), "mAP")
    for answer in answers(study, target=0.6):
        print(answer)

A point is a number of training images `n` and the `value` of a metric; `seed` tells repeats apart, `curve` several
learning curves. Nothing about the metric is guessed: what is not known of it by its name is asked for.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from datavol.cli.text import per_cent, shown
from datavol.errors import ConfigError
from datavol.runs.columns import COLUMNS
from datavol.study.load.measure import Measure
from datavol.study.load.run_row import columns_of
from datavol.study.load.study import PointsRead, Study

Better = Literal["higher", "lower"]
NEEDED, KNOWN_COLUMNS = ("n", "value"), ("n", "value", "seed", "curve")
LONGEST = 60  # letters of a name, for which figures have room
MOST_IMAGES = 2**53  # above it, floats skip whole numbers


@dataclass(frozen=True)
class _Known:
    """Describes a metric that is known by its name."""

    title: str
    better: Better = "higher"
    counted: bool = False  # a share of test images, whose number says how uncertain it is
    guess: float | None = None  # what guessing gives, where the metric says it
    because: str = ""


_METRICS = {
    "accuracy": _Known("accuracy", counted=True),
    "top1": _Known("top-1", counted=True),
    "top5": _Known("top-5", counted=True),
    "error": _Known("error", "lower", counted=True),
    "balanced_accuracy": _Known("balanced accuracy"),
    "f1": _Known("F1"),
    "precision": _Known("precision"),
    "recall": _Known("recall"),
    "iou": _Known("IoU"),
    "miou": _Known("mean IoU"),
    "dice": _Known("Dice"),
    "auroc": _Known("AUROC", guess=0.5, because="what tossing coins gives"),
    "map": _Known("mAP", guess=0.0, because="what finding nothing gives"),
    "map50": _Known("mAP50", guess=0.0, because="what finding nothing gives"),
    "wer": _Known("word error rate", "lower", guess=1.0, because="what writing nothing gives"),
}
_ALIASES = {
    **{"acc": "accuracy", "top_1": "top1", "top_5": "top5", "error_rate": "error", "word_error_rate": "wer"},
    **{"auc": "auroc", "roc_auc": "auroc", "f1_score": "f1", "mean_iou": "miou", "dice_score": "dice"},
    **{"map_50": "map50", "map50_95": "map", "map_50_95": "map"},
}


def read_points(file: Path) -> pd.DataFrame:
    """Read the points of a CSV file as text, indexed by line.

    Raises:
        ConfigError: If it is no such file.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{file} must be text in UTF-8, got other bytes; save it as CSV") from None
    except OSError as error:
        raise ConfigError(f"{file} must be a file to read, got: {error.strerror}; check its path") from None
    try:
        rows = [(reader.line_num, row) for reader in [csv.reader(io.StringIO(text), strict=True)] for row in reader]
    except csv.Error as error:
        raise ConfigError(f"{file} must be a CSV file, got: {error}; save it as CSV with commas") from None
    rows = [(line, [cell.strip() for cell in row]) for line, row in rows if any(map(str.strip, row))]
    if not rows:
        raise ConfigError(f"{file} must hold the columns n and value, got an empty file; write a line per training run")
    (_, head), *body = rows
    _check_head(file, head)
    for line, row in body:
        if len(row) != len(head):
            raise ConfigError(
                f"{file} must hold {len(head)} values in line {line}, as its first line does, got {len(row)}; "
                "decimals are written with a point, as in 0.85"
            )
    return pd.DataFrame([row for _, row in body], columns=head, index=[line for line, _ in body], dtype=object)


def _check_head(file: Path, head: list[str]) -> None:
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if any(sign in name for name in head) and "n" not in head:
            raise ConfigError(
                f"{file} must have commas between its columns and points in its decimals, got {name}; save it so"
            )
    got = ", ".join(map(shown, head))
    if missing := [name for name in NEEDED if name not in head]:
        raise ConfigError(
            f"{file} must have the columns n and value, got {got}; name one {missing[0]} in its first line"
        )
    if len(set(head)) < len(head):
        raise ConfigError(f"{file} must have each column once, got {got}; rename one")
    for name in set(head) - set(KNOWN_COLUMNS):
        if near := difflib.get_close_matches(name.lower(), KNOWN_COLUMNS[2:], cutoff=0.7):
            raise ConfigError(
                f"{file} must have no other columns like seed or curve, got {shown(name)}; name it {near[0]}"
            )


def study_of_points(
    points: pd.DataFrame,
    metric: str,
    *,
    better: Better | None = None,
    guess: float | None = None,
    percent: bool = False,
    test_size: int | None = None,
    full_size: int | None = None,
    name: str = "points",
) -> Study:
    """Build a study of measured points.

    `answers` and all else that takes a study can take it.

    Args:
        points: Columns `n` (training images) and `value`, and where there are such, `seed` and `curve`.
        metric: Its name, such as `accuracy`, `error` or `mAP`.
        better: Which values are better; asked for where the metric is not known by its name.
        guess: The value that guessing gives, on the scale of the values; asked for where the metric does not say.
        percent: Whether values (and `guess`) are per cent; else they are shares in [0, 1].
        test_size: Test images that every value was measured on, for shares of images such as an accuracy.
        full_size: Training images that you have; by default the largest n.
        name: What to call the points.

    Raises:
        ConfigError: If a value is out of place, or something is not known.
    """
    known, measure = _known(metric, better)
    points = points if points.index.is_unique else points.reset_index(drop=True)
    frame, given = _checked(points, measure, percent)
    _check_trust(frame)
    guessed, reason = _guess(known, measure, guess, percent)
    if test_size is not None and not known.counted:
        raise ConfigError(
            f"test_size must be left out unless the value is a share of test images, as accuracy and error are, got it "
            f"with {known.title}; repeats with seeds say how uncertain it is"
        )
    if test_size is not None and not 1 <= test_size < MOST_IMAGES:
        raise ConfigError(f"test_size must be at least 1 image, got {test_size}; leave it out if it is unknown")
    largest = int(frame["n"].max())
    if full_size is not None and not largest <= full_size < MOST_IMAGES:
        raise ConfigError(f"full_size must be at least the largest n, {largest:,}, got {full_size:,}; leave it out")
    notes = [
        *_assumed(measure, percent, f"{measure.written(guessed)}, {reason}", full_size, largest),
        *([f"test images: {test_size:,}, taken to be the same ones for all points"] if test_size else []),
        *([] if known.counted else [f"test images: how far others would move the {measure.title} is not known"]),
        *([f"not read: the columns {', '.join(map(shown, given))}"] if given else []),
        *_against_the_metric(frame, measure),
    ]
    runs = _runs(frame, name, full_size or largest, test_size, guessed)
    return Study(runs, pd.DataFrame(), measure, PointsRead(name, tuple(notes)))


def _known(metric: str, better: Better | None) -> tuple[_Known, Measure]:
    """Look a metric up by its name, or raise a ConfigError."""
    known = _METRICS.get(_key(metric), _Known(shown(metric.strip())))
    if not 0 < len(metric.strip()) <= LONGEST:
        got = f"{len(metric)} letters" if metric.strip() else "nothing"
        raise ConfigError(f"metric must be a name of at most {LONGEST} letters, got {got}; try --metric accuracy")
    if _key(metric) not in _METRICS and better is None:
        names = ", ".join(dict.fromkeys(one.title for one in _METRICS.values()))
        raise ConfigError(
            f"metric must be one of {names}, or come with the better values, got {known.title}; "
            "try --better higher, or --better lower"
        )
    if _key(metric) in _METRICS and better not in (None, known.better):
        raise ConfigError(f"better must be {known.better} for {known.title}, got {better}; leave it out")
    measure = Measure(known.title, known.title, (better or known.better) == "lower", known.counted)
    return known, measure


def _assumed(measure: Measure, percent: bool, guessing: str, full_size: int | None, largest: int) -> list[str]:
    """List how values, guessing and the full set are understood."""
    scale = "per cent" if percent else f"shares, so that 0.5 is {per_cent(0.5)}"
    return [
        f"values: {measure.title}, {'lower' if measure.lower else 'higher'} is better, read as {scale}",
        f"guessing: {guessing}",
        f"the full set: {full_size or largest:,} images, " + ("as given" if full_size else "the largest n"),
    ]


def _key(metric: str) -> str:
    key = re.sub(r"[\s\-@:.]+", "_", metric.strip().lower())
    return _ALIASES.get(key, key)


def _checked(points: pd.DataFrame, measure: Measure, percent: bool) -> tuple[pd.DataFrame, list[str]]:
    """Check the points and convert them to `n`, `accuracy`, `seed` and `curve`.

    Returns these, and the columns left out.

    Raises:
        ConfigError: If a column is missing, a value is out of place, or a run is there twice.
    """
    for name in NEEDED:
        if name not in points:
            raise ConfigError(f"points must have the columns n and value, got {', '.join(map(str, points))}")
    if points.empty:
        raise ConfigError("points must hold a line per training run, got none; write n and value of each")
    n = _numbers(points["n"], "n", "whole numbers of training images above 0")
    for line, size in n.items():
        if not (0 < size < MOST_IMAGES and size == int(size)):
            raise ConfigError(f"n must be whole numbers of training images above 0, got {size:g} in line {line}")
    values = _numbers(points["value"], "value", "numbers")
    _check_scale(values, measure, percent)
    frame = pd.DataFrame({"n": n.astype("int64"), "accuracy": values / 100 if percent else values})
    frame["accuracy"] = 1 - frame["accuracy"] if measure.lower else frame["accuracy"]
    frame["curve"] = _labels(points, "curve") if "curve" in points else ""
    keys = ["curve", "n"]
    if "seed" in points:
        frame["seed_name"] = _labels(points, "seed")
        frame["seed"] = pd.factorize(frame["seed_name"], sort=True)[0]
        what, again = "a seed", frame.duplicated([*keys, "seed"])
        remedy = "leave one out"
    else:
        frame["seed"] = frame.groupby(keys).cumcount()
        what, again = "a value", frame.duplicated([*keys, "accuracy"])
        remedy = "leave one out, or add a column seed if they are two runs"
    if again.any():
        line = again.idxmax()
        raise ConfigError(f"n must have {what} once, got line {line} again ({frame.loc[line, 'n']:,} images); {remedy}")
    return frame, [str(name) for name in points if name not in KNOWN_COLUMNS]


def _numbers(column: pd.Series, name: str, rule: str) -> pd.Series:
    """Convert a column to finite numbers."""
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    for line in column.index[~np.isfinite(numbers)]:
        text = "" if pd.isna(column[line]) else str(column[line]).strip()
        remedy = "leave the line out"
        if re.fullmatch(r"-?[\d.]*,\d+", text):
            remedy = "write decimals with a point, and no commas"
        elif text.endswith("%"):
            remedy = "leave % out, and try --percent"
        got = f"'{shown(text)}'" if text else "nothing"
        raise ConfigError(f"{name} must be {rule}, got {got} in line {line}; {remedy}")
    return numbers


def _labels(points: pd.DataFrame, name: str) -> pd.Series:
    labels = points[name].map(lambda value: "" if pd.isna(value) else shown(str(value).strip()))
    for line in labels.index[labels.str.len() > LONGEST]:
        raise ConfigError(
            f"{name} must be at most {LONGEST} letters long, got {len(labels[line])} in line {line}; shorten it"
        )
    for line in labels.index[labels == ""]:
        raise ConfigError(f"{name} must be given in every line, got nothing in line {line}; fill it in")
    return labels


def _check_scale(values: pd.Series, measure: Measure, percent: bool) -> None:
    """Raise a ConfigError unless all values fit the named scale."""
    low, high, top = float(values.min()), float(values.max()), 100 if percent else 1
    rule = f"value must be {'per cent' if percent else 'a share'} from 0 to {top}"
    if low < 0:
        raise ConfigError(
            f"{rule}, got {low:g} in line {values.idxmin()}; {measure.title} below 0 has no place on a learning curve"
        )
    if high > top:
        remedy = "values in per cent take --percent" if not percent else "divide by what 100 % is"
        if measure.lower:
            remedy = (
                f"{'' if percent else remedy + '; '}forecasts need a largest value, which a loss, or an error rate "
                "that goes above 1, lacks: leave such lines out"
            )
        raise ConfigError(f"{rule}, got {high:g} in line {values.idxmax()}; {remedy}")
    if percent and high <= 1:
        raise ConfigError(f"{rule} with --percent, got none above {high:g}; if they are shares, leave --percent out")


def _check_trust(frame: pd.DataFrame) -> None:
    sizes = frame.groupby("curve")["n"].nunique()
    if sizes.max() < 3:
        named = " and ".join(f"{size:,}" for size in sorted(frame["n"].unique())[:3])
        raise ConfigError(
            f"n must hold at least 3 distinct sizes of a curve, got {sizes.max()} ({named}); train on more subsets"
        )


def _guess(known: _Known, measure: Measure, guess: float | None, percent: bool) -> tuple[float, str]:
    """Return the accuracy of guessing, a share, and where it comes from."""
    top = 100 if percent else 1
    worst = top if measure.lower else 0
    if guess is None and known.guess is None:
        usual = 90 if measure.lower else 10
        raise ConfigError(
            f"guess must be the {measure.title} that always guessing gives, got nothing, and {measure.title} does not "
            f"say; of ten equally common classes it is --guess {usual if percent else usual / 100:g}"
        )
    if guess is None:
        assert known.guess is not None
        return measure.value(known.guess), f"{known.because}; --guess if it is another"
    if not (0 <= guess <= top and math.isfinite(guess)) or guess == top - worst:
        which = f"above 0 and at most {top}" if measure.lower else f"at least 0 and below {top}"
        remedy = f"try --guess {guess / 100:g}" if not percent and 1 < guess < 100 else f"try --guess {worst}"
        raise ConfigError(
            f"guess must be a {'number of per cent' if percent else 'share'} {which}, got {guess:g}; {remedy}"
        )
    return measure.value(guess / top), "as given"


def _against_the_metric(frame: pd.DataFrame, measure: Measure) -> list[str]:
    """Note if more data made every curve worse.

    The metric may be the other way round.
    """
    means = frame.groupby(["curve", "n"])["accuracy"].mean()
    ends = [own.iloc[-1] < own.iloc[0] for _, own in means.groupby("curve")]
    if not all(ends):
        return []
    way = "rises" if measure.lower else "falls"
    other = "higher" if measure.lower else "lower"
    return [f"note: {measure.title} {way} with n; if {other} is better, name another metric"]


def _runs(frame: pd.DataFrame, name: str, full_size: int, test_size: int | None, guess: float) -> pd.DataFrame:
    """Build the frame of runs that a study takes."""
    count, seeds = len(frame), frame["seed"].to_numpy()
    columns = {
        "run": [f"line {line}" for line in frame.index],
        **{"study": name, "state": "finished", "data": name, "recipe": "own", "budget": "iterations"},
        **{"model": frame["curve"].where(frame["curve"] != "", name).to_numpy(), "draw": "independent"},
        "draw_by": "items",
        **{"full_size": full_size, "images": frame["n"].to_numpy(), "fraction": frame["n"].to_numpy() / full_size},
        # Without a column seed nothing tells which repeats of different sizes belong together: each has its own seed
        **dict.fromkeys(("draw_seed", "init_seed", "order_seed"), seeds if "seed_name" in frame else np.arange(count)),
        "seed": seeds,
        **{"validation_images": test_size, "top1": frame["accuracy"].to_numpy(), "guess_top1": guess},
    }
    runs = pd.DataFrame(columns, index=range(count)).reindex(columns=[column.name for column in COLUMNS])
    runs = runs.astype(dict.fromkeys(columns_of(int), "Int64") | {"reason": object, "folder": object})
    return runs.sort_values(["model", "fraction", "seed"], ignore_index=True)
