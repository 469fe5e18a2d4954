"""Makes the folders and tables of `layouts.yaml`, and looks at them as `subset --look` does."""

import itertools
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from datavol import subset
from datavol.config.compose import compose, override
from datavol.config.run import Run

CASES: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "data/sources/folders/layouts.yaml").read_text("utf-8")
)


def expand(text: str) -> Iterator[str]:
    """Expand braces as a shell does.

    >>> list(expand("{a,b}/{8..10}.png"))
    ['a/8.png', 'a/9.png', 'a/10.png', 'b/8.png', 'b/9.png', 'b/10.png']
    """
    parts = re.split(r"\{([^{}\s]*(?:,|\.\.)[^{}\s]*)\}", text)  # every second one stood in braces
    choices = [[part] if i % 2 == 0 else _members(part) for i, part in enumerate(parts)]
    yield from map("".join, itertools.product(*choices))


def _members(inner: str) -> list[str]:
    first, dots, last = inner.partition("..")
    return [f"{i:0{len(first)}}" for i in range(int(first), int(last) + 1)] if dots else inner.split(",")


def make(root: Path, case: dict[str, Any]) -> None:
    """Make a case's files, empty but for its table and those named `image:`."""
    for name in (name for part in shlex.split(case["files"]) for name in expand(part)):
        path, _, target = name.removeprefix("image:").partition("->")
        file = root / path
        (file if path.endswith("/") else file.parent).mkdir(parents=True, exist_ok=True)
        if target:
            file.symlink_to(target)
        elif name.startswith("image:"):
            Image.new("L", (1, 1)).save(file, "png")
        elif not path.endswith("/"):
            file.touch()
    if "table" in case:
        lines = case["table"].replace("{root}", str(root)).split("\n")
        expanded = lines if case["table"].startswith(('{"', "[")) else [row for line in lines for row in expand(line)]
        (root / case.get("file", "labels.csv")).write_bytes("\n".join(expanded).encode(case.get("encoding", "utf-8")))


def command_of(root: Path, case: dict[str, Any]) -> list[str]:
    """Return the overrides that a case is looked at with."""
    options = str(case.get("options", "")).replace("{root}", str(root)).split()
    if "table" in case and case.get("data") != "image_folder":
        return ["data=table", f"data.table={root / case.get('file', 'labels.csv')}", *options]
    place = [] if any(option.startswith("data.root=") for option in options) else [f"data.root={root}"]
    return ["data=image_folder", *place, *options]


@lru_cache
def _shipped(data: str) -> Run:
    return compose([data])[0]


def _compose(overrides: list[str], *, multirun: bool) -> list[Run]:
    """Compose as `compose` does, Hydra's part once per source."""
    assert not multirun
    run = _shipped(overrides[0])
    return [replace(run, config=override(run.values, overrides[1:]))]


CHOSEN = "datavol: data.val_fraction=0.2, as the data name no validation images\n"


def look(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], overrides: list[str]) -> tuple[int, str]:
    """Call `python -m datavol.subset --look`; return its exit code and what it printed."""
    monkeypatch.setattr(subset, "compose", _compose)
    monkeypatch.setattr(sys, "argv", ["datavol.subset", "--look", *overrides])
    code = 0
    try:
        subset.main()
    except SystemExit as end:
        code = int(end.code or 0)
    printed = capsys.readouterr()
    assert not (printed.out and printed.err) or printed.err.startswith(CHOSEN)
    return code, printed.out + printed.err


def remedies(message: str, overrides: list[str]) -> list[str]:
    """List the shell commands that a message ends with, each as it would be typed next."""
    told = message.partition("; ")[2]
    if code := re.search(r"python -c '.*'", told):  # which writes a CSV file
        return [code[0]]
    pair = r"(?:'data\.(?:[^']|'\"'\"')*'|data\.[\w.]+=[^\s,;]+)"
    whole = re.findall(rf"data=\w+(?: {pair})+", told)
    rest = re.findall(pair, re.sub(rf"data=\w+(?: {pair})+", "", told))
    others = {one: [other for other in overrides if not other.startswith(one.partition("=")[0] + "=")] for one in rest}
    return whole + [shlex.join([*others[one], *shlex.split(one)]) for one in rest]


def typed_again(remedy: str, root: Path) -> list[str]:
    """Return the overrides that a remedy leads to; a converter is run first."""
    if not remedy.startswith("python"):
        return shlex.split(remedy)
    before = set(os.listdir(root))
    exec(shlex.split(remedy)[2], {})  # as `python -c` does, which would start anew
    (csv,) = set(os.listdir(root)) - before
    return ["data=table", f"data.table={root / csv}", "data.val_fraction=0.5"]
