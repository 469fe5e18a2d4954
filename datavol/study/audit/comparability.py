"""What makes points of a study not comparable, found in its records.

Points are compared along a curve: finished runs of the same data, network, recipe and budget. A study varies
these four on purpose. Everything else should be equal along a curve, but for fraction and seeds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from datavol.study.audit.findings import SEVERITIES, Finding, Severity, list_fractions, run_names
from datavol.study.audit.subsets import audit_subsets
from datavol.study.load.study import Study, finished_of

CURVE = ["data", "model", "recipe", "budget"]
NOISE = 1.96
"""Standard errors of the difference of two accuracies that count as noise: 95 % of them."""


@dataclass(frozen=True)
class Setting:
    """A column that should be equal along a curve.

    Attributes:
        column: Of `Study.runs`.
        words: What it is called in a sentence.
        severity: Of a difference.
        remedy: Against it.
        axis: Whether it counts as varied on purpose where every fraction has the same values of it.
    """

    column: str
    words: str
    severity: Severity
    remedy: str
    axis: bool = False


AGAIN = "train those runs again"
SETTINGS = (
    Setting("iterations", "iterations", "major", "train all with the same epochs and recipe.batch_size", axis=True),
    Setting("evaluations", "the numbers of evaluations", "major", "train all with the same epochs", axis=True),
    Setting("recipe_json", "recipes of one name", "major", "train all by one, or give each a recipe.name", axis=True),
    Setting("model_settings", "settings of the network", "major", "train all with the same model.*"),
    Setting("parent", "the checkpoints that runs went on from", "minor", "count no run beside the one it went on from"),
    Setting("fingerprint", "the data (fingerprints)", "major", f"bring one version of the data back, and {AGAIN}"),
    Setting("commit", "the code's commits", "major", f"check one commit out, and {AGAIN}"),
    Setting("precision", "precisions", "major", f"{AGAIN} with one trainer.precision"),
    Setting("short_side", "short sides that images are shrunk to", "major", f"{AGAIN} with one data.short_side"),
    Setting("world_size", "the numbers of ranks", "major", f"{AGAIN} with one trainer.devices"),
    Setting("validation_images", "the numbers of validation images", "minor", "look for damaged images in run.json"),
    Setting("threads", "CPU threads", "minor", "set trainer.threads"),
    Setting("memory_format", "memory formats", "minor", "set trainer.memory_format"),
    Setting("versions", "versions of libraries", "minor", "use one environment for a study"),
)
JSON_COLUMNS = ("recipe_json", "model_settings", "versions")
"""Of which the keys that differ are told."""


def audit(study: Study) -> list[Finding]:
    """Everything to know before the points of a study are compared, the gravest first."""
    finished = finished_of(study.runs)
    found = [*_curves(finished), *audit_subsets(finished), *_schedules(finished), *_best(finished)]
    found += [*_mixed(finished), *_left_out(study.runs)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _curves(finished: pd.DataFrame) -> Iterator[Finding]:
    for (data, model, recipe, budget), curve in finished.groupby(CURVE):
        for setting in SETTINGS:
            by_design = setting.column == "iterations" and budget == "epochs"
            if not by_design and curve[setting.column].nunique(dropna=False) > 1:
                yield _difference(setting, curve, f"{model} by {recipe} on {data}")


def _difference(setting: Setting, curve: pd.DataFrame, whose: str) -> Finding:
    values = curve[setting.column].astype(object).where(curve[setting.column].notna(), "none")
    odd = curve[values != values.value_counts(sort=True).index[0]]
    told = f"{setting.words} differ along the curve of {whose}: {_told(setting, values, curve['fraction'])}"
    if setting.axis and _crossed(values, curve["fraction"]):
        told += "; as every fraction has each, perhaps on purpose"
        return Finding(
            "note", setting.column, told, run_names(odd), "look at one at a time, or give each a recipe.name"
        )
    return Finding(setting.severity, setting.column, told, run_names(odd), setting.remedy)


def _crossed(values: pd.Series, fractions: pd.Series) -> bool:
    """Whether every fraction has the same values, so that they cannot pass for an effect of data volume."""
    return len({frozenset(group) for _, group in values.groupby(fractions)}) == 1


def _told(setting: Setting, values: pd.Series, fractions: pd.Series) -> str:
    if setting.column in JSON_COLUMNS:
        return _json_differences([part for text in values.unique() for part in text.split(" then ")])
    groups = [(value, list_fractions(group.tolist())) for value, group in fractions.groupby(values)]
    return "; ".join(f"{_short(value)} at {fractions}" for value, fractions in groups)


def _short(value: Any) -> str:
    """A commit to 12 digits, anything else to a length that fits a line."""
    length = 60 if str(value).startswith("{") else 12
    return " then ".join(part[:length] for part in str(value).split(" then "))


def _json_differences(texts: list[str]) -> str:
    """The keys in which JSON objects differ, with their values."""
    flat = [_flat(json.loads(text)) for text in texts]
    keys = sorted({key for one in flat for key in one})
    differing = [(key, dict.fromkeys(json.dumps(one.get(key)) for one in flat)) for key in keys]
    return "; ".join(f"{key} {', '.join(values)}" for key, values in differing if len(values) > 1)


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    return {key: v for name, inner in value.items() for key, v in _flat(inner, f"{path}.{name}".lstrip(".")).items()}


def _schedules(finished: pd.DataFrame) -> Iterator[Finding]:
    """Accuracies that were read before their schedule had ended."""
    early = finished[(finished["evaluations"] < finished["epochs"]) | (finished["iteration"] < finished["iterations"])]
    if len(early):
        what = "the accuracy was read before the schedule had ended: fewer budget epochs or iterations than asked for"
        yield Finding("major", "schedule", what, run_names(early), AGAIN)


def _best(finished: pd.DataFrame) -> Iterator[Finding]:
    """Runs of which the best evaluation would give another answer than the last."""
    best, last = finished["best_top1"], finished["top1"]
    noise = NOISE * ((best * (1 - best) + last * (1 - last)) / finished["validation_images"]) ** 0.5
    apart = finished[best - last > noise]
    if len(apart):
        what = (
            f"the best evaluation is up to {100 * (best - last).max():.1f} points of top-1 above the last, beyond noise"
        )
        remedy = "conclude from the last, as the report does: the best was picked on the validation images"
        yield Finding("note", "best", what, run_names(apart), remedy)


def _mixed(finished: pd.DataFrame) -> Iterator[Finding]:
    if len(finished) == 1:
        yield Finding(
            "note", "one_run", "one run only: no curve", run_names(finished), "train on more fractions and seeds"
        )
    if (sets := sorted(finished["data"].unique())) and len(sets) > 1:
        what = f"runs of {len(sets)} data sets are mixed: {', '.join(sets)}"
        yield Finding(
            "note", "data_sets", what, run_names(finished), "compare within each only, or report study by study"
        )
    again = finished[finished.duplicated(["hash"], keep=False)]
    if len(again):
        what = f"{again['hash'].nunique()} configurations were trained more than once, and every run counts"
        yield Finding("minor", "repeated", what, run_names(again), "leave all but one of each out, or vary seed=...")
    changed = finished[finished["code_changed"].eq(True)]
    if len(changed):
        what = "the code had changes that no commit holds"
        yield Finding("note", "code_changed", what, run_names(changed), "commit before training what will be published")


def _left_out(runs: pd.DataFrame) -> Iterator[Finding]:
    """Runs of which nothing is used, by state."""
    rules: tuple[tuple[str, Severity, str], ...] = (
        ("unreadable", "minor", "see the reasons below"),
        ("failed", "note", "see the reasons below; the same command tries again"),
        ("running", "note", "wait, or type the command again if nothing trains them"),
        ("superseded", "note", "they were trained again"),
    )
    for state, severity, remedy in rules:
        some = runs[runs["state"] == state]
        if len(some):
            yield Finding(severity, state, f"{len(some)} {state} left out", run_names(some), remedy)
