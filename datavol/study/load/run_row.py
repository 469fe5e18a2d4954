"""Reads a record as one flat row, by the table of `datavol.runs.columns`."""

from typing import Any

from datavol.errors import ConfigError
from datavol.runs import columns
from datavol.runs.columns import Column, Json, Value

STATES_OF_RECORDS = ("running", "finished", "failed")


def run_row(record: Json) -> dict[str, Any]:
    """Read a record as a row.

    Raises:
        ConfigError: If it is empty, or is not what datavol writes.
    """
    if not record:
        raise ConfigError("run.json is missing: the run never started, or its folder was copied in part")
    if record.get("state") not in STATES_OF_RECORDS:
        raise ConfigError(f"run.json must have a state that datavol writes, got {record.get('state')!r}")
    try:
        row = {column.name: column.value(record) for column in recorded_columns()}
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise ConfigError(
            f"run.json must be a whole record, got one that is not: {type(error).__name__} {error}"
        ) from None
    _check(row, record.get("schema_version", 1))
    return row


def partial_row(record: Json) -> dict[str, Value]:
    """Read a partial record's facts; missing ones are None or NaN."""
    row: dict[str, Value] = {}
    for column in recorded_columns():
        try:
            row[column.name] = column.value(record)
        except LookupError:
            row[column.name] = None
    return row


def recorded_columns() -> list[Column]:
    """List the columns read from a record rather than its path."""
    return [column for column in columns.COLUMNS if column.path is not None]


def columns_of(kind: type) -> list[str]:
    """List the names of the columns of one type."""
    return [column.name for column in columns.COLUMNS if column.type is kind]


def _check(row: dict[str, Any], version: int) -> None:
    """Raise a ConfigError unless all facts have their type and range."""
    # One odd value would turn its column of the frame of all runs into objects
    for column in recorded_columns():
        value, kind = row[column.name], column.type
        if value is None and (column.optional or column.since > version):
            continue
        # `type` rather than `isinstance`, since True is an int; 2**63, since the frame's integers have 64 bits
        if type(value) is not kind or (kind is int and not 0 <= row[column.name] < 2**63):
            raise ConfigError(f"run.json must hold a fact of type {kind.__name__} for {column.name}, got {value!r}")
    fraction, images, full_size = row["fraction"], row["images"], row["full_size"]
    if not (0 < fraction <= 1 and 0 < images <= full_size):
        raise ConfigError(f"run.json must hold a subset of the full set, got {images} of {full_size}")
    if row["state"] == "finished" and not 0 <= row["top1"] <= 1:
        raise ConfigError(f"run.json must hold the last top-1 of a finished run, got {row['top1']}")
