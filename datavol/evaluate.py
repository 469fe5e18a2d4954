"""Metrics and margins of kept checkpoints: `python -m datavol.evaluate <run folder, .ckpt or torchvision .pth>`."""

from __future__ import annotations

import argparse
import csv
import io
import os
from pathlib import Path
from typing import Any

from datavol.composition import compose, override
from datavol.config import Config
from datavol.errors import ConfigError, one_line
from datavol.records import RunFolder, write_whole


@one_line
def main() -> None:
    """Evaluate one checkpoint, or all that a run kept, on its validation set."""
    parser = argparse.ArgumentParser(prog="python -m datavol.evaluate", description=__doc__)
    parser.add_argument("target", type=Path, help="a run's folder (all its checkpoints), a .ckpt of a run, or a .pth")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="e.g. data.root=..., trainer.devices=2; with a .pth also model=... data=...",
    )
    parser.add_argument("--csv", type=Path, help="write the table to this file as well")
    arguments = parser.parse_args()
    config, checkpoints = find(arguments.target, arguments.overrides)
    from datavol.training.evaluation import evaluate  # late: torch and Lightning take seconds

    rows = evaluate(config, checkpoints)
    if "LOCAL_RANK" in os.environ and os.environ["LOCAL_RANK"] != "0":
        return
    _print(rows)
    if arguments.csv is not None:
        write_whole(arguments.csv, _as_csv(rows))


def find(target: Path, overrides: list[str]) -> tuple[Config, list[Path]]:
    """What a target is evaluated with, and its checkpoints.

    Raises:
        ConfigError: If there is nothing to evaluate.
    """
    if target.suffix == ".pth":
        return compose(overrides)[0].config, [target]
    folder = RunFolder(target if target.suffix != ".ckpt" else target.resolve().parent.parent)
    config = override(folder.values, overrides)
    checkpoints = [target] if target.suffix == ".ckpt" else folder.checkpoints
    if not checkpoints:
        raise ConfigError(f"{target} must hold a checkpoint, got none in {target / 'checkpoints'}; train the run first")
    return config, checkpoints


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{rows[0]['images']:,} validation images (shares in [0, 1])")
    for name in rows[0]:
        if name != "images":
            table.add_column(name.removeprefix("val/"))
    for row in rows:
        table.add_row(*(_shown(value) for name, value in row.items() if name != "images"))
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table)


def _shown(value: Any) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


if __name__ == "__main__":
    main()
