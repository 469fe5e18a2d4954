"""Writes and reads lists of images, one per line.

A line is an index, or a path as it is. A path that would not survive that (a newline in it, spaces around it, `#` at
its start) is written as a JSON string, which begins with a quote. The first line says which data a list is of and what
follows, so that a list that was cut, changed or drawn from other data is noticed; other programs skip it as a comment.
"""

import codecs
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datavol.cli.console import announce
from datavol.cli.text import shown
from datavol.data.subsets import Indices, Subset
from datavol.errors import ConfigError

HEAD, FORMAT, DIGITS = "# datavol list", 1, 12
WRITTEN = re.compile(
    rf"{HEAD} {FORMAT}: data=\S+, fingerprint (?P<fingerprint>[0-9a-f]{{{DIGITS}}}), (?P<images>\d+) images, "
    rf"sha256 (?P<digest>[0-9a-f]{{{DIGITS}}})"
)


def list_line(name: str) -> str:
    r"""Write a name so that `read_subset` reads the same name.

    >>> print(list_line("cat/1.png"), list_line("#1/a b.png"), list_line("cat/new\nline.png"))
    cat/1.png "#1/a b.png" "cat/new\nline.png"
    """
    plain = name.isprintable() and name == name.strip() and name[:1] not in ("", "#", '"') and not name.isdecimal()
    return name if plain else json.dumps(name)  # in ASCII: bytes that are no UTF-8 come back as they were


def list_text(data: str, fingerprint: str, lines: Sequence[str]) -> str:
    """Write a list with its head."""
    name = re.sub(r"[^\x21-\x2b\x2d-\x7e]", "_", data)  # a comma or a space would end it
    head = f"data={name}, fingerprint {fingerprint[:DIGITS]}, {len(lines)} images, sha256 {_digest(lines)}"
    return "".join(f"{line}\n" for line in (f"{HEAD} {FORMAT}: {head}", *lines))


@dataclass(frozen=True)
class _Head:
    """Holds what a list says of itself."""

    fingerprint: str
    images: int
    digest: str


def read_subset(
    path: Path, labels: Indices, classes: Sequence[str], keys: Sequence[str], fingerprint: str | None = None
) -> Subset:
    """Import a published list, one index or relative path per line.

    Blank lines and `#` comments are skipped, and quoted names read as `list_line` writes them. A path may be given
    without its class folder (as in SimCLR's lists of ImageNet files), if its name is unique. A list of other data, by
    its head, is refused if it has indices; if it has names that are all here, a warning says so.

    Args:
        path: The text file.
        labels: The class of every image of the full training set, shape (N_full,).
        classes: The classes' names.
        keys: Every image's relative path, or its index as text.
        fingerprint: That of the data, to compare with the list's head.

    Raises:
        ConfigError: For a missing file, an unknown or repeated line, an empty list, a class without images, or a list
            that is not as its head says.
    """
    lines, head = _checked(_lines("subset_file", path), keys, path)
    if head and fingerprint and not fingerprint.startswith(head.fingerprint):
        _other_data(path, head, fingerprint, lines)
    indices = np.array(_positions("subset_file", lines, keys, path, "the training set"), dtype=np.int64)
    different = len(np.unique(indices))
    if len(indices) == 0 or different != len(indices):
        raise ConfigError(
            f"subset_file must list at least one image and none twice, got {len(indices)} lines with "
            f"{different} images in {path}; remove what is repeated"
        )
    counts = np.bincount(labels[indices], minlength=len(classes))
    if (counts == 0).any():
        missing = classes[int(np.argmin(counts))]
        raise ConfigError(
            f"subset_file must hold an image of every class, got none of {shown(missing)} in {path}; add some"
        )
    return Subset(np.sort(indices), tuple(counts.tolist()), len(labels), len(indices) / len(labels), "listed", 0)


def listed_positions(key: str, path: Path, keys: Sequence[str], of: str) -> Indices:
    """Read the positions, among `keys`, of what a list names.

    Raises:
        ConfigError: If the file is missing or unreadable, or a line is unknown; `key` is the one that points to it.
    """
    return np.array(_positions(key, _lines(key, path), keys, path, of), dtype=np.int64)


