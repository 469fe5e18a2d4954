"""Declares the keys of `conf/logger/`."""

from typing import Literal

from datavol.config.section import Section, Text, key


class WandbConfig(Section):
    name: Literal["wandb"] = key("wandb", hashed=False)
    mode: Literal["auto", "online", "offline"] = key("auto, online or offline", hashed=False, remedy="auto")
    project: Text = key("a W&B project", hashed=False, remedy="datavol")
    entity: Text | None = key("a W&B user or team, or null", hashed=False)
    tags: list[Text] = key("a list of tags", hashed=False, remedy="[pilot]")


class CsvConfig(Section):
    name: Literal["csv"] = key("csv", hashed=False)
