"""Declares the keys of `conf/logger/`."""

from typing import Annotated, Literal

from pydantic import AfterValidator

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
