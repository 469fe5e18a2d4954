"""Loads studies as two tidy frames, of runs and of budget epochs.

`Study.runs` has a row for everything that a run left behind, whatever became of it. Its columns are those of
`datavol.runs.columns.COLUMNS`, which says what each means; where sessions differ, each value stands once, joined by
` then `.

Accuracies, margins and the calibration error are shares in [0, 1]; what is not known is NaN, None or NA.

`Study.epochs` has `run`, the index of the run's row in `Study.runs`, and the columns of `metrics.csv` under their own
names (`iteration`, `val/top1`, `seconds/train` ...).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from datavol.errors import ConfigError, flat
from datavol.runs import columns
from datavol.runs.columns import Value
from datavol.runs.folder import RunFolder, folders_in
from datavol.study.load.epochs import check_table, stacked
from datavol.study.load.folds import INCOMPLETE, ORDER, pooled
from datavol.study.load.guessing import with_guesses
from datavol.study.load.measure import TOP1, Measure
from datavol.study.load.run_row import columns_of, run_row

STATES = ("finished", INCOMPLETE, "running", "failed", "copied", "superseded", "unreadable")
UNUSED = (INCOMPLETE, "copied", "superseded", "unreadable")
"""States of runs that nothing may be concluded from."""


@dataclass(frozen=True)
class PointsRead:
    """Describes points of another trainer, which have no runs."""

    name: str
    notes: tuple[str, ...]  # what was taken for what, in sentences


@dataclass(frozen=True, eq=False)
class Study:
    """Holds the records of runs; the module describes the columns."""

    runs: pd.DataFrame  # a row per run, sorted by data, network, recipe, fraction and seed, with the index 0, 1,
    epochs: pd.DataFrame  # a row per budget epoch of every run that is used
    measure: Measure = TOP1  # what `top1` is in words
    points: PointsRead | None = None  # of a study of points (`load.points`), whose rows of `runs` are these

    @property
    def finished(self) -> pd.DataFrame:
        """Select the runs that conclusions rest on; the index stays.

        Raises:
            ConfigError: If there is none.
        """
        finished = finished_of(self.runs)
        if finished.empty:
            counts = self.runs["state"].value_counts()
            got = ", ".join(f"{counts[state]} {state}" for state in STATES if state in counts)
            raise ConfigError(
                f"a study must have a finished run to conclude from, got {got}; wait, or type its command again"
            )
        return finished


def finished_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Select the finished runs, with plain integers."""
    finished = runs[runs["state"] == "finished"]
    # "Int64" of `runs`, which may be NA, becomes "int64": NumPy and the fits take plain integers only
    known = [name for name in columns_of(int) if name in finished and not finished[name].isna().any()]
    return finished.astype(dict.fromkeys(known, "int64"))


def load_study(paths: Path | str | Sequence[Path | str]) -> Study:
    """Load the runs of one study folder or of several.

    Running, failed, half-written, corrupt and superseded runs and copies of others are rows as well, with their state
    and the reason.

    Raises:
        ConfigError: If a folder is missing or holds no run.
    """
    studies = [paths] if isinstance(paths, (Path, str)) else paths
    # By resolved path, so that a study given twice counts once
    folders = {run.path.resolve(): run for study in studies for run in _runs_in(Path(study))}
    runs = runs_frame(_without_copies([_row(folder) for folder in folders.values()]))
    unreadable: dict[int, str] = {}  # filled while `stacked` takes one table after the other
    epochs, no_tables = stacked(_tables(runs, unreadable))
    twice = epochs[epochs.duplicated(["run", "iteration"]) | epochs["iteration"].isna()]
    repeated = {int(run): "metrics.csv must hold each iteration once, got one again" for run in twice["run"]}
    for index, reason in (unreadable | no_tables | repeated).items():
        runs.loc[index, ["state", "reason"]] = ["unreadable", reason]
    epochs = epochs[~epochs["run"].isin(repeated)].reset_index(drop=True)
    if (runs["state"] == "unreadable").all():
        first = runs.iloc[0]
        raise ConfigError(
            f"a study must have a run that can be read, got {len(runs)} unreadable ones in "
            f"{', '.join(map(str, studies))}: {first['run']}: {first['reason']}"
        )
    runs, epochs = pooled(with_evaluations(runs, epochs), epochs)
    return Study(with_guesses(runs), epochs)


