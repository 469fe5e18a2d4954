"""Writes a run's start and end into its record and to W&B."""

import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import lightning as L
import torch

from datavol.config.data import DividedConfig
from datavol.config.logger import WandbConfig
from datavol.config.run import Config, Run
from datavol.config.upgrade import SCHEMA_VERSION
from datavol.config.user_code import line_of
from datavol.data.budget import thesis_units
from datavol.data.prepare import Prepared
from datavol.errors import RunError, flat, trouble_of
from datavol.runs import provenance
from datavol.runs.folder import RunFolder, now
from datavol.runs.integrity import flattened
from datavol.tracking.session import agents_run
from datavol.tracking.training_run import open_for, summary_of
from datavol.training.callbacks.checkpoints import RunWriter, take_over
from datavol.training.callbacks.damage import guess_among
from datavol.training.callbacks.monitoring import StepLoss
from datavol.training.callbacks.signals import Signals
from datavol.training.changes import weights_sha256
from datavol.training.hardware.study_choices import STEP_KEYS
from datavol.training.networks.build import taken_weights
from datavol.training.resume import Start


def open_record(
    run: Run,
    folder: RunFolder,
    prepared: Prepared,
    trainer: L.Trainer,
    start: Start,
    settled: Config,
    pixels: dict[str, Any],
) -> None:
    """Write what is known before the first iteration; `settled` has `auto` resolved."""
    facts = _place(run, folder, trainer, start, settled, pixels) | {"state": "running", "reason": None}
    if not start.resumed:
        folder.start(run.values, run.overrides, prepared.manifest, prepared.subset.indices)
        facts = _facts(run, prepared, start) | facts
    if start.begins:
        facts["trunk"] = start.trunk.facts if start.trunk else None
    folder.update(**facts)  # before what it is about: a run that dies in between is known to have begun
    if start.resumed or start.trunk:
        folder.write_rows(start.rows)
    if start.trunk:
        take_over(start.trunk, folder)


def _facts(run: Run, prepared: Prepared, start: Start) -> dict[str, Any]:
    config, budget = run.config, prepared.budget
    schedule = config.recipe.schedule
    share = prepared.subset.fraction if config.budget == "iterations" else 1.0  # there, epochs are passes already
    units = thesis_units(share, config.epochs, schedule.step_size, schedule.warmup_epochs)
    return {
        "schema_version": SCHEMA_VERSION,
        "name": config.run_name,
        "hash": config.run_hash,
        "study": config.study,
        "wandb_id": agents_run() or f"{config.run_hash}-{secrets.token_hex(4)}",
        "config": run.values,
        "subset": {key: value for key, value in prepared.manifest.items() if key != "images_per_class"},
        "classes": list(prepared.source.classes),
        "validation_images": len(prepared.source.val.labels),
        "guess": guess_among(prepared.source),
        "budget": {name: getattr(budget, name) for name in ("epochs", "iterations_per_epoch", "iterations", "passes")},
        "thesis_units": {
            name: dict(zip(("exact", "rounded", "rounding_changes"), values, strict=True))
            for name, *values in zip(
                ("epochs", "step_size", "warmup_epochs"), units.exact, units.rounded, units.changed, strict=True
            )
        },
        **_folds(config),
        "parent": start.parent,
        "weights_sha256": weights_sha256(config.model),
        **({"weights": fitted.facts} if (fitted := taken_weights(config, len(prepared.source.classes))) else {}),
    }


def _folds(config: Config) -> dict[str, Any]:
    """Name the fold and the hash that all folds share."""
    data = config.data
    if not isinstance(data, DividedConfig) or data.folds is None:
        return {}
    first = config.model_copy(update={"data": data.model_copy(update={"fold": 0})})
    return {"folds": {"of": data.folds, "fold": data.fold, "hash": first.run_hash}}


def _place(
    run: Run, folder: RunFolder, trainer: L.Trainer, start: Start, settled: Config, pixels: dict[str, Any]
) -> dict[str, Any]:
    """Describe this session, and what is fixed from the first start on."""
    session = {  # one per start: a run that was resumed has several
        "started": now(),
        "budget_epoch": len(start.rows) and int(start.rows[-1]["budget_epoch"]),
        "versions": provenance.versions(),
        "code": provenance.commit(),
        "machine": provenance.machine(),
        "devices": [_device_name(trainer, index) for index in range(trainer.num_devices)],
        **pixels,
    }
    return {
        "world_size": trainer.world_size,
        # which batch norm normalises together
        "images_per_rank": run.config.recipe.batch_size // trainer.world_size // run.config.recipe.accumulate,
        **{name: getattr(settled.trainer, name) for name in STEP_KEYS},
        "short_side": getattr(settled.data, "short_side", None),
        "sessions": [*_sessions_before(folder, start), session],
    }


