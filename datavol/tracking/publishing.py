"""A report on W&B: a run in the study's group that shows the page and its tables, with all files as an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from datavol.config import WandbConfig
from datavol.config.compose import compose
from datavol.errors import ConfigError, flat
from datavol.runs.folder import RunFolder
from datavol.tracking.session import NOT_RUNS, check_wandb

if TYPE_CHECKING:
    import wandb

ANSWERS_WITHIN = 60.0
"""Seconds that W&B has to answer when the upload begins."""


def destination(runs: pd.DataFrame) -> WandbConfig:
    """The W&B settings that the runs were trained with; the default ones where none was logged there.

    Raises:
        ConfigError: If W&B cannot take anything: it is disabled, or the settings ask for a login that is not there.
    """
    folders = [Path(folder) for folder in runs.loc[runs["state"] != "unreadable", "folder"]]
    loggers = [RunFolder(folder).record["config"]["logger"] for folder in folders]
    logged = [WandbConfig(**logger) for logger in loggers if logger["name"] == "wandb"]
    settings = logged[0] if logged else compose(["logger=wandb"])[0].config.logger
    assert isinstance(settings, WandbConfig)
    if check_wandb(settings) == "disabled":
        raise ConfigError("WANDB_MODE must be online or offline for --wandb, got disabled; leave one of the two out")
    return settings


def publish(page: Path, study: str, settings: WandbConfig) -> str:
    """Upload a page, and the tables and figures beside it, into a study's group.

    Args:
        page: `report.html`, written.
        study: The group that the study's runs have.
        settings: As `destination` gives them.

    Returns:
        Where the report is, in words.

    Raises:
        ConfigError: If W&B does not take it.
    """
    import wandb

    mode = check_wandb(settings)
    try:
        run = wandb.init(
            project=settings.project,
            entity=settings.entity,
            group=study,
            job_type=NOT_RUNS,
            name=f"report-{study}",
            tags=settings.tags,
            dir=str(page.parent.absolute()),
            mode=mode,
            reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", save_code=False, disable_git=True, init_timeout=ANSWERS_WITHIN
            ),
        )
        tables = {f"tables/{file.stem}": wandb.Table(dataframe=pd.read_csv(file)) for file in _files(page, "csv")}
        run.log({"report": wandb.Html(str(page), inject=False), **tables})
        run.log_artifact(_artifact(page, study))
        run.finish()
        wandb.teardown()  # its service process writes the last of an offline run's file only when it ends
    except (wandb.Error, OSError, ValueError) as error:
        told = flat(error)
        raise ConfigError(f"W&B must take the report, got: {told}; the page is in {page}, so try again later") from None
    if mode == "online":
        return str(run.url)
    return f"offline; `wandb sync {Path(run.dir).parent}` sends it"


def _artifact(page: Path, study: str) -> wandb.Artifact:
    import wandb

    artifact = wandb.Artifact(f"report-{study}", type=NOT_RUNS)
    for file in [page, *_files(page, "*")]:
        artifact.add_file(str(file), name=str(file.relative_to(page.parent)))
    return artifact


def _files(page: Path, ending: str) -> list[Path]:
    return sorted(file for folder in ("tables", "figures") for file in (page.parent / folder).glob(f"*.{ending}"))
