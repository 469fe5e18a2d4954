"""Fills the documentation's tables from the code, as an MkDocs hook.

A page asks for a table by a comment of its own, `<!-- table: keys data -->`: the name of a function in `TABLES`, and
its arguments. `tests/test_docs.py` calls the same functions.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import Any
from unittest import mock

from omegaconf import OmegaConf

from datavol.__main__ import COMMANDS
from datavol.config.command_line.keys import sections_in
from datavol.config.command_line.meanings import OPEN_GROUPS, meanings
from datavol.config.compose import HYDRA_VERSION
from datavol.config.run import Config
from datavol.config.section import NOT_ADDED, Section, conf_dir, keys_of, marks
from datavol.runs.columns import COLUMNS, EPOCH_COLUMNS

MARK = re.compile(r"^<!-- table: (.+) -->$", re.MULTILINE)
FENCE = re.compile(r"^( *)```bash needs=(\w+)$", re.MULTILINE)
NEEDS = {
    "data": "needs data of your own",
    "gpu": "needs GPUs",
    "code": "needs files of your own, as above",
    "cluster": "needs a cluster with SLURM",
    "account": "needs a Weights & Biases account",
    "study": "needs a study of your own",
    "download": "needs a download",
}
"""Why the tests only check a command's keys and do not run it: the word in its fence, and what the reader sees."""


@dataclass(frozen=True)
class Key:
    """Describes one key of the schema, with its defaults by choice."""

    path: str
    rule: str
    hashed: str
    meaning: str
    defaults: dict[str, Any]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill a page's tables and name what marked commands need."""
    filled = MARK.sub(lambda mark: table(*mark[1].split()), markdown)
    return FENCE.sub(lambda fence: f'{fence[1]}```bash title="{NEEDS[fence[2]]}"', filled)


def table(name: str, *arguments: str) -> str:
    """Write one table as Markdown."""
    return TABLES[name](*arguments)


@cache
def schema_keys() -> tuple[Key, ...]:
    """List every key of the schema that holds a value."""
    return tuple(_keys(Config, "", True))


def _keys(section: type[Section], prefix: str, hashed: bool) -> Iterator[Key]:
    """Walk a section; inside an unhashed one nothing is hashed."""
    for name, field in keys_of(section).items():
        path, counts = f"{prefix}{name}", hashed and marks(field)["hashed"]
        if inner := sections_in(field.annotation):
            found = [key for one in inner for key in _keys(one, f"{path}.", counts)]
            rules = {key.path: dict[str, None]() for key in found}  # the sections of a union share most of their keys
            for key in found:
                rules[key.path][key.rule] = None
            once = {key.path: key for key in reversed(found)}
            yield from (replace(once[path], rule=" or ".join(said)) for path, said in rules.items())
            continue
        group = path.partition(".")[0]
        choices = _choices(group) if group in OPEN_GROUPS else ("",)
        values = {choice: _flat(_composed(group, choice)) for choice in choices}
        defaults = {choice: value[path] for choice, value in values.items() if path in value}
        rule, comment = field.description, meanings().get(path, "")
        yield Key(path, rule, _in_hash(field, counts), "" if comment in rule else comment, defaults)


def _in_hash(field: Any, counts: bool) -> str:
    """Say whether, or unless which value, a key enters the hash."""
    added = marks(field).get("added", NOT_ADDED)
    return "no" if not counts else "yes" if added is NOT_ADDED else f"unless `{_written(added)}`"


def _choices(group: str) -> tuple[str, ...]:
    return tuple(sorted(file.stem for file in (conf_dir() / group).glob("*.yaml")))


@cache
def _composed(group: str, choice: str) -> Any:
    """Compose `conf/` with one choice; references such as `${seed}` stay."""
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(conf_dir()), version_base=HYDRA_VERSION):
        return OmegaConf.to_container(compose("config", [f"{group}={choice}"] if choice else []), resolve=False)


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested values by their paths; lists are values."""
    if not isinstance(values, dict) or not values:
        return {prefix.removesuffix("."): values}
    return {path: leaf for name, inner in values.items() for path, leaf in _flat(inner, f"{prefix}{name}.").items()}


def key_table(group: str) -> str:
    """Write the keys of one group; `run` means those outside all."""
    chosen = [
        key for key in schema_keys() if key.path.startswith(f"{group}.") or (group == "run" and "." not in key.path)
    ]
    if not chosen:
        raise KeyError(f"no key of the schema belongs to {group}")
    rows = [[f"`{key.path}`", key.meaning, key.rule, _default(key.defaults), key.hashed] for key in chosen]
    return markdown_table(["key", "meaning", "must be", "default", "in the hash"], rows)


def _default(defaults: dict[str, Any]) -> str:
    """Write the most frequent default, then others with their choices."""
    by_value: dict[str, list[str]] = {}
    for choice, value in defaults.items():
        by_value.setdefault(_written(value), []).append(choice)
    if len(defaults) > 2 and set(by_value) == set(defaults):
        return "the choice's own name"
    first, *others = sorted(by_value, key=lambda value: -len(by_value[value]))
    return "; ".join([f"`{first}`", *(f"`{value}` in {', '.join(by_value[value])}" for value in others)])


def _written(value: Any) -> str:
    """Write a value as the command line does."""
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return str(value) if isinstance(value, str) else json.dumps(value)


def choice_table(group: str) -> str:
    """Write the choices of one group with their files' first lines."""
    rows = []
    for file in sorted((conf_dir() / group).glob("*.yaml")):
        first = file.read_text().splitlines()[0]
        rows.append([f"`{group}={file.stem}`", first.removeprefix("# ") if first.startswith("#") else ""])
    return markdown_table(["choice", "what"], rows)


