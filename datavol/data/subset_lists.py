"""Writes and reads lists of images, one per line.

A line is an index, or a path as it is. A path that would not survive that (a newline in it, spaces around it, `#` at
its start) is written as a JSON string, which begins with a quote.
"""

import codecs
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datavol.cli.text import shown
from datavol.data.subsets import Indices, Subset
from datavol.errors import ConfigError


def list_line(name: str) -> str:
    r"""Write a name so that `read_subset` reads the same name.

    >>> print(list_line("cat/1.png"), list_line("#1/a b.png"), list_line("cat/new\nline.png"))
    cat/1.png "#1/a b.png" "cat/new\nline.png"
    """
    plain = name.isprintable() and name == name.strip() and name[:1] not in ("", "#", '"') and not name.isdecimal()
    return name if plain else json.dumps(name)  # in ASCII: bytes that are no UTF-8 come back as they were


def read_subset(path: Path, labels: Indices, classes: Sequence[str], keys: Sequence[str]) -> Subset:
    """Import a published list, one index or relative path per line.

    Blank lines and `#` comments are skipped, and quoted names read as `list_line` writes them. A path may be given
    without its class folder (as in SimCLR's lists of ImageNet files), if its name is unique.

    Args:
        path: The text file.
        labels: The class of every image of the full training set, shape (N_full,).
        classes: The classes' names.
        keys: Every image's relative path, or its index as text.

    Raises:
        ConfigError: For a missing file, an unknown or repeated line, an empty list, or a class without images.
    """
    if not path.is_file():
        raise ConfigError(
            f"subset_file must be a text file with one index or path per line, got {path}; check the path"
        )
    lines = _lines(path)
    indices = np.array(_positions(lines, keys, path), dtype=np.int64)
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


def _lines(path: Path) -> list[str]:
    """Read a list's lines, in UTF-8 or as PowerShell writes them."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"subset_file must be readable, got {path} ({error.strerror}); check the path") from error
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    text = content.decode(encoding, errors="surrogateescape" if encoding == "utf-8-sig" else "replace")
    # Not `splitlines`, which also splits at characters that names may hold
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return [line for line in lines if line.strip()]


def _positions(lines: list[str], keys: Sequence[str], path: Path) -> list[int]:
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
        raise ConfigError(
            f"subset_file must list images of the training set, got {shown(unknown[0])}, unknown or not unique, in "
            f"{path} ({len(unknown)} in all); compare it with python -m datavol.subset"
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
