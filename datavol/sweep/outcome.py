"""Says what came of runs, and what to type next."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datavol.cli.text import per_cent
from datavol.config.compose import is_of_hydra
from datavol.config.identity import hash_of
from datavol.config.run import Config, Run
from datavol.data.prepare import Prepared
from datavol.runs.folder import RunFolder, runs_of
from datavol.tracking.session import agents_run
from datavol.training.own_images import SEEDS, fractions_for

LISTED = 6  # settings, each in a line of its own
REPEATED = ("fraction", "subset_file", "data.fold", *SEEDS)
"""Keys by which runs of one learning curve differ."""
ENOUGH = 3  # fractions, from which a curve can be drawn


def outcome(runs: Sequence[Run]) -> list[str]:
    """Sum up what finished runs have reached, a line per setting.

    A setting is all that runs share but fractions, seeds and folds. The overrides that set it apart are its label.
    """
    settings: dict[tuple[Path, str], list[tuple[Run, float]]] = {}
    for run in runs:
        top1 = (RunFolder(run.folder).record.get("last") or {}).get("val/top1")
        if top1 is not None:
            settings.setdefault((run.folder.parent, _setting(run.config)), []).append((run, float(top1)))
    measured = list(settings.values())
    shared = set.intersection(*(set(reached[0][0].overrides) for reached in measured)) if measured else set()
    lines = [_reached(reached, shared) for reached in measured[:LISTED]]
    others = len(measured) - LISTED
    return lines + ([f"and {others} more settings, in the report"] if others > 0 else [])


def _setting(config: Config) -> str:
    """Hash all that runs of one curve share."""
    changed: dict[str, Any] = {"fraction": 1.0, "subset_file": None, **dict.fromkeys(SEEDS, 0)}
    if getattr(config.data, "fold", 0):
        changed["data"] = config.data.model_copy(update={"fold": 0})
    return hash_of(config.model_copy(update=changed))


def _reached(reached: Sequence[tuple[Run, float]], shared: set[str]) -> str:
    """Write the mean accuracy at each fraction of one setting."""
    first = reached[0][0]
    apart = [one for one in first.overrides if one not in shared and one.partition("=")[0] not in REPEATED]
    label = " ".join(one for one in apart if not is_of_hydra(one))
    volumes: dict[tuple[float, str], list[float]] = {}
    for run, top1 in reached:
        volumes.setdefault(_volume(run), []).append(top1)
    parts = ", ".join(f"{100 * np.mean(found):.1f} % with {text}" for (_, text), found in sorted(volumes.items()))
    listed = any(run.config.subset_file is not None for run, _ in reached)
    of = "" if listed else " of the training images"
    return (f"{label}: " if label else "") + f"top-1 {parts}{of}{_means([*map(len, volumes.values())])}"


def _volume(run: Run) -> tuple[float, str]:
    """Give a run's amount of data, to sort by and in words."""
    if run.config.subset_file is None:
        return run.config.fraction, per_cent(run.config.fraction)
    size = int(RunFolder(run.folder).record["subset"]["size"])
    return size, f"{size:,} images"


def _means(runs: Sequence[int]) -> str:
    """Say of how many runs the numbers are means."""
    least, most = min(runs), max(runs)
    if most == 1:
        return ""
    return f" (means of {least} runs)" if least == most else f" (means of {least} to {most} runs)"


def after_sweep(runs: Sequence[Run]) -> list[str]:
    """Name the command that answers on a sweep's studies."""
    return [f"next: {report_command([run.folder.parent for run in runs])}"]


def report_command(studies: Sequence[Path]) -> str:
    """Write the command that reports on studies."""
    return " ".join(["python -m datavol.report", *(shlex.quote(str(study)) for study in dict.fromkeys(studies))])


def after_run(run: Run, prepared: Prepared, typed: Sequence[str]) -> list[str]:
    """Sum up a finished run, and name the next command.

    Args:
        run: The run.
        prepared: Its data.
        typed: The overrides as typed, without what datavol chose.
    """
    record = RunFolder(run.folder).record
    last, guess = record["last"], (record.get("guess") or {}).get("val/top1")
    guessing = "" if guess is None else f"; guessing gives {100 * guess:.1f} %"
    images, fraction = len(prepared.subset), prepared.subset.fraction
    lines = [
        f"finished: top-1 {100 * last['val/top1']:.1f} % of {len(prepared.source.val.labels):,} validation images, "
        f"after training on {images:,} images ({per_cent(fraction)}){guessing}",
        f"record: {run.folder}",
    ]
    if agents_run():  # which types the next command itself
        return lines
    study = run.folder.parent
    if run.config.subset_file is not None or len(_fractions_in(study)) >= ENOUGH:
        return [*lines, f"next: {report_command([study])}"]
    return [*lines, f"next, for a curve: {_more_fractions(run, prepared, typed)}"]


def _fractions_in(study: Path) -> set[str]:
    """List the fractions that a study's runs have in their names."""
    names = (re.search(r"-([\d.]+)pct-", folder.path.name) for folder in runs_of(study))
    return {found[1] for found in names if found}


def _more_fractions(run: Run, prepared: Prepared, typed: Sequence[str]) -> str:
    """Write the sweep that joins a run to a learning curve."""
    sizes = np.bincount(prepared.source.train.labels)
    fractions = sorted({*fractions_for(int(sizes[sizes > 0].min())), run.config.fraction})
    others = [one for one in typed if one.partition("=")[0] != "fraction" and not one.startswith("hydra.run.")]
    values = f"fraction={','.join(f'{one:g}' for one in fractions)}"
    return " ".join(["python -m datavol.run -m", values, *map(shlex.quote, others)])
