"""Maps recorded facts of `runs.columns` to W&B keys, and back."""

from collections.abc import Iterator
from typing import Any

from datavol.runs import columns
from datavol.runs.columns import Json, lookup, place


def sent_to_wandb(record: Json) -> Iterator[tuple[str, Any]]:
    """List the facts that W&B gets, as (key there, value)."""
    for column in columns.COLUMNS:
        if column.wandb is None or column.path is None:
            continue
        value = column.value(record)
        if value is not None and column.type is str and value != column.absent:
            value = lookup(record, column.path)  # of a section's JSON W&B gets the section, to filter runs by its keys
        if value is not None and value != column.absent:
            yield column.wandb, value


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
