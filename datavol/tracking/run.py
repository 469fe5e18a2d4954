"""One W&B run per training; when W&B fails, the training goes on without it.

wandb is imported inside the functions: it takes half a second, and most commands never need it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from datavol.errors import ConfigError

if TYPE_CHECKING:
    import wandb

    from datavol.config import WandbConfig

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 10.0  # for W&B to answer, once when a run opens and once when it ends
Mode = Literal["online", "offline", "disabled"]


class WandbRun:
    """A training's W&B run. Once W&B has failed, or when it is disabled, every call does nothing."""

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
        except _failures() as error:
            self._give_up(error)

    def finish(self, summary: Mapping[str, Any], exit_code: int) -> None:
        """Set the summary, send what is left and end wandb's service process; call it once, also after a failure."""
        if self._run is None:
            return
        try:
            self._run.summary.update(dict(summary))
            self._run.finish(exit_code)
        except _failures() as error:
            self._give_up(error)
        else:
            _stop_service()

    def _give_up(self, error: Exception) -> None:
        assert self._run is not None
        remedy = f"wandb sync --include-online {self._run.sync_dir}"
        logger.warning("W&B failed (%s); the training goes on, and `%s` sends what W&B missed", _text(error), remedy)
        self._run = None
        _stop_service()


def check_wandb(settings: WandbConfig) -> Mode:
    """The mode in which W&B will run. Asks neither the network nor the user.

    `auto` follows WANDB_MODE or what `wandb offline` saved, and is otherwise online if you are logged in.

    Raises:
        ConfigError: Online was asked for without being logged in, or wandb refuses a setting.
    """
    import wandb
    from wandb.sdk import wandb_setup

    try:
        wandb.Settings(project=settings.project, run_tags=tuple(settings.tags))
        in_force = wandb_setup.singleton().settings  # from the WANDB_ variables and wandb's settings files
        asked = _asked_mode(settings, in_force)
        logged_in = asked in (None, "online") and _logged_in(in_force)
    except (wandb.Error, ValueError) as error:
        raise ConfigError(
            f"logger and the WANDB_ variables must be as wandb allows, got: {_text(error)}; try logger=csv"
        ) from error
    if asked == "online" and not logged_in:
        where = "logger.mode" if settings.mode == "online" else "WANDB_MODE"
        raise ConfigError(
            f"{where} must be auto or offline unless you are logged in to W&B, got online; "
            "try `wandb login`, or logger.mode=offline"
        )
    return asked or ("online" if logged_in else "offline")


def open_wandb_run(
    settings: WandbConfig, *, folder: Path, run_id: str, name: str, study: str, tags: list[str], config: dict[str, Any]
) -> WandbRun:
    """Start the W&B run `run_id`, or go on with it if W&B knows it; its files lie in `folder`/wandb.

    `run_id` must be new for every folder, and the same again when its training is resumed. `study` becomes the group,
    and `tags`, of 1 to 64 characters each, join the user's own. The keys of `config` become columns; a key must hold
    no full stop. When the server does not answer within `PATIENCE_SECONDS`, the run goes on offline, with a warning.
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
    """From online to offline to nothing, whichever works first."""
    if mode == "disabled":
        return None
    try:
        return _start(mode, identity)
    except _failures() as error:
        _stop_service()  # it would refuse the same id a second time
        if mode == "offline":
            logger.warning("W&B cannot write (%s); the training goes on without it", _text(error))
            return None
        remedy = f"wandb sync {identity['dir']}/wandb/offline-run-*-{identity['id']}*"
        logger.warning("W&B does not answer (%s); it goes on offline, and `%s` sends it later", _text(error), remedy)
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
    wandb.termsetup(settings, None)  # wandb learns `silent` only once in a process: when it first reads any setting
    # create_new: without it, init returns a run that somebody else left open in this process.
    run = wandb.init(**identity, mode=mode, resume="allow", reinit="create_new")
    # No automatic summary: it would put the last value of every curve beside the best and last that we set.
    run.define_metric("iteration", hidden=True, summary="none")
    run.define_metric("*", step_metric="iteration", summary="none")
    return run


def _stop_service() -> None:
    import wandb

    # teardown exits with the service's own code when that is not 0, as after a kill.
    with suppress(*_failures(), SystemExit):
        wandb.teardown()


def _asked_mode(settings: WandbConfig, in_force: wandb.Settings) -> Mode | None:
    if settings.mode != "auto":
        return settings.mode
    if in_force.mode == "disabled":
        return "disabled"
    if in_force.mode in ("offline", "dryrun"):
        return "offline"
    return "online" if "WANDB_MODE" in os.environ else None  # online is also wandb's default


def _logged_in(in_force: wandb.Settings) -> bool:
    """Whether wandb would find an API key or identity token for its server; it looks at no network."""
    from wandb.sdk.lib.wbauth import authenticate_session

    found = authenticate_session(host=in_force.base_url, source="datavol", prompt=False, update_session=False)
    return found is not None


def _failures() -> tuple[type[Exception], ...]:
    """What wandb 0.31 raises when its server, its disk, its settings or its service process fail.

    They share no base class, and this list leaves out TypeError and its like, which would be our own mistakes.
    """
    from wandb.errors import Error
    from wandb.sdk.lib.asyncio_manager import AlreadyJoinedError, RunCancelledError
    from wandb.sdk.lib.service.service_token import WandbServiceConnectionError
    from wandb.sdk.mailbox.mailbox import MailboxClosedError
    from wandb.sdk.mailbox.mailbox_handle import HandleAbandonedError, ServerResponseError

    service = (WandbServiceConnectionError, HandleAbandonedError, MailboxClosedError, ServerResponseError)
    return (Error, OSError, ValueError, *service, AlreadyJoinedError, RunCancelledError)


def _text(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
