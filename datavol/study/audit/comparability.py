"""Audits a study for differences that make its points not comparable.

Points are compared along a curve: finished runs of the same data, network, recipe and budget. A study varies these four
on purpose. Everything else but fraction and seeds should be equal along a curve.
"""

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from datavol.runs import columns
from datavol.runs.columns import AGAIN, Audit
from datavol.runs.integrity import flattened
from datavol.study.audit.data import audit_data, audit_duplicates
from datavol.study.audit.findings import SEVERITIES, Finding, Severity, list_fractions, run_names
from datavol.study.audit.pixels import audit_pixels
from datavol.study.audit.subsets import audit_subsets
from datavol.study.load.kept import damaged
from datavol.study.load.study import Study, finished_of

AUDIT_KEYS = ["data", "model", "recipe", "budget", "draw_by"]
NOISE = 1.96  # standard errors of a difference of accuracies that count as noise: 95 % of differences by chance


def audit(study: Study) -> list[Finding]:
    """Collect findings about a study's comparability, the gravest first."""
    finished = finished_of(study.runs)
    findings = [*_curves(finished), *audit_data(finished), *audit_duplicates(finished), *audit_subsets(finished)]
    findings += [*_schedules(finished), *_best(finished), *audit_pixels(finished), *_mixed(finished)]
    findings += [*_damaged(finished), *_left_out(study.runs)]
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def _curves(finished: pd.DataFrame) -> Iterator[Finding]:
    for (data, model, recipe, budget, _), curve in finished.groupby(AUDIT_KEYS):
        for column in columns.COLUMNS:
            by_design = column.name == "iterations" and budget == "epochs"  # as many as passes over the subset take
            if not column.audit or by_design:
                continue
            known = curve if column.audit.unknown else curve[curve[column.name].notna()]
            if known[column.name].nunique(dropna=False) > 1:
                yield _difference(column.name, column.audit, known, f"{model} by {recipe} on {data}")


def _difference(column: str, rule: Audit, curve: pd.DataFrame, whose: str) -> Finding:
    values = curve[column].astype(object).where(curve[column].notna(), "none")
    odd = curve[values != values.value_counts(sort=True).index[0]]  # the runs without the commonest value
    what = f"{rule.words} differ along the curve of {whose}: {_list_values(values, curve['fraction'])}"
    if rule.axis and _crossed(values, curve["fraction"]):
        what += "; as every fraction has each, perhaps on purpose"
        remedy = "look at one at a time, or give each a recipe.name"
        return Finding("note", column, what, run_names(odd), remedy)
    return Finding(rule.severity, column, what, run_names(odd), rule.remedy)


def _crossed(values: pd.Series, fractions: pd.Series) -> bool:
    """Return whether every fraction has the same values, so none confounds it."""
    return len({frozenset(group) for _, group in values.groupby(fractions)}) == 1


def _list_values(values: pd.Series, fractions: pd.Series) -> str:
    # A run that was resumed under other versions has those of each session, joined by `then`
    parts = [part for text in values.unique() for part in str(text).split(" then ")]
    if all(part.startswith("{") for part in parts):
        return _json_differences(parts)
    groups = [(value, list_fractions(group.tolist())) for value, group in fractions.groupby(values)]
    return "; ".join(f"{_short(value)} at {fractions}" for value, fractions in groups)


def _short(value: Any) -> str:
    """Cut a commit to 12 digits, JSON to a line."""
    length = 60 if str(value).startswith("{") else 12
    return " then ".join(part[:length] for part in str(value).split(" then "))


def _json_differences(texts: list[str]) -> str:
    """List the keys in which JSON objects differ, with their values."""
    flat = [flattened(json.loads(text)) for text in texts]
    keys = sorted({key for one in flat for key in one})
    # The distinct values of every key in order of appearance, `null` where an object lacks it.
    distinct = [(key, dict.fromkeys(json.dumps(one.get(key)) for one in flat)) for key in keys]
    return "; ".join(f"{key} {', '.join(values)}" for key, values in distinct if len(values) > 1)


def _schedules(finished: pd.DataFrame) -> Iterator[Finding]:
    """Find accuracies measured before their schedule had ended."""
    early = finished[(finished["evaluations"] < finished["epochs"]) | (finished["iteration"] < finished["iterations"])]
    if len(early):
        what = "the accuracy was read before the schedule had ended: fewer budget epochs or iterations than asked for"
        yield Finding("major", "schedule", what, run_names(early), AGAIN)


def _best(finished: pd.DataFrame) -> Iterator[Finding]:
    """Find runs whose best evaluation is above the last beyond noise."""
    best, last = finished["best_top1"], finished["top1"]
    # The standard error of a difference of two binomial shares of n images: sqrt((p (1 - p) + q (1 - q)) / n).
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
        remedy = "train on more fractions and seeds"
        yield Finding("note", "one_run", "one run only: no curve", run_names(finished), remedy)
    data_sets = sorted(finished["data"].unique())
    if len(data_sets) > 1:
        what = f"runs of {len(data_sets)} data sets are mixed: {', '.join(data_sets)}"
        remedy = "compare within each only, or report study by study"
        yield Finding("note", "data_sets", what, run_names(finished), remedy)
    repeated = finished[finished.duplicated(["hash"], keep=False)]  # the hash is that of the scientific configuration
    if len(repeated):
        what = f"{repeated['hash'].nunique()} configurations were trained more than once, and every run counts"
        yield Finding("minor", "repeated", what, run_names(repeated), "leave all but one of each out, or vary seed=...")
    fresh = finished[finished["weights"].astype(str).str.contains('"fresh": ["', regex=False, na=False)]
    if len(fresh):
        what = "the last layer began anew, as the file of model.weights has none for these classes"
        yield Finding("note", "weights", what, run_names(fresh), "nothing, if that is what fine-tuning is to do")
    changed = finished[finished["code_changed"].eq(True)]
    if len(changed):
        what = "the code had changes that no commit holds"
        yield Finding("note", "code_changed", what, run_names(changed), "commit before training what will be published")


def _damaged(finished: pd.DataFrame) -> Iterator[Finding]:
    """List finished runs of which a file is damaged."""
    found = pd.DataFrame(damaged(finished), columns=["run", "what", "reason"])
    for kind, those in found.groupby("what"):
        what = f"the {kind} of {len(those)} finished runs cannot be read, and what rests on them goes without those"
        remedy = f"bring the file back, or train again: {those['reason'].iloc[0]}"
        yield Finding("minor", f"damaged_{kind}", what, tuple(those["run"]), remedy)


def _left_out(runs: pd.DataFrame) -> Iterator[Finding]:
    """List unused runs by state."""
    rules: tuple[tuple[str, Severity, str], ...] = (
        ("unreadable", "minor", "see the reasons below"),
        ("incomplete", "minor", "train the other folds, with data.fold=0,1,2 and so on"),
        ("failed", "note", "see the reasons below; the same command tries again"),
        ("running", "note", "wait, or type the command again if nothing trains them"),
        ("copied", "note", "each run counts once; report the folders that hold all of them alone"),
        ("superseded", "note", "they were trained again"),
    )
    for state, severity, remedy in rules:
        unused = runs[runs["state"] == state]
        if len(unused):
            place = unused["folder"].astype(object).fillna(unused["run"]).iloc[0]  # W&B has no folders
            first = f": {place} is {unused['reason'].iloc[0]}" if state == "copied" else ""
            yield Finding(severity, state, f"{len(unused)} {state} left out{first}", run_names(unused), remedy)
