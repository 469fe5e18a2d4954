"""Run folders as one tidy frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from datavol.errors import ConfigError
from datavol.records import RunFolder, runs_of

METRICS = ("top1", "top5", "loss", "margin_correct", "margin_incorrect", "calibration_error")


def load_runs(studies: Sequence[Path]) -> pd.DataFrame:
    """One row per run of the given study folders.

    Columns: `folder`, `study`, `model`, `recipe`, `data`, `draw`, `budget`, `seed`, `draw_seed`, `state`, `reason`;
    `fraction` (share), `images` (N), `validation_images`; `budget_epoch` and `epochs`; `top1`, `top5`, `loss`,
    `margin_correct`, `margin_incorrect`, `calibration_error` of the last evaluation (shares; NaN before the first);
    `best_top1`; `minutes` of training and evaluation. Running and failed runs are rows as well.

    Raises:
        ConfigError: If a folder is missing or holds no run.
    """
    folders = [run for study in studies for run in _runs(study)]
    frame = pd.DataFrame([_row(folder) for folder in folders])
    return frame.sort_values(["data", "model", "recipe", "fraction", "seed"], ignore_index=True)


def _runs(study: Path) -> list[RunFolder]:
    runs = runs_of(study)
    if not runs:
        raise ConfigError(
            f"a study must be a folder with runs in it, got {study}; see studies/ for those that are there"
        )
    return runs


def _row(folder: RunFolder) -> dict[str, Any]:
    record = folder.record
    config, subset, last = record["config"], record["subset"], record.get("last", {})
    return {
        "folder": str(folder.path),
        "study": record["study"],
        "model": config["model"]["name"],
        "recipe": config["recipe"]["name"],
        "data": config["data"]["name"],
        "draw": subset["draw"],
        "budget": config["budget"],
        "seed": config["seed"],
        "draw_seed": config["draw_seed"],
        "fraction": subset["fraction"],
        "images": subset["size"],
        "validation_images": int(last.get("val/images", record["validation_images"])),
        "state": record["state"],
        "reason": record["reason"],
        "budget_epoch": int(last.get("budget_epoch", 0)),
        "epochs": config["epochs"],
        **{name: _number(last.get(f"val/{name}")) for name in METRICS},
        "best_top1": _number(record.get("best", {}).get("val/top1")),
        "minutes": sum(record.get("seconds", {}).values()) / 60,
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
