"""Makes studies as the two frames of `load_study`, without folders."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from datavol.study.load.study import Study, runs_frame, with_evaluations

FULL_SIZE = 1_281_167
PER_EPOCH = 5005
METRICS = ("top1", "top5", "loss", "margin_correct", "margin_incorrect", "calibration_error")


def made_up_study(
    models: Sequence[str] = ("mobilenet_v2",),
    fractions: Sequence[float] = (0.05, 0.125, 0.25, 0.5, 0.75, 1.0),
    seeds: Sequence[int] = (0,),
    *,
    epochs: int = 30,
    states: Sequence[str] = ("finished",),
    noise: float = 0.006,
) -> Study:
    """Make a study of an ImageNet of 1,000 classes.

    Args:
        states: States of the runs, taken in turn; an unfinished run is half way, and every second of those has done
            nothing yet.
    """
    rng = np.random.default_rng(0)
    rows, tables = [], []
    for i, (model, fraction, seed) in enumerate(product(models, fractions, seeds)):
        state = states[i % len(states)]
        done = epochs if state == "finished" else epochs // 2 * (i % 2)
        table = _table(models.index(model), fraction, epochs, rng, noise).head(done)
        tables.append(table)
        rows.append(_run(model, fraction, seed, epochs, state, table) | {"folder": f"{i:06d}", "evaluations": i})
    runs = runs_frame(rows)
    # `runs_frame` sorts, so each run carries the number of its table in `evaluations` until it is known
    placed = [tables[number].assign(run=index) for index, number in enumerate(runs["evaluations"])]
    stacked = pd.concat([table for table in placed if len(table)], ignore_index=True)
    return Study(with_evaluations(runs, stacked), stacked)


def _table(kind: int, fraction: float, epochs: int, rng: np.random.Generator, noise: float) -> pd.DataFrame:
    epoch = np.arange(1, epochs + 1)
    # a fast rise and a slow one, towards an end that follows a power law of the fraction
    progress = 1 - 0.9 * np.exp(-epoch / (0.12 * epochs)) - 0.1 * np.exp(-epoch / (0.5 * epochs))
    end = 0.84 - 0.02 * kind - 0.08 * fraction ** (-0.45 + 0.05 * kind)
    shake = rng.normal(0, noise) + rng.normal(0, noise / 2, epochs)
    val = progress * end + shake
    train = progress * (end + 0.12 * (0.3 - fraction)) + rng.normal(0, noise / 3, epochs)
    counts = {"budget_epoch": epoch, "iteration": epoch * PER_EPOCH, "images_seen": epoch * PER_EPOCH * 256}
    table = pd.DataFrame(counts).assign(lr=0.1)
    for split, top1 in {"train": train, "val": val}.items():
        measured = {
            "top1": top1,
            "top5": 1 - (1 - top1) ** 2,
            "loss": 5 - 4 * top1,
            "margin_correct": 0.5 + 0.4 * top1 + (0.1 * (1 - fraction) if split == "train" else 0),
            "margin_incorrect": 0.25 + 0.2 * top1 + shake,
            "calibration_error": 0.02 + 0.08 * (1 - fraction) * progress,
        }
        table = table.assign(**{f"{split}/{name}": values for name, values in measured.items()})
    return table.assign(**{"seconds/train": 1000.0 + rng.normal(0, 5), "seconds/val": 60.0})


def _run(model: str, fraction: float, seed: int, epochs: int, state: str, table: pd.DataFrame) -> dict[str, object]:
    run = {
        **{"run": f"{model}-{100 * fraction:g}pct-seed{seed}", "study": "made_up", "state": state, "model": model},
        **{"recipe": "thesis", "data": "imagenet", "fingerprint": "f", "full_size": FULL_SIZE, "classes": 1000},
        **{"guess_top1": 0.001, "guess_top5": 0.005},
        **{"validation_images": 50_000, "draw": "independent", "fraction": fraction, "budget": "iterations"},
        **{"images": round(FULL_SIZE * fraction), "subset_sha256": f"{fraction}-{seed}", "epochs": epochs},
        **dict.fromkeys(("seed", "draw_seed", "init_seed", "order_seed"), seed),
        **{"iterations": epochs * PER_EPOCH, "batch_size": 256, "budget_epoch": len(table)},
        **{f"seconds_{split}": table[f"seconds/{split}"].sum() for split in ("train", "val")},
        "iteration": len(table) * PER_EPOCH,
    }
    if len(table):
        best = table.loc[table["val/top1"].idxmax()]
        run |= {name: table[f"val/{name}"].iloc[-1] for name in METRICS}
        run |= {f"best_{name}": best[f"val/{name}"] for name in METRICS}
    return run
