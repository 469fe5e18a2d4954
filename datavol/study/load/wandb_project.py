"""The runs that datavol logged to a W&B project, as the frames that `load_study` gives.

What is not sent to W&B is missing: `folder`, `fingerprint`, `subset_sha256`, `threads`, `commit`, `code_changed`,
`versions`, `machine`, `ended`. `precision` and `memory_format` are as asked for. So an audit cannot look at subsets and
code; load the study's folder where that is at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from datavol.data.budget import plan_budget
from datavol.errors import ConfigError, flat
from datavol.runs.folder import FIRST_COLUMNS, Row, best_of
from datavol.study.load.epochs import together
from datavol.study.load.run_row import Fact, evaluations, sections, shrunk_to
from datavol.study.load.study import Study, runs_frame, with_evaluations
from datavol.tracking.session import NOT_RUNS, logged_in_api

STATES = {"finished": "finished", "running": "running", "pending": "running", "preempting": "running"}
"""Of W&B's states; any other, such as `crashed` or `killed`, is a failure."""


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
        loaded = [_loaded(run) for run in api.runs(project, lazy=False) if run.job_type != NOT_RUNS]
    except ConfigError:
        raise
    except (wandb.Error, ValueError) as error:
        told = flat(error)
        raise ConfigError(
            f"project must be a W&B project that you can read, got {project}: {told}; try entity/project"
        ) from None
    if not loaded:
        raise ConfigError(f"project must be a W&B project with runs in it, got {project}; check its name")
    # Until they are counted, `evaluations` holds where each run came from, so that its table is found after sorting.
    runs = runs_frame([{**row, "evaluations": place} for place, (row, _) in enumerate(loaded)])
    tables = [loaded[place][1].assign(run=index) for index, place in enumerate(runs["evaluations"])]
    epochs = together([table[["run", *table.columns.drop("run")]] for table in tables])
    return Study(with_evaluations(runs, epochs), epochs)


def _loaded(run: Any) -> tuple[dict[str, Fact], pd.DataFrame]:
    """A run's row and its budget epochs; of one that datavol did not log, or not whole, the reason and none."""
    known: dict[str, Fact] = {"run": run.name, "study": run.group}
    try:
        rows = _rows(run)
        return known | _facts(run, rows), pd.DataFrame(rows)
    except (KeyError, TypeError, AttributeError) as error:
        reason = f"W&B must hold a run that datavol logged, got one without {error}"
    except ConfigError as error:
        reason = str(error)
    return known | {"state": "unreadable", "reason": reason}, pd.DataFrame()


def _rows(run: Any) -> list[Row]:
    """The history without W&B's own columns; it spells numbers that are not finite as text."""
    scan = [row for row in run.scan_history() if "budget_epoch" in row]
    rows = [{name: float(value) for name, value in row.items() if name[0] != "_" and value is not None} for row in scan]
    for row in rows:
        row |= {name: int(row[name]) for name in FIRST_COLUMNS[:3]}
    if len(rows) < (there := run.summary.get("last/budget_epoch", 0)):
        raise ConfigError(f"W&B must hold the {there} evaluations of the run's summary, got {len(rows)}")
    return rows


def _facts(run: Any, rows: list[Row]) -> dict[str, Fact]:
    config = run.config
    last, best = (rows[-1], best_of(rows)) if rows else ({}, {})
    return {
        "hash": run.id.partition("-")[0],
        "state": STATES.get(run.state, "failed"),
        "reason": None if run.state in STATES else f"W&B says {run.state}",
        "data": config["data"],
        **sections(config["model_settings"], config["recipe_settings"]),
        **_subset(config),
        "validation_images": int(last["val/images"]) if last else None,
        "parent": config["start_from"],
        **{name: config[name] for name in ("seed", "init_seed", "order_seed", "budget", "epochs")},
        "iterations": _iterations(config),
        **{name: config["trainer_settings"][name] for name in ("precision", "memory_format")},
        "short_side": shrunk_to(config["data_settings"].get("short_side")),
        **{name: config.get(name) for name in ("classes", "world_size")},
        "started": run.created_at,
        **{f"seconds_{split}": sum(row[f"seconds/{split}"] for row in rows) for split in ("train", "val")},
        **evaluations(last, best),
    }


def _subset(config: Mapping[str, Any]) -> dict[str, Fact]:
    """An imported list is no draw, and its fraction is its share."""
    listed, sizes = config["subset_file"] is not None, (config["size"], config["full_size"])
    return {
        "images": sizes[0],
        "full_size": sizes[1],
        "fraction": sizes[0] / sizes[1] if listed else float(config["fraction"]),
        "draw": "listed" if listed else config["draw"],
        "draw_seed": 0 if listed else config["draw_seed"],
    }


def _iterations(config: Mapping[str, Any]) -> int:
    batch, full, size = config["recipe_settings"]["batch_size"], config["full_size"], config["size"]
    return plan_budget(config["budget"], config["epochs"], batch, full, size).iterations