def _sessions_before(folder: RunFolder, start: Start) -> list[dict[str, Any]]:
    before = folder.record.get("sessions", [])
    if not start.begins:
        return before
    own = [one for one in before if "taken_over" not in one]
    return [*(start.trunk.sessions if start.trunk else []), *own]


def _device_name(trainer: L.Trainer, index: int) -> str:
    if trainer.strategy.root_device.type == "cuda":
        return torch.cuda.get_device_name(index)
    return str(trainer.strategy.root_device.type)


@contextmanager
def recorded(folder: RunFolder, trainer: L.Trainer, signals: Signals, own_code: bool = False) -> Iterator[None]:
    """Close the record: `finished`, or `failed` with the first rank's reason.

    With `own_code` an error of the user's is a RunError with its place.
    """
    # Every rank may close the record, and the first reason stays (`RunFolder.close`): a failing rank ends the others,
    # which then report a lost connection, or are killed before they can report anything
    try:
        yield
    except (SystemExit, KeyboardInterrupt) as error:  # Lightning answers the second by the first
        if own_code and isinstance(error, SystemExit) and (line := line_of(error)):  # the user's own sys.exit()
            stopped = RunError(f"SystemExit: {error} ({line})")
            _fail(folder, stopped)
            raise stopped from error
        if signals.ended_by is None:
            folder.close("failed", "interrupted by Ctrl-C; the same command goes on")
            raise SystemExit(130) from None
        folder.close("failed", f"ended by {signal.Signals(signals.ended_by).name}; the same command goes on")
        raise SystemExit(128 + signals.ended_by) from None
    except RunError as error:
        first = _fail(folder, error)
        if type(error) is RunError and first != str(error):  # another rank was first: this one lost the connection
            raise RunError(first) from error
        raise
    except OSError as error:
        stopped = RunError(f"{trouble_of(error)}; what was kept before stays, and the same command goes on")
        _fail(folder, stopped)
        raise stopped from error
    except Exception as error:
        if "DataLoader worker" in str(error):  # torch's words for one that was killed or has vanished
            stopped = RunError(
                f"a process that loads images has ended: {flat(error)}; the same command goes on, with fewer "
                "data.workers if memory was short"
            )
            _fail(folder, stopped)
            raise stopped from error
        line = line_of(error) if own_code else None
        reason = f"{type(error).__name__}: {flat(error)}" + (f" ({line})" if line else "")
        first = str(folder.close("failed", reason))
        # Another rank was first: its reason is the cause, this rank's error (a lost connection) its consequence
        if trainer.world_size > 1 and str(error) not in first:
            raise RunError(first) from error
        if line is not None:
            raise RunError(first) from error
        raise
    if trainer.is_global_zero:  # all ranks had a part in the last evaluation, whose sums are reduced over them
        folder.close("finished", None)


def _fail(folder: RunFolder, reason: RunError) -> str:
    """Close the record and return its reason, the first rank's.

    Where it cannot be written, the printed line is all that says so.
    """
    with suppress(OSError):
        return folder.close("failed", str(reason)) or str(reason)
    return str(reason)


@contextmanager
def logged_curves(run: Run, writer: RunWriter, steps: StepLoss, trainer: L.Trainer) -> Iterator[None]:
    """Send every row to the logger, and single losses to W&B."""
    if trainer.logger is not None and trainer.is_global_zero:  # Lightning's, which it also closes
        logger = trainer.logger
        logger.log_hyperparams(flattened(run.values))
        writer.send = lambda row: logger.log_metrics(row, step=int(row["iteration"]))
    if not isinstance(run.config.logger, WandbConfig) or not trainer.is_global_zero:
        yield
        return
    wandb_run = open_for(run, writer.folder.record)
    writer.send, steps.send = wandb_run.log, wandb_run.log_step
    for row in writer.rows:  # W&B may not have got what a killed run had kept; of a step that it has it takes no other
        wandb_run.log(row)
    exit_code = 1
    try:
        yield
        exit_code = 0
    finally:
        wandb_run.finish(summary_of(writer.folder.record), exit_code)