def _without_copies(rows: Sequence[dict[str, Value]]) -> list[dict[str, Value]]:
    """Mark rows whose folder holds the same run as an earlier one."""
    first: dict[tuple[Value, bytes], Value] = {}
    counts = Counter(row.get("hash") for row in rows)
    marked = []
    for row in rows:
        marked.append(row)
        if row["state"] in UNUSED or counts[row.get("hash")] == 1:
            continue
        # Two trainings of one configuration differ at least in the seconds that they took
        table = RunFolder(Path(str(row["folder"]))).table
        original = first.setdefault((row["hash"], table), row["folder"])
        if table and original != row["folder"]:
            reason = f"the same run, by hash and measurements, as {original}"
            marked[-1] = row | {"state": "copied", "reason": reason}
    return marked


def runs_frame(rows: Sequence[Mapping[str, Value]]) -> pd.DataFrame:
    """Build the sorted frame of runs from rows."""
    names = [column.name for column in columns.COLUMNS]
    # "Int64" holds NA beside integers; an object column holds reasons even where no run has one
    runs = pd.DataFrame(rows, columns=names).astype(dict.fromkeys(columns_of(int), "Int64") | {"reason": object})
    runs["draw_by"] = runs["draw_by"].astype(object).fillna("items")  # of what cannot be read, too
    return runs.sort_values(ORDER, ignore_index=True)


def with_evaluations(runs: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """Count each run's evaluations; NA where nothing may be used."""
    counts = epochs["run"].value_counts().reindex(runs.index, fill_value=0).astype("Int64")
    return runs.assign(evaluations=counts.mask(runs["state"].isin(UNUSED)))


def _runs_in(study: Path) -> list[RunFolder]:
    if not study.is_dir():
        kind = "a file" if study.exists() else "nothing"
        raise ConfigError(f"a study must be a folder, got {kind} at {study}; see studies/ for those that are there")
    if (study / "run.json").exists():
        raise ConfigError(f"a study must be a folder of run folders, got the run {study}; try {study.parent}")
    try:
        if folders := folders_in(study):
            return folders
        inner = sorted(path for path in study.iterdir() if path.is_dir() and folders_in(path))
    except OSError as error:
        raise ConfigError(
            f"a study must be a folder to read, got {study}: {error.strerror}; check its permissions"
        ) from None
    advice = f"it holds studies: try {inner[0]}" if inner else "see studies/ for those that are there"
    if not inner and (files := sorted(study.glob("*.csv"))):
        advice = f"it holds CSV files, each of which is reported alone: try {files[0]}"
    raise ConfigError(f"a study must be a folder with runs in it, got {study}; {advice}")


def _row(folder: RunFolder) -> dict[str, Value]:
    """Read a run's row from its record alone."""
    home = folder.path.parent.parent if folder.superseded else folder.path.parent
    known: dict[str, Value] = {"run": folder.path.name, "folder": str(folder.path), "study": home.name}
    try:
        row = known | run_row(folder.record)
    except Exception as error:  # whatever a damaged record makes its reader raise
        reason = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {flat(error)}"
        return known | {"state": "unreadable", "reason": reason}
    return row | ({"state": "superseded", "reason": "trained again since"} if folder.superseded else {})


def _tables(runs: pd.DataFrame, unreadable: dict[int, str]) -> Iterator[tuple[int, bytes]]:
    """Read the usable runs' `metrics.csv`; others' reasons go to `unreadable`."""
    used = runs[~runs["state"].isin(UNUSED)]
    for index, path, evaluations in zip(used.index, used["folder"], used["budget_epoch"], strict=True):
        try:
            text = RunFolder(Path(path)).table
            check_table(text, evaluations)
        except (ConfigError, OSError) as error:
            unreadable[index] = str(error)
            continue
        if text:
            yield index, text
