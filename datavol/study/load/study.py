"""Study folders as two tidy frames: a row per run, and a row per budget epoch of every run.

`Study.runs` has a row for everything that a run left behind, whatever became of it:

| columns | what |
|---|---|
| `run`, `folder`, `study`, `hash` | the run folder's name and path, its study, the hash of its configuration |
| `state`, `reason` | `finished`, `running`, `failed`, `superseded` or `unreadable`, and why |
| `model`, `model_settings` | the network's name, and the whole section as JSON |
| `recipe`, `recipe_hash`, `recipe_json` | its name; the rest but `epochs` as JSON, and 8 digits of its hash |
| `data`, `fingerprint`, `full_size`, `classes`, `validation_images` | sizes in images, `classes` a count |
| `draw`, `fraction`, `images`, `subset_sha256` | the subset: share of the full set, N, hash of the index list |
| `seed`, `draw_seed`, `init_seed`, `order_seed`, `parent` | the seeds, and the checkpoint that the run went on from |
| `budget`, `epochs`, `iterations`, `batch_size` | what was asked for; `iterations` of the whole run |
| `budget_epoch`, `iteration`, `evaluations` | what was done: the last evaluation's place, rows of `metrics.csv` |
| `precision`, `world_size`, `threads`, `memory_format` | what is fixed at a run's first start |
| `commit`, `code_changed` | of datavol, or its version without git; whether its files differed from it |
| `versions`, `machine` | as JSON, and in words. Where sessions differ, each once, joined by ` then `, as `commit` |
| `started`, `ended`, `seconds_train`, `seconds_val` | times in UTC (ISO 8601), and seconds summed over budget epochs |
| `top1`, `top5`, `loss`, `margin_correct`, `margin_incorrect`, `calibration_error` | the last evaluation's |
| `best_budget_epoch`, `best_top1` ... `best_calibration_error` | those of the first evaluation with the highest top-1 |

Accuracies, margins and the calibration error are shares in [0, 1]; what is not known is NaN, None or NA.

`Study.epochs` has `run`, the index of the run's row in `Study.runs`, and the columns of `metrics.csv` under their own
names (`iteration`, `val/top1`, `seconds/train` ...).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder, folders_in
from datavol.study.load.epochs import check_table, stacked
from datavol.study.load.run_row import COLUMNS, WHOLE, Fact, run_row

ORDER = ["data", "model", "recipe", "fraction", "seed", "folder"]
STATES = ("finished", "running", "failed", "superseded", "unreadable")
UNUSED = ("superseded", "unreadable")
"""States of runs of which nothing may be used."""


@dataclass(frozen=True, eq=False)
class Study:
    """What runs left behind; the columns are described in `datavol.study.load.study`.

    Attributes:
        runs: A row per run, sorted by data, network, recipe, fraction and seed, with the index 0, 1, ...
        epochs: A row per budget epoch of every run that is neither superseded nor unreadable.
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame

    @property
    def finished(self) -> pd.DataFrame:
        """The runs that conclusions rest on, with their index in `runs`.

        Raises:
            ConfigError: If there is none.
        """
        finished = finished_of(self.runs)
        if finished.empty:
            counts = self.runs["state"].value_counts()
            there = ", ".join(f"{counts[state]} {state}" for state in STATES if state in counts)
            raise ConfigError(
                f"a study must have a finished run to conclude from, got {there}; wait, or type its command again"
            )
        return finished


def finished_of(runs: pd.DataFrame) -> pd.DataFrame:
    """The finished runs; their whole numbers, all known, are plain integers."""
    finished = runs[runs["state"] == "finished"]
    known = [name for name in WHOLE if name in finished and not finished[name].isna().any()]
    return finished.astype(dict.fromkeys(known, "int64"))


def load_study(paths: Path | str | Sequence[Path | str]) -> Study:
    """Load the runs of one study folder or of several.

    Running, failed, half-written, corrupt and superseded runs are rows as well, with their state and the reason.

    Raises:
        ConfigError: If a folder is missing or holds no run.
    """
    studies = [paths] if isinstance(paths, (Path, str)) else paths
    folders = {run.path.resolve(): run for study in studies for run in _runs_in(Path(study))}
    runs = runs_frame([_row(folder) for folder in folders.values()])
    unreadable: dict[int, str] = {}
    epochs, no_tables = stacked(_tables(runs, unreadable))
    for index, reason in (unreadable | no_tables).items():
        runs.loc[index, ["state", "reason"]] = ["unreadable", reason]
    return Study(with_evaluations(runs, epochs), epochs)


def runs_frame(rows: Sequence[Mapping[str, Fact]]) -> pd.DataFrame:
    """Rows as the sorted frame of runs."""
    runs = pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(WHOLE, "Int64") | {"reason": object})
    return runs.sort_values(ORDER, ignore_index=True)


def with_evaluations(runs: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """The runs, with how many evaluations each has; NA where nothing may be used."""
    counts = epochs["run"].value_counts().reindex(runs.index, fill_value=0).astype("Int64")
    return runs.assign(evaluations=counts.mask(runs["state"].isin(UNUSED)))


def _runs_in(study: Path) -> list[RunFolder]:
    if not study.is_dir():
        kind = "a file" if study.exists() else "nothing"
        raise ConfigError(f"a study must be a folder, got {kind} at {study}; see studies/ for those that are there")
    if (study / "run.json").exists():
        raise ConfigError(f"a study must be a folder of run folders, got the run {study}; try {study.parent}")
    if folders := folders_in(study):
        return folders
    raise ConfigError(f"a study must be a folder with runs in it, got {study}; see studies/ for those that are there")


def _row(folder: RunFolder) -> dict[str, Fact]:
    """A run's row, by its record alone."""
    home = folder.path.parent.parent if folder.superseded else folder.path.parent
    known: dict[str, Fact] = {"run": folder.path.name, "folder": str(folder.path), "study": home.name}
    try:
        row = known | run_row(folder.record)
    except (ConfigError, OSError) as error:
        return known | {"state": "unreadable", "reason": str(error)}
    return row | ({"state": "superseded", "reason": "trained again since"} if folder.superseded else {})


def _tables(runs: pd.DataFrame, unreadable: dict[int, str]) -> Iterator[tuple[int, bytes]]:
    """The `metrics.csv` of the runs that may be used; `unreadable` takes down the others' reasons."""
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