def _lines(key: str, path: Path) -> list[str]:
    """Read a list's lines, in UTF-8 or as PowerShell writes them."""
    if not path.is_file():
        raise ConfigError(f"{key} must be a text file with one index or path per line, got {path}; check the path")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{key} must be readable, got {path} ({error.strerror}); check the path") from error
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    text = content.decode(encoding, errors="surrogateescape" if encoding == "utf-8-sig" else "replace")
    # Not `splitlines`, which also splits at characters that names may hold
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return [line for line in lines if line.strip()]


def _checked(lines: list[str], keys: Sequence[str], path: Path) -> tuple[list[str], _Head | None]:
    """Take a list's head off, and compare the list with it.

    Raises:
        ConfigError: If it is of another format, or its lines are not those that were written.
    """
    # Anywhere: a sorted list is the same list
    heads = [line for line in lines if line.strip().startswith(f"{HEAD} ") and line not in keys]
    if not heads:
        return lines, None
    found = WRITTEN.fullmatch(heads[0].strip())
    if len(heads) > 1 or found is None:
        got = f"{len(heads)} of them" if len(heads) > 1 else shown(heads[0].strip())
        raise ConfigError(
            f"subset_file must have one head of format {FORMAT} ({HEAD} {FORMAT}: ...), got {got} in {path}; write it "
            "again with python -m datavol.subset"
        )
    head = _Head(found["fingerprint"], int(found["images"]), found["digest"])
    lines = [line for line in lines if line != heads[0]]
    listed = [line for line in lines if not line.strip().startswith("#")]
    if len(listed) != head.images or _digest(listed) != head.digest:
        got = f"{len(listed):,} lines" if len(listed) != head.images else "other lines"
        raise ConfigError(
            f"subset_file must have the {head.images:,} lines that its head says, got {got} in {path}; write it again "
            "with python -m datavol.subset, or remove its head if it was changed on purpose"
        )
    return lines, head


def _other_data(path: Path, head: _Head, fingerprint: str, lines: list[str]) -> None:
    """Refuse a list of other data with indices; warn with names."""
    if all(line.strip().isdecimal() or line.strip().startswith("#") for line in lines):
        raise ConfigError(
            f"subset_file must be a list of these data if it has indices, got one of fingerprint {head.fingerprint} in "
            f"{path}, and {fingerprint[:DIGITS]} here; write it again with python -m datavol.subset"
        )
    announce(
        [
            f"warning: subset_file={path} was written for other data (fingerprint {head.fingerprint}, and "
            f"{fingerprint[:DIGITS]} here), where all of its images are"
        ]
    )


def _digest(lines: Iterable[str]) -> str:
    """Hash lines in any order."""
    whole = "\n".join(sorted(line.strip() for line in lines))
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]


def _positions(key: str, lines: list[str], keys: Sequence[str], path: Path, of: str) -> list[int]:
    """Find the lines' positions among the keys."""
    names = [key.rpartition("/")[2] for key in keys]
    count = Counter(names)  # a bare name counts where only one file has it; whole paths come second and win
    known = {name: position for position, name in enumerate(names) if count[name] == 1}
    known |= {key: position for position, key in enumerate(keys)}
    # A comment, unless an image is named like it
    lines = [line for line in lines if not line.strip().startswith("#") or line in known]
    if all(line.strip().isdecimal() for line in lines):
        positions = [int(line) for line in lines]
        unknown = [str(position) for position in positions if position >= len(keys)]
    else:
        wanted = [_name(line, known) for line in lines]
        unknown = [name for name in wanted if name not in known]
        positions = [known.get(name, -1) for name in wanted]
    if unknown:
        door = "subset" if key == "subset_file" else "audit"
        raise ConfigError(
            f"{key} must list images of {of}, got {shown(unknown[0])}, unknown or not unique, in "
            f"{path} ({len(unknown)} in all); compare it with python -m datavol.{door}"
        )
    return positions


def _name(line: str, known: dict[str, int]) -> str:
    """Read a line's name: as it is, quoted, or between spaces."""
    if line not in known and line.startswith('"'):
        try:
            name = json.loads(line)
        except ValueError:  # a name that begins with a quote
            return line
        return name if isinstance(name, str) else line
    return line if line in known else line.strip()
