"""Loads a W&B project as the frames that `load_study` returns.

What is not sent to W&B is missing: `folder`, `fingerprint`, `subset_sha256`, `threads`, `commit`, `code_changed`,
`versions`, `machine`, `processor`, `ended`. `precision` and `memory_format` are as asked for. So an audit cannot look
at subsets and code; load the study's folder where that is at hand.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from datavol.config.logger import REPORT
from datavol.data.budget import plan_budget
from datavol.errors import ConfigError, flat
from datavol.runs.columns import WHOLE_EPOCH_COLUMNS, Value
from datavol.runs.folder import Row, best_of
from datavol.study.load.epochs import together
from datavol.study.load.folds import pooled
from datavol.study.load.guessing import GUESSES, with_guesses
from datavol.study.load.run_row import partial_row
from datavol.study.load.study import Study, runs_frame, with_evaluations
from datavol.tracking.keys import WANDB_ALONE, named_as_today, record_from_wandb
from datavol.tracking.session import logged_in_api

STATES = {"finished": "finished", "running": "running", "pending": "running", "preempting": "running"}
"""W&B's states as datavol's; any other, such as `crashed` or `killed`, is a failure."""


def load_wandb(project: str, api: Any = None) -> Study:
    """Load the runs of a W&B project.

    Args:
        project: `project`, or `entity/project`.
        api: A `wandb.Api`; by default a new one.

    Raises:
        ConfigError: If you are not logged in, or W&B does not give the project, or it holds no run.
    """
    import wandb

    try:
        api = api or logged_in_api()
        loaded = [_loaded(run) for run in api.runs(project, lazy=False) if run.job_type != REPORT]
    except ConfigError:
        raise
    except (wandb.Error, ValueError) as error:
        got = f"{project}: {flat(error)}"
        raise ConfigError(f"project must be a W&B project that you can read, got {got}; try entity/project") from None
    loaded = list(_once(loaded))
    if not loaded:
        raise ConfigError(f"project must be a W&B project with runs in it, got {project}; check its name")
    # `runs_frame` sorts: until they are counted, `evaluations` holds each run's index before that, to find its table
    runs = runs_frame([{**row, "evaluations": i} for i, (row, _) in enumerate(loaded)])
    tables = [loaded[i][1].assign(run=index) for index, i in enumerate(runs["evaluations"])]
    epochs = together([table[["run", *table.columns.drop("run")]] for table in tables])
    runs, epochs = pooled(with_evaluations(runs, epochs), epochs)
    return Study(with_guesses(runs), epochs)


def _once(loaded: list[tuple[dict[str, Value], pd.DataFrame]]) -> Iterator[tuple[dict[str, Value], pd.DataFrame]]:
    """Mark runs that were logged again."""
    known: set[tuple[Value, str]] = set()
    for row, epochs in loaded:
        run = (row.get("hash"), epochs.to_csv())  # two trainings differ at least in the seconds that they took
        if len(epochs) and run in known:
            reason = "the same run, by hash and measurements, as another there"
            yield {**row, "state": "copied", "reason": reason}, pd.DataFrame()
        else:
            known.add(run)
            yield row, epochs


def _loaded(run: Any) -> tuple[dict[str, Value], pd.DataFrame]:
    """Read a run's row and budget epochs; none of an unreadable one."""
    known: dict[str, Value] = {"run": run.name, "study": run.group}
    try:
        rows = _rows(run)
        return partial_row(_record(run, rows)) | {"run": run.name}, pd.DataFrame(rows)
    except (KeyError, TypeError, AttributeError) as error:
        reason = f"W&B must hold a run that datavol logged, got one without {error}"
    except ConfigError as error:
        reason = str(error)
    return known | {"state": "unreadable", "reason": reason}, pd.DataFrame()


def _rows(run: Any) -> list[Row]:
    """Read the evaluations' rows of the history, without what W&B alone has."""
    # Other rows are of the loss in between, or not datavol's. W&B spells NaN and infinities as text: `float` reads it
    known = [{name: value for name, value in row.items() if value is not None} for row in run.scan_history()]
    evaluations = [row for row in known if "budget_epoch" in row]
    rows = [
        {name: float(value) for name, value in row.items() if name[0] != "_" and name not in WANDB_ALONE}
        for row in evaluations
    ]
    for row in rows:
        row |= {name: int(row[name]) for name in WHOLE_EPOCH_COLUMNS}
    if len(rows) < (sent := _evaluations_sent(run)):
        raise ConfigError(f"W&B must hold the {sent} evaluations of the run's summary, got {len(rows)}")
    return rows


def _evaluations_sent(run: Any) -> int:
    return int(run.summary.get("budget_epoch", run.summary.get("last/budget_epoch", 0)))  # older runs: the second


def _record(run: Any, rows: list[Row]) -> dict[str, Any]:
    """Rebuild as much of the run's record as W&B holds."""
    config = named_as_today({"hash": run.id.partition("-")[0], **run.config})  # older runs have it in their id alone
    record = record_from_wandb(config)
    last, best = (rows[-1], best_of(rows)) if rows else ({}, {})
    if config["subset_file"] is not None and record["schema_version"] < 2:  # sent as asked for: a list is no draw
        share = config["size"] / config["full_size"]
        record["subset"] |= {"fraction": share, "draw": "listed", "draw_seed": 0}
    batch = config["recipe"]["batch_size"]
    iterations = plan_budget(config["budget"], config["epochs"], batch, config["full_size"], config["size"]).iterations
    return record | {
        "state": STATES.get(run.state, "failed"),
        "reason": None if run.state in STATES else f"W&B says {run.state}",
        "parent": config["start_from"],
        "budget": {"iterations": iterations},
        "sessions": [{"started": run.created_at}],
        "last": last,
        "best": best,
        "guess": {
            name: float(value) for name in GUESSES.values() if (value := run.summary.get(f"guess/{name}")) is not None
        },
        "seconds": {split: sum(row[f"seconds/{split}"] for row in rows) for split in ("train", "val")},
    }
