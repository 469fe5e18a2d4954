"""Reads a table's text into rows: encoding, separator, header."""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from datavol.cli.text import shown
from datavol.data.sources.files.image_names import IMAGE_ENDINGS, UNREAD_ENDINGS, kind_of
from datavol.data.sources.place import read_file
from datavol.data.sources.tables.columns import Columns, Table, candidates, check_numbers, choose_columns, positions
from datavol.data.sources.tables.encoding import decode, readings, several_readings
from datavol.data.sources.tables.other_formats import check_is_text
from datavol.errors import ConfigError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
COMMENTS, EMPTY = "comment lines", "empty rows"
PROVEN = 20  # paths that tell an encoding
Record = tuple[int, list[str]]  # the number of its last line, and its fields


@dataclass
class Sheet:
    """Holds a table whose columns are known; reads its rows on demand."""

    table: Table
    text: str
    encoding: str
    separator: str
    header: list[str] | None  # None if the first line is an image's already
    columns: Columns
    skipped: Counter[str] = field(default_factory=Counter)  # lines that are no rows; known once all are read

    @property
    def words(self) -> str:
        """Say with which columns, separator and encoding the table is read.

        One such text is `columns image, breed; semicolons; cp1252`.
        """
        numbers = [self.columns.path, self.columns.label, self.columns.split]
        chosen = [number for number in numbers if number is not None]
        names = [shown(self.header[i]) if self.header else str(i + 1) for i in chosen]
        first = f"columns {', '.join(names)}" + ("" if self.header else ", no line of names")
        encoding = self.encoding.upper() if self.encoding.startswith("utf") else self.encoding
        return f"{first}; {SEPARATORS[self.separator]}; {encoding.removesuffix('-SIG')}"

    def rows(self) -> Iterator[Record]:
        """Read the rows, each with a field for every column.

        Fields that are missing at the end of a row are empty.

        Raises:
            ConfigError: If one has more fields than columns.
        """
        self.skipped.clear()
        width = len(self.header) if self.header else 0
        in_order = records(self.text, self.separator, self.table, self.skipped)
        if self.header:
            next(in_order)
        for line, fields in in_order:
            width = width or len(fields)
            if any(fields[width:]):
                raise ConfigError(
                    f"{self.table.key} must have a field per column, got more on line {line} of "
                    f"{shown(self.table.path)}; quote commas in names"
                )
            yield line, fields + [""] * (width - len(fields))


def open_sheet(
    table: Table, asked: dict[str, str | None], encoding: str | None, is_file: Callable[[str], bool]
) -> Sheet:
    """Open a table and find its columns.

    Raises:
        ConfigError: If it is unreadable, or allows no reading or several.
    """
    content = read_bytes(table)
    if encoding is None and (kept := _with_raw_paths(content, table, asked, is_file)):
        return kept
    found = [encoding] if encoding is not None else readings(content)
    sheets = [_sheet(decode(content, one, table), one, table, asked, is_file) for one in found]
    if len(sheets) > 1:
        sheets = [sheet for sheet in sheets if _leads_to_files(sheet, is_file)]
    if len(sheets) != 1:
        raise several_readings(content, table)
    return sheets[0]


def _leads_to_files(sheet: Sheet, is_file: Callable[[str], bool]) -> bool:
    """Return whether paths with letters beyond ASCII are those of files.

    If so, that speaks for the encoding. False without such paths.
    """
    paths = [row[sheet.columns.path] for _, row in sheet.rows() if not row[sheet.columns.path].isascii()]
    return bool(paths) and all(map(is_file, paths[:PROVEN]))


def _with_raw_paths(
    content: bytes, table: Table, asked: dict[str, str | None], is_file: Callable[[str], bool]
) -> Sheet | None:
    """Read a UTF-8 table whose paths alone are in another encoding.

    Such paths are the bytes of files' names. None for any other table.
    """
    text = content.decode("utf-8", "surrogateescape")
    if is_unicode(text) or text.startswith(("\udcff\udcfe", "\udcfe\udcff")):  # or UTF-16
        return None
    try:
        sheet = _sheet(text, "utf-8", table, asked, is_file)
        rows = [row for _, row in sheet.rows() if not all(map(is_unicode, row))]
    except ConfigError:
        return None
    path, label = sheet.columns.path, sheet.columns.label
    return sheet if all(is_unicode(row[label]) and is_file(row[path]) for row in rows) else None


def is_unicode(text: str) -> bool:
    """Return whether text was read without bytes that are no UTF-8."""
    return not re.search("[\udc80-\udcff]", text)


