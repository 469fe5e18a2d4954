"""Parses many `metrics.csv` into one frame."""

import io
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from datavol.errors import ConfigError, flat
from datavol.runs.columns import FIRST_EPOCH_COLUMNS

CHUNK_BYTES = 2**25
Table = tuple[int, bytes]  # the index of a run, and its `metrics.csv`


def check_table(text: bytes, evaluations: int) -> None:
    """Raise a ConfigError unless a table holds its evaluations in whole rows."""
    rows = max(0, text.count(b"\n") - 1)
    if rows < evaluations:
        raise ConfigError(f"metrics.csv must hold the {evaluations} evaluations of run.json, got {rows} whole rows")
    commas = text.partition(b"\n")[0].count(b",")  # no field is quoted, so every row has as many as the header
    if text and (not text.endswith(b"\n") or text.count(b",") != commas * (rows + 1)):
        raise ConfigError("metrics.csv must hold whole rows, got one that is cut off")


def stacked(tables: Iterable[Table]) -> tuple[pd.DataFrame, dict[int, str]]:
    """Stack tables into one frame, chunk by chunk.

    Returns:
        The frame, with the runs' indices in its first column `run`, and by index the reason of what it leaves out.
    """
    frames, reasons = [], {}
    # Parsing some hundred tables as one text is twice as fast as one by one; chunks bound the memory that it takes
    for chunk in _chunks(tables):
        try:
            frames.append(_parsed(chunk))
        except ConfigError as error:
            if len(chunk) == 1:
                reasons[chunk[0][0]] = str(error)
                continue
            for table in chunk:  # one of them is to blame: each is parsed alone, and the good ones are kept
                alone, reason = stacked([table])
                frames.append(alone)
                reasons |= reason
    return together(frames), reasons


def together(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Concatenate frames of budget epochs; none give an empty one."""
    if not (frames := [frame for frame in frames if len(frame)]):  # it has the first columns, with their types
        return pd.DataFrame(columns=["run", *FIRST_EPOCH_COLUMNS], dtype=float).astype({"run": int})
    return pd.concat(frames, ignore_index=True)


def _chunks(tables: Iterable[Table]) -> Iterator[list[Table]]:
    """Group neighbours with the same header, up to `CHUNK_BYTES`."""
    chunk: list[Table] = []
    size = 0
    for index, text in tables:
        if chunk and (size > CHUNK_BYTES or _header(text) != _header(chunk[0][1])):
            yield chunk
            chunk, size = [], 0
        chunk.append((index, text))
        size += len(text)
    if chunk:
        yield chunk


def _header(text: bytes) -> bytes:
    return text[: text.index(b"\n") + 1]


def _parsed(chunk: list[Table]) -> pd.DataFrame:
    header = _header(chunk[0][1])
    bodies = [text[len(header) :] for _, text in chunk]  # the rows of each run, all under the one header
    try:
        table = pd.read_csv(io.BytesIO(header + b"".join(bodies)), low_memory=False)
    except ValueError as error:
        raise ConfigError(f"metrics.csv must be a table, got: {flat(error)}") from None
    wrong = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    if wrong or not set(FIRST_EPOCH_COLUMNS) <= set(table):
        raise ConfigError(f"metrics.csv must hold numbers under datavol's columns, got {wrong or list(table)}")
    # Each run's index as often as it has rows; `check_table` saw that each row ends in a newline
    table.insert(0, "run", np.repeat([index for index, _ in chunk], [body.count(b"\n") for body in bodies]))
    return table
