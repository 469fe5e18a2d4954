"""Declares the keys of `conf/logger/`."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Tag

from datavol.config.objects import ObjectConfig
from datavol.config.section import Section, Text, key

REPORT = "report"
"""W&B's job type of uploaded reports, which are no runs."""


def _no_report(job_type: str) -> str:
    if job_type == REPORT:
        raise ValueError(f"a kind of run other than {REPORT}, which marks uploaded reports", "train")
    return job_type


class WandbConfig(Section):
    name: Literal["wandb"] = key("wandb", hashed=False)
    mode: Literal["auto", "online", "offline"] = key("auto, online or offline", hashed=False, remedy="auto")
    project: Text = key("a W&B project", hashed=False, remedy="datavol")
    entity: Text | None = key("a W&B user or team, or null", hashed=False)
    tags: list[Text] = key("a list of tags", hashed=False, remedy="[pilot]")
    notes: Text | None = key("a text about the runs, or null", hashed=False, added=None)
    group: Text | None = key("a W&B group, or null for the study", hashed=False, added=None)
    job_type: Annotated[Text, AfterValidator(_no_report)] | None = key(
        "a kind of run, or null", hashed=False, added=None, remedy="train"
    )


class CsvConfig(Section):
    name: Literal["csv"] = key("csv", hashed=False)


class OwnLoggerConfig(ObjectConfig):
    """Declares a logger by its class; further keys are its arguments."""


def _kind(values: Any) -> str:
    if isinstance(values, OwnLoggerConfig) or (isinstance(values, dict) and "_target_" in values):
        return "own"
    return str(values.get("name") if isinstance(values, dict) else values.name)


AnyLogger = Annotated[
    Annotated[WandbConfig, Tag("wandb")] | Annotated[CsvConfig, Tag("csv")] | Annotated[OwnLoggerConfig, Tag("own")],
    Discriminator(_kind),
]
