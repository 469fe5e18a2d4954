"""What must not change when the code does: hashes, index lists, orders, answers and training rows.

`PYTHONPATH=tests python tests/golden/facts.py` writes `golden.json` anew, for a change that is meant and that the
changelog explains.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from factories.run_folders import LABELS

from datavol.config.compose import compose
from datavol.config.section import conf_dir
from datavol.data.prepare import prepare
from datavol.data.sampler import balanced_order, sample_order
from datavol.data.subsets import class_weights, draw_subset
from datavol.runs.folder import RunFolder
from datavol.runs.guessing import GUESSING
from datavol.runs.randomness import permutation, seed_for, uniforms
from datavol.study.audit.comparability import audit
from datavol.study.load.study import load_study
from datavol.study.questions.answers import answers
from datavol.study.report.report_data import report_data
from datavol.training.trainer import train

FILE = Path(__file__).parent / "golden.json"
EXAMPLE = Path(__file__).parents[2] / "examples" / "fashion_mnist"
CLASSES = [str(c) for c in range(10)]

SINGLE = [
    "", "fraction=0.05", "fraction=0.125 seed=1", "seed=3 order_seed=0", "draw=nested", "draw=disjoint draw_seed=1",
    "budget=epochs", "epochs=7", "sampling=balanced", "imbalance.profile=long_tail imbalance.ratio=20",
    "start_from=a.ckpt", "subset_file=list.txt", "model=resnet50", "model.stem=small",
    "model=timm model.name=densenet121", "recipe=plain", "recipe=regularised", "recipe=thesis_resnet50",
    "recipe=thesis_mobilenet_v2", "recipe.optimiser.lr=0.1",
    "recipe.schedule.interval=epoch recipe.schedule.warmup_epochs=1", "trainer=cpu", "trainer=ddp",
    "trainer.precision=32", "trainer.precision=bf16-mixed", "data=fashion_mnist", "data=cifar10", "data=cifar100",
    "data.split_seed=1", "data=image_folder data.root=x", "data=image_folder data.root=x data.val_fraction=0.2",
    "data=imagenet data.root=x", "data=imagenet data.root=x model=resnet50", "data=table data.table=x",
    "data=table data.table=x data.on_damaged=replace", "data=image_folder data.root=x data.short_side=64",
    "data.classes=5", "data.images=500 data.narrow_seed=1", "data=fashion_mnist data.classes=[Bag,Coat]",
    "model.weights=w.pth",
]  # fmt: skip
"""Command lines of single runs whose names are pinned, hash included."""
ADDED_COLUMNS = [
    "own_code",
    "folds",
    "fold",
    "folds_hash",
    "weights",
    "found",
    "listed_images",
    "damaged",
    "content",
    "decoding",
    "pixel_range",
    "weights_sha256",
    "groups",
    "draw_by",
    "drawn_groups",
    "grouped_by",
    "duplicates",
    "processor",
    "guess_top1",
    "guess_top5",
    "trunk",
    "trunk_seconds",
]
"""Columns that came after the golden file."""

TINY = "logger=csv data.image_size=16 data.resize=16 recipe.batch_size=128 epochs=3 fraction=0.25 trainer=cpu "
TINY += "trainer.precision=32 trainer.memory_format=channels_last trainer.threads=1 evaluate_train=true model=timm "
TINY += "model.name=test_efficientnet recipe.dropout=0.2"
RUNS = {
    "plain": "",
    "nested, balanced, another seed": "draw=nested sampling=balanced seed=5",
    "mixed, erased, augmented": "recipe=regularised recipe.optimiser.lr=0.02 recipe.batch_size=96",
}
"""Runs of a few seconds whose rows are pinned, as overrides of `TINY`."""


def names() -> dict[str, str]:
    """The names of runs by their command lines."""
    found = {line: compose(line.split())[0].config.run_name for line in SINGLE}
    for file in sorted((conf_dir() / "experiment").rglob("*.yaml")):
        line = f"experiment={file.relative_to(conf_dir() / 'experiment').with_suffix('').as_posix()}"
        sweep = "sweeper:" in file.read_text()
        runs = compose([line], multirun=sweep)
        found |= {" ".join([line, *run.overrides]): run.config.run_name for run in runs}
    return found


def digest(values: Any) -> str:
    """Sixteen digits of the hash of an array."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


