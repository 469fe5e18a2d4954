"""Evaluates checkpoints: `python -m datavol.evaluate <run folder, .ckpt or torchvision .pth>`."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

from datavol.cli.boundary import cli_errors, path_of
from datavol.cli.console import console
from datavol.config.command_line.arguments import KeyParser
from datavol.config.compose import compose, override
from datavol.config.run import Config
from datavol.errors import ConfigError
from datavol.runs.files import write_whole
from datavol.runs.folder import RunFolder
from datavol.runs.guessing import GUESSING
from datavol.runs.integrity import check_configuration


@cli_errors
def main() -> None:
    """Evaluate a checkpoint, or all that a run kept."""
    keys = "e.g. data.root=..., trainer.devices=2; with a .pth also model=... data=..."
    groups = ("data", "model", "trainer")
    parser = KeyParser(groups, keys, prog="python -m datavol.evaluate", description=__doc__)
    parser.add_argument(
        "target", type=path_of, help="a run's folder (all its checkpoints), a .ckpt of a run, or a .pth"
    )
    parser.add_argument("--csv", type=path_of, help="write the table to this file as well")
    arguments = parser.parse()
    config, checkpoints, folder = find(arguments.target, arguments.overrides)
    from datavol.training.evaluation import evaluate  # late: torch and Lightning take seconds

    evaluated = evaluate(config, checkpoints, folder.record if folder else {})
    if not evaluated.is_global_zero:  # one of the ranks that Lightning started: the first one prints
        return
    if folder and folder.manifest["fingerprint"] != evaluated.fingerprint:
        print("datavol: note: these are other data than those of the run's manifest", file=sys.stderr)
    elif folder and folder.manifest.get("content", evaluated.content) != evaluated.content:
        print("datavol: warning: files of the data have changed under the same names since the run", file=sys.stderr)
    _print(evaluated.rows, evaluated.listed, evaluated.guess)
    if arguments.csv is not None:
        text = io.StringIO()
        writer = csv.DictWriter(text, evaluated.rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(evaluated.rows)
        write_whole(arguments.csv, text.getvalue().encode())


def find(target: Path, overrides: list[str]) -> tuple[Config, list[Path], RunFolder | None]:
    """Find a target's configuration, checkpoints and run folder.

    Raises:
        ConfigError: If there is nothing to evaluate.
    """
    if target.suffix == ".pth":
        return compose(overrides)[0].config, [target], None
    folder = RunFolder(target if target.suffix != ".ckpt" else target.resolve().parent.parent)  # <run>/checkpoints/
    check_configuration(folder)
    config = override(folder.values, overrides)
    checkpoints = [target] if target.suffix == ".ckpt" else folder.checkpoints
    if not checkpoints:
        raise ConfigError(f"{target} must hold a checkpoint, got none in {target / 'checkpoints'}; train the run first")
    return config, checkpoints, folder


def _print(rows: list[dict[str, Any]], listed: int, guess: dict[str, float]) -> None:
    from rich.table import Table

    counted = int(rows[0]["val/images"])
    images = f"{counted:,}" if counted == listed else f"{counted:,} (the others are damaged) of {listed:,}"
    table = Table(title=f"{images} validation images (shares in [0, 1])")
    names = [name for name in rows[0] if name != "val/images"]
    for name in names:
        table.add_column(name.removeprefix("val/"))
    for row in rows:
        values = (row[name] for name in names)
        table.add_row(*(f"{value:.6f}" if isinstance(value, float) else str(value) for value in values))
    if counted == listed:  # the labels of all of them are known, those of damaged ones alone are not
        table.add_section()
        table.add_row("guessing", *(f"{guess[name]:.6f}" if name in guess else "" for name in names[1:]))
        table.caption = f"guessing: {GUESSING}"
    console().print(table)


if __name__ == "__main__":
    main()
