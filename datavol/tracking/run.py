"""Logs a training to a W&B run; training continues when W&B fails.

wandb is imported inside the functions: it takes half a second, and most commands never need it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datavol.tracking.session import Mode, check_wandb, describe, is_wandb_failure

if TYPE_CHECKING:
    import wandb

    from datavol.config.logger import WandbConfig

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 10.0  # for W&B to answer, once when a run opens and once when it ends


class WandbRun:
    """Wraps a training's W&B run; does nothing if disabled or failed."""

    def __init__(self, run: wandb.Run | None) -> None:
        self._run = run

    def log(self, row: Mapping[str, float]) -> None:
        """Add a point to every curve.

        The iteration is also W&B's own step, so its server drops the points that a resumed training measures again.
        """
        if self._run is None:
            return
        try:
            self._run.log(dict(row), step=int(row["iteration"]), commit=True)
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

    `run_id` must be new for every folder, and the same again when its training is resumed. `study` becomes the group,
    and `tags`, of 1 to 64 characters each, join the user's own. The keys of `config` become columns; a key must hold
    no full stop. When the server does not answer within `PATIENCE_SECONDS`, the run is offline, with a warning.
    """
    identity = {
        "project": settings.project,
        "entity": settings.entity,
        "group": study,
        "id": run_id,
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
    try:
        return _start(mode, identity)
    except Exception as error:
        if not is_wandb_failure(error):
            raise
        _stop_service()  # it would refuse the same id a second time
        if mode == "offline":
            logger.warning("W&B cannot write (%s); the training goes on without it", describe(error))
            return None
        remedy = f"wandb sync {identity['dir']}/wandb/offline-run-*-{identity['id']}*"
        logger.warning("W&B does not answer (%s); it goes on offline, and `%s` sends it later", describe(error), remedy)
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
    # No automatic summary: it would put the last value of every curve beside the best and last that we set.
    run.define_metric("iteration", hidden=True, summary="none")
    run.define_metric("*", step_metric="iteration", summary="none")
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
