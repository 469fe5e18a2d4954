"""Writes run folders of known truth as a training does, without training."""

from copy import deepcopy
from functools import lru_cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np

from datavol.config.compose import compose
from datavol.data.budget import plan_budget
from datavol.data.subsets import Subset, draw_subset
from datavol.runs.folder import Row, RunFolder, best_of
from datavol.runs.predictions import KEPT, Predictions

SIZES = (250, 230, 200, 180, 150, 140, 120, 110, 100, 90)
"""Training images of each class: 1,570 in all."""
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), SIZES))
CLASSES = [str(c) for c in range(10)]
GUESS = {"val/top1": 37 / 359, "val/top5": 184 / 359}
"""What guessing gives on the digits' validation images."""

SESSION = {
    **{"started": "2026-01-01T00:00:00+00:00", "budget_epoch": 0, "devices": ["cpu"]},
    "versions": {"datavol": "0.1.0", "python": "3.11.7", "torch": "2.9.0"},
    "code": {"commit": "a" * 40, "changed": False},
    "machine": {"platform": "Linux", "processor": "Xeon (avx2, avx512f)", "cpus": 8},
}


def true_top1(fraction: float) -> float:
    """Last top-1 of a made-up run, a power law of the fraction."""
    return 0.9 - 0.1 * fraction**-0.5


@lru_cache
def composed(*overrides: str) -> dict[str, Any]:
    """Compose a configuration's values, each once: it takes a while."""
    return compose([*overrides])[0].values


def made_up_rows(top1: float, epochs: int, per_epoch: int, batch: int) -> list[Row]:
    """Make budget epochs rising to `top1`, the last but one 0.001 above."""
    rows = []
    for epoch in range(1, epochs + 1):
        accuracy = top1 + (0.001 if epoch == epochs - 1 else 0.0) if epoch >= epochs - 1 else top1 * epoch / epochs
        values = {"top1": accuracy, "top5": 0.9, "loss": 1.0, "margin_correct": 0.8, "margin_incorrect": 0.4}
        values |= {"calibration_error": 0.05, "images": 359.0}
        done = {"budget_epoch": epoch, "iteration": epoch * per_epoch, "images_seen": epoch * per_epoch * batch}
        measured = {f"{split}/{name}": value for split in ("train", "val") for name, value in values.items()}
        rows.append({**done, "lr": 0.1, "seconds/train": 60.0, "seconds/val": 6.0, **measured})
    return rows


def made_up_predictions(top1: float, images: int = 359, classes: int = 10, seed: int = 0) -> Predictions:
    """Make overconfident predictions that are right on a share `top1`."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    skill = np.linspace(0.6, 1.4, classes)[labels]  # some classes are harder; shape (images,)
    logits = rng.normal(size=(images, classes)) + 2 * skill[:, None] * np.eye(classes)[labels]
    # ranks of confidence plus noise: the upper share `top1` is right
    right = np.argsort(np.argsort(logits.max(axis=1) + rng.normal(size=images))) >= (1 - top1) * images
    wanted = np.where(right, labels, (labels + rng.integers(1, classes, images)) % classes)
    logits[np.arange(images), wanted] = logits.max(axis=1) + rng.exponential(np.where(right, 1.5, 0.5))
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    order = np.argsort(-logits, axis=1)[:, :KEPT]
    return Predictions(labels, order, np.take_along_axis(log_probabilities, order, axis=1).astype(np.float32))


def write_run(
    study: Path,
    model: str = "mobilenet_v2",
    fraction: float = 0.25,
    seed: int = 0,
    *,
    state: str = "finished",
    epochs: int = 4,
    done: int | None = None,
    top1: float | None = None,
    draw: str = "independent",
    subset: Subset | None = None,
    overrides: tuple[str, ...] = (),
    predictions: Predictions | None = None,
    planted: dict[str, Any] | None = None,
    name: str | None = None,
) -> RunFolder:
    """Write a run's folder.

    Args:
        done: Budget epochs done; all of them by default.
        top1: Accuracy of the last evaluation; by default the truth.
        subset: Instead of the one that `draw`, `fraction` and `seed` pick.
        overrides: Overrides of the configuration, as on the command line.
        predictions: Predictions to keep of the last evaluation.
        name: Of the folder; by default one of its own.
        planted: Facts of `run.json` to change, such as `{"sessions.0.code.commit": "b"}`.
    """
    config = deepcopy(composed(f"model={model}", *overrides))
    seeds = dict.fromkeys(("seed", "draw_seed", "init_seed", "order_seed"), seed)
    config |= {**seeds, "fraction": fraction, "epochs": epochs, "draw": draw, "study": study.name}
    subset = subset or draw_subset(LABELS, CLASSES, fraction, draw, seed)
    budget = plan_budget(config["budget"], epochs, config["recipe"]["batch_size"], len(LABELS), len(subset))
    name = name or f"{model}-{100 * fraction:g}pct-seed{seed}-{len(list(study.glob('*'))):08x}"
    folder, manifest = RunFolder(study / name), subset.manifest("digits", "f" * 64)
    folder.start(config, [], manifest, subset.indices)
    if predictions is not None:
        folder.write_predictions("last", predictions)
    record = {
        **{"name": name, "hash": name[-8:], "study": study.name, "wandb_id": f"{name[-8:]}-0123abcd"},
        **{"config": config, "classes": CLASSES, "validation_images": 359, "guess": GUESS},
        "subset": {key: value for key, value in manifest.items() if key != "images_per_class"},
        "budget": {"iterations": budget.iterations, "epochs": epochs, "passes": budget.passes},
        **{"parent": None, "world_size": 1, "precision": "32", "memory_format": "channels_last", "threads": 2},
        "short_side": None,
        "sessions": [deepcopy(SESSION)],
        **{"state": state, "reason": "a test" if state == "failed" else None, "ended": None},
    }
    top1 = true_top1(fraction) if top1 is None else top1
    rows = made_up_rows(top1, epochs, budget.iterations_per_epoch, budget.batch_size)[:done]
    if rows:
        folder.write_rows(rows)
        seconds = {split: sum(row[f"seconds/{split}"] for row in rows) for split in ("train", "val")}
        record |= {"last": rows[-1], "best": best_of(rows), "seconds": seconds}
    for path, value in (planted or {}).items():
        plant(record, path, value)
    folder.update(**record)
    return folder


def plant(record: Any, path: str, value: Any) -> None:
    """Change one fact of a nested record."""
    *outer, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    reduce(getitem, outer, record)[last] = value


def nodes(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """List everything in nested values by its dotted path, inner dictionaries too."""
    found = {}
    for name, inner in values.items():
        found[f"{prefix}{name}"] = inner
        if isinstance(inner, dict):
            found |= nodes(inner, f"{prefix}{name}.")
    return found
