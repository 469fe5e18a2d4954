"""Uploads a report to W&B as a run in the study's group."""

from pathlib import Path

import pandas as pd

from datavol.config.compose import compose
from datavol.config.logger import REPORT, WandbConfig
from datavol.errors import ConfigError, flat
from datavol.runs.folder import RunFolder
from datavol.tracking.session import check_wandb

PATIENCE_SECONDS = 60.0  # for W&B to answer when the upload begins


def destination(runs: pd.DataFrame) -> WandbConfig:
    """Find the W&B settings of the runs, or the default ones.

    Raises:
        ConfigError: If W&B is disabled, or the settings ask for a login and nobody is logged in.
    """
    folders = [Path(folder) for folder in runs.loc[runs["state"] != "unreadable", "folder"]]
    # each record holds its composed configuration; runs logged to CSV alone have no W&B settings
    loggers = [RunFolder(folder).record["config"]["logger"] for folder in folders]
    logged = [WandbConfig(**logger) for logger in loggers if logger["name"] == "wandb"]
    settings = logged[0] if logged else compose(["logger=wandb"])[0].config.logger
    assert isinstance(settings, WandbConfig)
    if check_wandb(settings) == "disabled":
        raise ConfigError("WANDB_MODE must be online or offline for --wandb, got disabled; leave one of the two out")
    return settings


def publish(page: Path, study: str, settings: WandbConfig) -> str:
    """Upload `report.html` with its tables and figures; return its address.

    The run shows the page and the tables; an artifact holds all files.

    Raises:
        ConfigError: If W&B refuses it.
    """
    import wandb

    mode = check_wandb(settings)
    try:
        run = wandb.init(
            project=settings.project,
            entity=settings.entity,
            group=study,
            job_type=REPORT,
            name=f"report-{study}",
            tags=settings.tags,
            dir=str(page.parent.absolute()),
            mode=mode,
            reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", save_code=False, disable_git=True, init_timeout=PATIENCE_SECONDS
            ),
        )
        tables = {f"tables/{file.stem}": wandb.Table(dataframe=pd.read_csv(file)) for file in _files(page, "csv")}
        run.log({"report": wandb.Html(str(page), inject=False), **tables})
        artifact = wandb.Artifact(f"report-{study}", type=REPORT)
        for file in [page, *_files(page, "*")]:
            artifact.add_file(str(file), name=str(file.relative_to(page.parent)))
        run.log_artifact(artifact)
        run.finish()
        wandb.teardown()  # its service process writes the last of an offline run's file only when it ends
    except (wandb.Error, OSError, ValueError) as error:
        raise ConfigError(
            f"W&B must take the report, got: {flat(error)}; the page is in {page}, so try again later"
        ) from None
    return str(run.url) if mode == "online" else f"offline; `wandb sync {Path(run.dir).parent}` sends it"


def _files(page: Path, ending: str) -> list[Path]:
    return sorted(file for folder in ("tables", "figures") for file in (page.parent / folder).glob(f"*.{ending}"))
