"""Checks W&B's login and mode, and recognises its failures.

wandb is imported inside the functions, since it takes half a second.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from datavol.errors import ConfigError, flat

if TYPE_CHECKING:
    import wandb

    from datavol.config.logger import WandbConfig

Mode = Literal["online", "offline", "disabled"]


def check_wandb(settings: WandbConfig) -> Mode:
    """Choose W&B's mode without asking the network or the user.

    `auto` follows WANDB_MODE or what `wandb offline` saved, and is otherwise online if you are logged in.

    Raises:
        ConfigError: Online was asked for without being logged in, or wandb refuses a setting.
    """
    import wandb

    try:
        wandb.Settings(project=settings.project, run_tags=tuple(settings.tags))
        in_force = _settings_in_force()
        asked = _asked_mode(settings, in_force)
        logged_in = asked in (None, "online") and _is_logged_in(in_force)
    except (wandb.Error, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"logger and the WANDB_ variables must be as wandb allows, got: {describe(error)}; try logger=csv"
        ) from error
    if asked == "online" and not logged_in:
        where = "logger.mode" if settings.mode == "online" else "WANDB_MODE"
        raise ConfigError(
            f"{where} must be auto or offline unless you are logged in to W&B, got online; "
            "try `wandb login`, or logger.mode=offline"
        )
    return asked or ("online" if logged_in else "offline")


def agents_run() -> str | None:
    """Return the id of the W&B run that an agent opened."""
    return os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None


def address_of(settings: WandbConfig) -> str:
    """Return a project's address as far as known offline."""
    from wandb.util import app_url

    in_force = _settings_in_force()
    entity = settings.entity or in_force.entity
    site = app_url(in_force.base_url)
    return f"{site}/{entity}/{settings.project}" if entity else f"{site}, project {settings.project}"


def logged_in_api() -> Any:
    """Open a `wandb.Api`, which never asks for a key at the terminal.

    Raises:
        ConfigError: If you are not logged in.
    """
    import wandb

    if not _is_logged_in(_settings_in_force()):
        raise ConfigError("W&B must know you first, got no login; try `wandb login`")
    return wandb.Api()


def is_wandb_failure(error: Exception) -> bool:
    """Recognise failures of wandb's server, disk, settings or service."""
    # wandb's exceptions share no base class, so they are known by the package that defines them; others are our bugs
    return isinstance(error, (OSError, ValueError)) or type(error).__module__.split(".")[0] == "wandb"


def describe(error: BaseException) -> str:
    """Describe an error in one line, with its type."""
    return f"{type(error).__name__}: {flat(error)}"


def _asked_mode(settings: WandbConfig, in_force: wandb.Settings) -> Mode | None:
    if settings.mode != "auto":
        return settings.mode
    if in_force.mode == "disabled":
        return "disabled"
    if in_force.mode in ("offline", "dryrun"):
        return "offline"
    return "online" if "WANDB_MODE" in os.environ else None  # online is also wandb's default


def _settings_in_force() -> wandb.Settings:
    """Read the WANDB_ variables and wandb's settings files."""
    import wandb

    return wandb.setup().settings


def _is_logged_in(in_force: wandb.Settings) -> bool:
    """Look for an API key or identity token, without the network."""
    try:
        # wandb's public login() would prompt, so this is the one name taken from inside its sdk
        from wandb.sdk.lib.wbauth import authenticate_session
    except ImportError:
        raise ConfigError(
            f"wandb must be a version that datavol knows, got {version('wandb')}, which keeps its login elsewhere; "
            "try logger=csv"
        ) from None
    found = authenticate_session(host=in_force.base_url, source="datavol", prompt=False, update_session=False)
    return found is not None
