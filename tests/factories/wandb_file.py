"""Reads the file of an offline W&B run.

It holds protobuf records of wandb's schema in LevelDB's log framing. wandb 0.31 ships the
schema but no reader in Python; `wandb sync` reads these files in its own service process.
"""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

Record: Any = wandb_internal_pb2.Record  # type: ignore[attr-defined]  # its classes appear only at run time

FILE_HEADER = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)
BLOCK_BYTES = 32 * 1024  # blocks count from the start of the file, so the first one holds the file's header
CHUNK_HEADER = struct.Struct("<IHB")  # checksum, length, kind
FULL, LAST = 1, 4  # the kinds of chunk that end a record; 2 and 3 begin and go on


@dataclass
class WandbFile:
    run: Any = None  # wandb's RunRecord: run_id, run_group, tags, resume, ...
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: list[Any] = field(default_factory=list)
    artifacts: list[Any] = field(default_factory=list)
    exit_code: int | None = None


def read_wandb_file(path: Path) -> WandbFile:
    file = WandbFile()
    for record in map(Record.FromString, _records(path.read_bytes())):
        match record.WhichOneof("record_type"):
            case "run":
                file.run, file.config = record.run, file.config | _values(record.run.config.update)
            case "config":
                file.config |= _values(record.config.update)
            case "history":
                file.rows.append(_values(record.history.item))
            case "summary":
                file.summary |= _values(record.summary.update)
            case "metric":
                file.metrics.append(record.metric)
            case "artifact":
                file.artifacts.append(record.artifact)
            case "exit":
                file.exit_code = record.exit.exit_code
    return file


def _records(data: bytes) -> Iterator[bytes]:
    assert data.startswith(FILE_HEADER)
    at, record = len(FILE_HEADER), b""
    while at + CHUNK_HEADER.size <= len(data):
        left = BLOCK_BYTES - at % BLOCK_BYTES
        if left < CHUNK_HEADER.size:  # too little for a chunk: padding
            at += left
            continue
        _, length, kind = CHUNK_HEADER.unpack_from(data, at)
        at += CHUNK_HEADER.size + length
        record += data[at - length : at]
        if kind in (FULL, LAST):
            yield record
            record = b""


def _values(items: Iterable[Any]) -> dict[str, Any]:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