def launcher_table() -> str:
    """Write the keys of the SLURM launcher with their defaults."""
    file = conf_dir() / "hydra" / "launcher" / "submitit_slurm.yaml"
    rows = []
    for line in file.read_text().splitlines():
        written = re.match(r"(\w+): (.*?)(?: +# (.*))?$", line)
        if written and written[1] != "_target_":
            rows.append([f"`hydra.launcher.{written[1]}`", f"`{written[2]}`", written[3] or ""])
    return markdown_table(["key", "default", "what"], rows)


def experiment_list() -> str:
    """Write the heads of all files of `conf/experiment/`."""
    parts = []
    for file in sorted((conf_dir() / "experiment").rglob("*.yaml")):
        name = file.relative_to(conf_dir() / "experiment").with_suffix("").as_posix()
        head = [line.removeprefix("#").rstrip() for line in _head(file.read_text())]
        parts.append(f"### {name}\n\n" + _paragraphs(head))
    return "\n\n".join(parts)


def _head(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.startswith("# @package")]
    return lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]


def _paragraphs(head: Sequence[str]) -> str:
    """Write a head: labelled lines (`Command: ...`) as a list."""
    text, items = list[str](), list[str]()
    for line in (line.removeprefix(" ") for line in head):
        labelled = re.match(r"(\w+): +(.*)", line)
        if labelled:
            items.append(f"**{labelled[1]}** " + (f"`{labelled[2]}`" if labelled[1] == "Command" else labelled[2]))
        elif line.startswith(" ") and items:
            items[-1] = _continued(items[-1], line.strip())
        elif items:
            items.append(line)
        else:
            text.append(line)
    return "\n".join([*text, "", *(f"- {item}" for item in items)])


def _continued(item: str, line: str) -> str:
    """Join a continued line; a command over two lines stays one."""
    if item.endswith("\\`"):
        return f"{item.removesuffix('`').removesuffix(chr(92)).rstrip()} {line}`"
    return f"{item} {line}"


def command_help(name: str) -> str:
    """Write what `python -m datavol.<name> --help` prints."""
    out = io.StringIO()
    arguments = mock.patch.object(sys, "argv", [f"datavol.{name}", "--help"])
    narrow = mock.patch.dict("os.environ", {"COLUMNS": "100"})
    with arguments, narrow, contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        import_module(f"datavol.{name}").main()
    own = out.getvalue().partition("In brackets:")[0]  # the keys stand in the configuration's tables
    return f"```text\n{own.strip()}\n```"


def command_table() -> str:
    """Write the commands with what each does."""
    return markdown_table(["command", "what"], [[f"`datavol {name}`", what] for name, what in COMMANDS.items()])


def column_table() -> str:
    """Write the columns of `Study.runs`, with their places elsewhere."""
    rows = []
    for column in COLUMNS:
        place = {None: "(known from the folder)", "": "(several keys)"}.get(column.path, f"`{column.path}`")
        missing = "yes" if column.optional else "NaN" if column.type is float else "no"
        wandb = f"`{column.wandb}`" if column.wandb else ""
        rows.append([f"`{column.name}`", column.type.__name__, column.meaning, missing, place, wandb])
    return markdown_table(["column", "type", "meaning", "may be missing", "in `run.json`", "in the W&B config"], rows)


def epoch_column_table() -> str:
    """Write the columns of `metrics.csv`."""
    return markdown_table(["column", "meaning"], [[f"`{name}`", text] for name, text in EPOCH_COLUMNS.items()])


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def file_block(path: str) -> str:
    """Write a Python file of the repository as a block of code."""
    return f'```python title="{path.rpartition("/")[2]}"\n{(conf_dir().parent / path).read_text()}```'


TABLES = {
    "file": file_block,
    "keys": key_table,
    "choices": choice_table,
    "launcher": launcher_table,
    "experiments": experiment_list,
    "help": command_help,
    "commands": command_table,
    "columns": column_table,
    "epoch_columns": epoch_column_table,
}
