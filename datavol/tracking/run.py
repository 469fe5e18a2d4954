"""Logs a training to a W&B run; training continues when W&B fails.

wandb is imported inside the functions: it takes half a second, and most commands never need it.
"""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datavol.cli.console import announce
from datavol.tracking.keys import SECTIONS
from datavol.tracking.session import Mode, agents_run, check_wandb, describe, is_wandb_failure

if TYPE_CHECKING:
    import wandb

    from datavol.config.logger import WandbConfig

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 10.0  # for W&B to answer, once when a run opens and once when it ends


class WandbRun:
    """Wraps a training's W&B run; does nothing if disabled or failed."""

    def __init__(self, run: wandb.Run | None) -> None:
        self._run = run
        self._held: dict[str, float] = {}  # of a budget epoch's last iteration

    def log(self, row: Mapping[str, float]) -> None:
        """Add a budget epoch's row, with Lightning's names beside ours."""
        self._send({"epoch": row["budget_epoch"] - 1, **self._held, **row})
        self._held = {}

    def log_step(self, point: Mapping[str, float], *, ends_epoch: bool) -> None:
        """Add an iteration's point; a budget epoch's last joins its row."""
        # W&B takes a step once: a run that was killed between the two would lose the row that it measures again
        if ends_epoch:
            self._held = dict(point)
        else:
            self._send(point)

    def _send(self, point: Mapping[str, float]) -> None:
        """Send a point.

        The iteration is also W&B's own step, so its server drops the points that a resumed training measures again.
        """
        if self._run is None:
            return
        try:
            values = {"trainer/global_step": point["iteration"], **point}
            self._run.log(values, step=int(point["iteration"]), commit=True)
        except Exception as error:
            if not is_wandb_failure(error):
                raise
            self._give_up(error)

    def finish(self, summary: Mapping[str, Any], exit_code: int) -> None:
        """Set the summary, send the rest and end wandb's service process."""
        if self._run is None:
            return
        try:
            self._run.summary.update(dict(summary))
            self._run.finish(exit_code)
        except Exception as error:
            if not is_wandb_failure(error):
                raise
            self._give_up(error)
        else:
            _stop_service()

    def _give_up(self, error: Exception) -> None:
        assert self._run is not None
        remedy = f"wandb sync --include-online {self._run.sync_dir}"
        logger.warning("W&B failed (%s); the training goes on, and `%s` sends what W&B missed", describe(error), remedy)
        self._run = None
        _stop_service()


def open_wandb_run(
    settings: WandbConfig, *, folder: Path, run_id: str, name: str, study: str, tags: list[str], config: dict[str, Any]
) -> WandbRun:
    """Start or resume the W&B run `run_id`, with its files in `folder`/wandb.

    `run_id` must be new for every folder, and the same again when its training is resumed; but a sweep's agent has
    opened a run already, which is taken. `study` becomes the group unless the settings name one, and `tags`, of 1 to 64
    characters each, join the user's own. The keys of `config` become columns; a key must hold no full stop. When the
    server does not answer within `PATIENCE_SECONDS`, the run is offline, with a warning.
    """
    # wandb takes an agent's run, project and entity from the environment, and warns of others
    place = {} if agents_run() else {"project": settings.project, "entity": settings.entity, "id": run_id}
    identity = {
        **place,
        "group": settings.group or study,
        "job_type": settings.job_type,
        "notes": settings.notes,
        "name": name,
        "tags": list(dict.fromkeys([*settings.tags, *tags])),
        "dir": str(folder.absolute()),
        "config": config,
    }
    return WandbRun(_open(check_wandb(settings), identity))


def _open(mode: Mode, identity: dict[str, Any]) -> wandb.Run | None:
    """Open the run in `mode`, else offline, else not at all."""
    if mode == "disabled":
        return None
    pattern = f"{shlex.quote(os.path.relpath(identity['dir']))}/wandb/offline-run-*"
    try:
        run = _start(mode, identity)
        announce([f"W&B: {run.url}" if mode == "online" else f"W&B: offline; `wandb sync {pattern}` sends it"])
        return run
    except Exception as error:
        if not is_wandb_failure(error):
            raise
        _stop_service()  # it would refuse the same id a second time
        if mode == "offline":
            logger.warning("W&B cannot write (%s); the training goes on without it", describe(error))
            return None
        logger.warning("W&B does not answer (%s); the training goes on offline", describe(error))
        return _open("offline", identity)


def _start(mode: Mode, identity: dict[str, Any]) -> wandb.Run:
    import wandb

    # At exit, wandb's own error reports would wait 20 s for a server that accepts and never answers.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    settings = wandb.Settings(
        silent=True,
        console="off",  # wandb's capture of the console garbles progress bars
        save_code=False,
        disable_git=True,
        init_timeout=PATIENCE_SECONDS,
        finish_timeout=PATIENCE_SECONDS,
        finish_timeout_raises=True,
    )
    wandb.setup(settings)
    wandb.termsetup(settings, None)  # wandb reads `silent` once in a process, with its first setting, so set it again
    # resume="allow": continue the run if the server knows its id, else start it. create_new: do not return a run that
    # somebody else left open in this process.
    run = wandb.init(**identity, mode=mode, resume="allow", reinit="create_new")
    run.define_metric("iteration", hidden=True)
    run.define_metric("*", step_metric="iteration")  # of each the summary has the last value
    sections = {name: identity["config"].get(name) for name in SECTIONS}
    # an agent that proposes `model=resnet50` has W&B hold fast to it as `model` (`keys.named_as_today`)
    held = [name for name, section in sections.items() if section and not isinstance(run.config[name], Mapping)]
    run.config.update({f"{name}_settings": sections[name] for name in held})
    return run


def _stop_service() -> None:
    import wandb

    try:
        wandb.teardown()
    except SystemExit:  # teardown exits with the service's code if that is not 0, as after a kill
        return
    except Exception as error:
        if not is_wandb_failure(error):
            raise
