"""Reads what each key means from the comments of `conf/`, and lists keys with it."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, reduce
from operator import getitem
from typing import Any

from datavol.cli.text import written
from datavol.config.command_line.keys import all_keys, choices, field_of, owners_of, sections_in
from datavol.config.run import Config
from datavol.config.section import conf_dir

OPEN_GROUPS = ("model", "data", "trainer", "logger", "recipe")
"""Groups of `conf/` whose section depends on the choice."""

WIDTH, COLUMN = 79, 26


@cache
def meanings() -> dict[str, str]:
    """Read the comments beside the keys of `conf/`, by path.

    Of a key that a base sets the base's counts: a choice's remark on its own value says nothing of the key. Of the
    others one counts that most of the files share that set the key.
    """
    bases = _said(["base"])
    found = {path: said[0] for path, said in bases.items()}
    for path, said in _said(OPEN_GROUPS).items():
        most = max(set(said), key=said.count)
        if path not in bases and 2 * said.count(most) > len(said):
            found[path] = most
    return found


def _said(folders: Sequence[str]) -> dict[str, list[str]]:
    """Collect the comments of lines that set a key, by path."""
    found: dict[str, list[str]] = {}
    files = [conf_dir() / "config.yaml"]
    files += [file for folder in folders for file in sorted((conf_dir() / folder).rglob("*.yaml"))]
    for file in files:
        parents = [part for part in file.relative_to(conf_dir()).parts[:-1] if part != "base"]
        indents: list[tuple[int, str]] = []  # the sections that a line lies in, with their indentation
        for line in file.read_text(encoding="utf-8").splitlines():
            key = re.match(r"( *)(\w+):(?: +([^#]*?))?(?: +# *(.*))?$", line)
            if key is None:
                continue
            while indents and indents[-1][0] >= len(key[1]):
                indents.pop()
            indents.append((len(key[1]), key[2]))
            found.setdefault(".".join([*parents, *(name for _, name in indents)]), []).append(key[4] or "")
    return found


def sentence(path: str) -> str:
    """Write what a key means and what it must be."""
    rule, meaning = field_of(path.split("."))[1].description, meanings().get(path, "")
    if " | " in meaning:  # which lists the values that it may have
        return meaning
    return "; ".join(dict.fromkeys(text for text in ("" if meaning in rule else meaning, rule) if text))


def key_help(values: Mapping[str, Any], groups: Sequence[str] | None = None) -> str:
    """List keys with their sentences and today's values, in 79 columns.

    Args:
        values: A composed configuration; keys of other choices than its own are listed with those choices.
        groups: The sections to list, `""` for keys outside all; by default all of them.
    """
    by_group: dict[str, list[str]] = {}
    for path in dict.fromkeys(all_keys()):
        if not sections_in(field_of(path.split("."))[1].annotation):
            by_group.setdefault(path.partition(".")[0] if "." in path else "", []).append(path)
    order = dict.fromkeys(["", *OPEN_GROUPS, *(group for group in Config.model_fields if group in by_group)])
    lines = ["In brackets: the value as things stand.", ""]
    for group in order if groups is None else groups:
        lines += [_title(group, values), *(line for path in by_group[group] for line in _entry(path, values)), ""]
    return "\n".join(lines)


def _title(group: str, values: Mapping[str, Any]) -> str:
    if not (known := choices(group) if group else []):
        return f"Keys of {group}:" if group else "Keys of the run:"
    title = f"Keys of {group} (choose with {group}={', '.join(known)}):"
    return textwrap.fill(title, WIDTH, subsequent_indent="  ")


def _entry(path: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Write a key's lines: name, meaning, and value beside it."""
    try:
        here = reduce(getitem, path.split("."), values)
        text = f"{sentence(path)} [{written(here)}]"
    except (LookupError, TypeError):  # of another choice
        group = path.partition(".")[0]
        text = f"{sentence(path)} [a key of {group}={', '.join(owners_of(path))}]"
    name, indent = f"  {path}", " " * COLUMN
    wrapped = textwrap.wrap(text, WIDTH - COLUMN, break_on_hyphens=False)
    if len(name) >= COLUMN:
        yield name
        name = ""
    yield f"{name:<{COLUMN}}{wrapped[0]}"
    yield from (indent + line for line in wrapped[1:])