def subsets() -> dict[str, Any]:
    """Index lists of draws, as hashes and images per class."""
    found = {}
    for draw in ("independent", "nested", "disjoint"):
        for fraction in (0.05, 0.125, 0.3):
            for seed in (0, 2):
                for profile in ("none", "long_tail", "step"):
                    shares = class_weights(profile, 3, 10, 1)
                    subset = draw_subset(LABELS, CLASSES, fraction, draw, seed, 0, shares)
                    found[f"{draw} {fraction} {seed} {profile}"] = [digest(subset.indices), *subset.images_per_class]
    for line in ("", "fraction=0.1", "data.images=300", "data.classes=4 fraction=0.5", "data.val_fraction=0.4"):
        manifest = prepare(compose(line.split())[0].config).manifest
        found[f"digits {line}"] = {name: value for name, value in manifest.items() if name not in ADDED_COLUMNS}
    return json.loads(json.dumps(found))


def orders() -> dict[str, Any]:
    """What stands at which place of a run, and the random numbers behind it."""
    subset = np.flatnonzero(LABELS % 3 == 0)
    places = np.array([0, 5, 3, 999])
    return {
        "sample_order": digest(sample_order(subset, 1, 100, 3000)),
        "balanced_order": digest(balanced_order(subset, LABELS[subset], 1, 100, 3000)),
        "permutation": permutation(12, "golden", 7).tolist(),
        "seed_for": seed_for("golden", 7),
        "uniforms": uniforms(places, 5, "golden", 7).tolist(),
    }


@lru_cache
def conclusions() -> dict[str, Any]:
    """Answers, findings and tables of the published study."""
    study = load_study(EXAMPLE)
    said = [
        [answer.curve, answer.question, answer.answer, answer.reason, answer.runs, answer.state, dict(answer.numbers)]
        for answer in answers(study, delta=0.01, target=0.85)
    ]
    contents = report_data(study, delta=0.01, target=0.85)
    runs = study.runs.drop(columns=["folder", *ADDED_COLUMNS])
    return {
        "answers": plain(said),
        "findings": [str(finding) for finding in audit(study)],
        "tables": {table.name: plain(_as_ever(table.table).to_numpy().tolist()) for table in contents.tables},
        "runs": plain(runs.astype(object).to_numpy().tolist()),
    }


def _as_ever(table: Any) -> Any:
    """A table without the rows that came after the golden file: what guessing gives."""
    first = table.iloc[:, 0].astype(str)
    return table[first != GUESSING].reset_index(drop=True).reset_index()


def plain(value: Any) -> Any:
    """Values as JSON has them; what is not known as null."""
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    if isinstance(value, (np.integer, np.bool_)):
        return value.item()
    if isinstance(value, (float, np.floating)):
        return None if math.isnan(value) else float(value)
    return None if str(value) == "<NA>" else str(value)


def rows(which: str) -> list[dict[str, float]]:
    """The rows of a run that is trained here, in the working directory; times left out."""
    torch.set_num_threads(1)
    (run,) = compose([*TINY.split(), *RUNS[which].split(), f"study={len(which)}"])
    train(run, prepare(run.config))
    kept = RunFolder(run.folder).rows
    return [{name: value for name, value in row.items() if "second" not in name} for row in kept]


def everything() -> Iterator[tuple[str, Any]]:
    """All golden facts by their name."""
    yield "names", names()
    yield "subsets", subsets()
    yield "orders", orders()
    yield "conclusions", conclusions()
    yield "rows", {which: rows(which) for which in RUNS}


if __name__ == "__main__":
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        found = dict(everything())
    lines = [
        f" {json.dumps(name)}: {{\n"
        + ",\n".join(f"  {json.dumps(key)}: {json.dumps(one)}" for key, one in part.items())
        + "}"
        for name, part in found.items()
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