def _sheet(
    text: str, encoding: str, table: Table, asked: dict[str, str | None], is_file: Callable[[str], bool]
) -> Sheet:
    """Choose the separator and the columns of a text."""
    text = re.sub(r"\Asep=.\r?\n", "\n", text)  # Excel's hint
    separator = _separator(text, asked, table)
    lines = records(text, separator, table)
    first, second = ([value.strip() for value in next(lines, (0, []))[1]] for _ in range(2))
    if (numbered := positions(asked)) and not {asked["path"], asked["label"]} <= set(first):
        check_numbers(numbered, asked, len(first), table)
        # A first line without an image above one with an image has the columns' names
        above, below = (
            numbered.path < len(row) and (_is_image(row[numbered.path]) or is_file(row[numbered.path]))
            for row in (first, second)
        )
        return Sheet(table, text, encoding, separator, first if below and not above else None, numbered)
    if not _has_names(first, asked) and (columns := _without_names(first, separator, table, is_file)):
        return Sheet(table, text, encoding, separator, None, columns)
    chosen = choose_columns(first, asked, second, is_file, table)
    return Sheet(table, text, encoding, separator, first, chosen)


def _without_names(
    first: Sequence[str], separator: str, table: Table, is_file: Callable[[str], bool]
) -> Columns | None:
    """Take the columns of a list without a line of names.

    Caffe has such lists. None where the first line does not hold one path beside other values.

    Raises:
        ConfigError: If a table lacks that line.
    """
    paths = [i for i, value in enumerate(first) if _is_image(value) or is_file(value)]
    if len(paths) != 1 or len(first) < 2:
        return None
    path, label = paths[0], 1 if paths[0] == 0 else 0
    if len(first) == 2 and separator in " \t":
        return Columns(path, label, None)
    command = re.sub(r" '?data\.columns\.\S+", "", table.command)
    raise ConfigError(
        f"{table.key} must have the names of its columns in the first line, got {shown(separator.join(first))} in "
        f"{shown(table.path)}; try {command} data.columns.path={path + 1} data.columns.label={label + 1}"
    )


def read_bytes(table: Table) -> bytes:
    """Read a table's file, which must be text."""
    try:
        content = read_file(table.path, table.cache_dir)
    except OSError as error:
        raise unreadable(table, error.strerror or str(error)) from error
    check_is_text(content, table)
    return content


def unreadable(table: Table, reason: object) -> ConfigError:
    """Word a table that cannot be read."""
    return ConfigError(f"{table.key} must be a readable CSV file, got {table.path} ({reason}); check {table.key}")


def records(text: str, separator: str, table: Table, skipped: Counter[str] | None = None) -> Iterator[Record]:
    """Split text into records, without comments and empty ones, which are counted."""
    counted = Counter[str]() if skipped is None else skipped
    try:
        for line, fields in _split(text, separator):
            if fields and fields[0] and fields[0][0] != "#":  # nearly all
                yield line, fields
                continue
            filled = [value for value in fields if value.strip()]
            # `#owl/1.png,owl` is an image; a comment has no further field, or a space behind its sign
            if filled and filled[0].startswith("#") and (len(filled) == 1 or filled[0].startswith("# ")):
                counted[COMMENTS] += 1
            elif filled:
                yield line, fields
            elif fields:
                counted[EMPTY] += 1
    except csv.Error as error:
        raise unreadable(table, error) from error


def _split(text: str, separator: str) -> Iterator[Record]:
    if separator == " ":  # a path may hold spaces; the label is what follows the last
        for number, line in enumerate(text.splitlines(), 1):
            yield number, line.strip().rsplit(maxsplit=1)
        return
    # strict: a quote that is never closed would swallow all rows after it
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    for fields in reader:
        yield reader.line_num, fields


def _separator(text: str, asked: dict[str, str | None], table: Table) -> str:
    """Choose the separator that gives most of the columns, then most fields."""

    def score(separator: str) -> tuple[int, int]:
        try:
            first = [value.strip() for value in next(records(text, separator, table), (0, []))[1]]
        except ConfigError:  # quotes that only another separator makes sense of
            return -1, 0
        if separator == " ":
            return (0, 1) if not (_has_names(first, asked) or _is_image(first[0] if first else "")) else (0, 2)
        return sum(bool(candidates(first, role, asked[role])) for role in ("path", "label")), len(first)

    scores = {separator: score(separator) for separator in SEPARATORS}
    best = max(SEPARATORS, key=lambda separator: scores[separator])
    return "," if scores[best] == (-1, 0) else best


def _has_names(first: Sequence[str], asked: dict[str, str | None]) -> bool:
    """Return whether a first line names a column that is looked for."""
    return any(candidates(first, role, asked[role]) for role in ("path", "label"))


def _is_image(value: str) -> bool:
    return kind_of(os.fsencode(os.path.basename(value))) in IMAGE_ENDINGS | UNREAD_ENDINGS
