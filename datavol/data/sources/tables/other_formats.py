"""Refuses tables that are no text, with how to convert them."""

import json
import os
import shlex
from typing import Any

from datavol.cli.text import shown
from datavol.data.sources.tables.columns import Table
from datavol.errors import ConfigError

SAVE = "save it as CSV in the program that wrote it"
BEGINNINGS = (  # of files: what they are for people, and what makes CSV of them
    (b"PAR1", "a Parquet file", "import pandas; pandas.read_parquet({file}).to_csv({csv}, index=False)"),
    (b"PK\x03\x04", "a spreadsheet or a zip archive", ""),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet of Excel", ""),
    (b"\x1f\x8b", "a gzip archive", "import gzip; open({csv}, 'wb').write(gzip.open({file}).read())"),
    (b"SQLite format 3", "a database", ""),
)
JSON = {
    ".json": "import pandas; pandas.read_json({file}).to_csv({csv}, index=False)",
    ".jsonl": "import pandas; pandas.read_json({file}, lines=True).to_csv({csv}, index=False)",
    ".ndjson": "import pandas; pandas.read_json({file}, lines=True).to_csv({csv}, index=False)",
}
PAIRS = (
    "import json, pandas; pandas.Series(json.load(open({file}))).to_csv({csv}, index_label='path', header=['label'])"
)


def check_is_text(content: bytes, table: Table) -> None:
    """Raise a ConfigError for a file known to be no text table."""
    ending = os.path.splitext(table.path)[1].lower()
    if ending in JSON:
        raise _refused(table, "JSON", PAIRS if ending == ".json" and _is_pairs(content) else JSON[ending])
    for mark, kind, code in BEGINNINGS:
        if content.startswith(mark):
            raise _refused(table, kind, code)


def _is_pairs(content: bytes) -> bool:
    """Return whether JSON is `{"a.png": "cat"}`."""
    try:
        read: Any = json.loads(content)
    except ValueError:
        return False
    return isinstance(read, dict) and not any(isinstance(value, (dict, list)) for value in read.values())


def _refused(table: Table, kind: str, code: str) -> ConfigError:
    csv = f"{os.path.splitext(table.path)[0]}.csv"
    if os.path.exists(csv) and csv != table.path:
        csv = f"{table.path}.csv"  # nothing is overwritten
    command = code.format(file=repr(table.path), csv=repr(csv))
    remedy = f"convert it: python -c {shlex.quote(command)}" if code else SAVE
    return ConfigError(f"{table.key} must be a CSV file, got {kind} in {shown(table.path)}; {remedy}")
