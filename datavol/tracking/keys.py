"""Maps a run's configuration and recorded facts to W&B's keys, and back."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from datavol.runs import columns
from datavol.runs.columns import Json, lookup, place

SECTIONS = ("model", "data", "recipe", "trainer")
WANDB_ALONE = ("epoch", "trainer/global_step", "train/loss_step")  # in its history, and not in `metrics.csv`
NO_MATTER_OF_A_RUN = ("plan", "sweep")  # sections of the configuration that W&B does not get


def wandb_config(values: Json, record: Json) -> dict[str, Any]:
    """Nest a run's configuration as composed, with the recorded facts among it.

    So W&B's columns bear the names of the overrides: `recipe.optimiser.lr`.
    """
    config = {name: deepcopy(value) for name, value in values.items() if name not in NO_MATTER_OF_A_RUN}
    config["trainer"] |= {name: record[name] for name in config["trainer"] if name in record}  # what `auto` became
    config["schema_version"] = record.get("schema_version", 1)
    for path, value in sent_to_wandb(record):
        place(config, path, value)
    return config


def sent_to_wandb(record: Json) -> Iterator[tuple[str, Any]]:
    """List the facts that W&B gets, as (key there, value)."""
    for column in columns.COLUMNS:
        if column.wandb is None or column.path is None:
            continue
        value = column.value(record)
        if value is not None and column.type is str and value != column.absent:
            value = lookup(record, column.path)  # of a section's JSON W&B gets the section, to filter runs by its keys
        if value is not None and value != column.absent:
            yield column.wandb, deepcopy(value)


def named_as_today(config: Json) -> Json:
    """Bring a W&B run's config under the names of the overrides.

    Older versions sent `model_settings` beside the network's name as `model`. A sweep's agent that proposes
    `model=resnet50` has W&B hold fast to that, so that the section has its old name there as well.
    """
    older = {name: config[f"{name}_settings"] for name in SECTIONS if f"{name}_settings" in config}
    return {**config, **older}


def record_from_wandb(config: Json) -> dict[str, Any]:
    """Rebuild the part of a record that `sent_to_wandb` lists.

    Raises:
        LookupError: If a key is missing that datavol of the run's schema version sends.
    """
    record: dict[str, Any] = {"schema_version": config.get("schema_version", 1)}
    for column in columns.COLUMNS:
        if column.wandb is None or column.path is None:
            continue
        try:
            place(record, column.path, lookup(config, column.wandb))
        except LookupError:  # as in `Column.value`: later versions of datavol may send more than the run's did
            if not column.optional and column.since <= record["schema_version"]:
                raise
    return record
