"""Hunts with random folders, tables and command lines: exit code 0 or 2, one line, no image lost in silence."""

import io
import os
import random
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from datavol.cli.text import typed
from datavol.config.compose import compose
from datavol.data.sources.files.found import FOLDER, by_tools
from datavol.data.sources.files.image_names import IMAGE_ENDINGS, kind_of
from datavol.data.sources.open import Source, open_source
from datavol.data.sources.split import NoValidation
from datavol.errors import ConfigError
from datavol.plan import main as plan

ROUNDS = [pytest.param(30, id="short"), pytest.param(3000, id="long", marks=pytest.mark.slow)]
SPLITS = ["train", "Training", "TRAIN", "val", "valid", "validation", "dev", "test", "Testing", "old", "x", "train2"]
CLASSES = ["cat", "dog", "Cat", "d og", "caf\udce9", "猫", "#owl", " eel", "a=b", "a,b", "$x", "'q'", "0", "01", "true"]
READABLE = [[""], ["train", "val"], ["Training", "Testing"], ["train", "valid", "test"]]
BY_OTHERS = [".git", "@eaDir", "__MACOSX", ".ipynb_checkpoints"]
FILES = [
    "1.png",
    "2.PNG",
    "3.jpg",
    "4.jfif",
    "5.gif",
    "6.heic",
    "7.txt",
    "8",
    "._1.png",
    "Thumbs.db",
    "9.png.bak",
    "10.tif",
]


@pytest.fixture
def answer(elsewhere, monkeypatch) -> Callable[..., tuple[int, str]]:
    """Calls `datavol.plan` and checks how it ends; gives its code and what it printed."""

    def call(*arguments: str) -> tuple[int, str]:
        streams = [
            io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("strict", "backslashreplace")
        ]  # Python's
        for name, stream in zip(("stdout", "stderr"), streams, strict=True):
            monkeypatch.setattr(sys, name, stream)
        monkeypatch.setattr(sys, "argv", ["datavol.plan", *arguments])
        code = 0
        try:
            plan()
        except SystemExit as end:
            code = int(end.code or 0)
        except Exception as error:
            pytest.fail(f"{type(error).__name__}: {error}, from {shlex.join(arguments)!a}")
        out, err = [stream.seek(0) or stream.read() for stream in streams]
        told = f"{shlex.join(arguments)!a} ended with {code}: {err!a}"
        assert code in (0, 2), told
        assert "Traceback" not in err, told
        if code == 2:  # one line, the last
            assert re.search(r"(^|\n)datavol: [^\n]+\n$", err), told
            assert err.count("datavol: ") == 1, told
        return code, out + err

    return call


def grow(rng: random.Random, root: Path) -> None:
    """Make a random folder of images: splits or classes, nested, with what else lies about."""
    if rng.random() < 0.6:  # one that has a reading
        names = rng.sample(CLASSES, 2)
        level = [root / split / name for split in rng.choice(READABLE) for name in names]
    else:
        level = [root]
        for pool in [*[SPLITS] * rng.choice([0, 1, 2]), CLASSES]:
            inner = rng.choice([1, 2, 2, 3])
            level = [folder / name for folder in level for name in rng.sample(pool, inner)]
        level += [rng.choice(level).parent / rng.choice(BY_OTHERS)] if rng.random() < 0.2 else []
    for folder in level:
        folder.mkdir(parents=True, exist_ok=True)
        for name in [*rng.sample(FILES, rng.choice([0, 3, 5, 8])), *(["11.png"] * (rng.random() < 0.9))]:
            (folder / name).write_bytes(os.urandom(8))  # no two are one file
    for name in rng.sample(FILES, rng.choice([0, 0, 2])):
        (rng.choice(level).parent / name).write_bytes(os.urandom(8))


@pytest.mark.parametrize("rounds", ROUNDS)
def test_no_folder_is_misread_in_silence(rounds, answer, tmp_path):
    opened = 0
    for seed in range(rounds):
        rng, root = random.Random(seed), tmp_path / f"{seed}"
        grow(rng, root)
        share = rng.choice([None, None, None, 0.3])
        options = [typed("data.root", str(root)), *([] if share is None else [f"data.val_fraction={share}"])]
        options = [part for option in options for part in shlex.split(option)]  # as a shell would pass them
        code, printed = answer("data=image_folder", "recipe.batch_size=2", "plan.timing=false", *options)
        try:
            source = open_folder(root, share)
        except ConfigError:
            assert code == 2, seed
            continue
        opened += code == 0
        if code == 0:
            for line in source.lines:
                assert line in printed, seed
        assert set(there(root)) == listed(source) | left_out(source, root), seed
    assert opened > rounds / 5  # not all of them are refused


def open_folder(root: Path, share: float | None) -> Source:
    config = compose(["data=image_folder"])[0].config.data
    try:
        return open_source(config.model_copy(update={"root": str(root), "val_fraction": share}))
    except NoValidation:  # as a command line chooses
        return open_source(config.model_copy(update={"root": str(root), "val_fraction": 0.2}))


def there(root: Path) -> list[Path]:
    """All files of the user's."""
    return [
        path
        for path in root.rglob("*")
        if path.is_file() and not any(by_tools(kind_of(os.fsencode(part))) for part in path.relative_to(root).parts)
    ]


def listed(source: Source) -> set[Path]:
    return {
        Path(os.fsdecode(os.fsencode(split.path(i))))
        for split in (source.train, source.val)
        for i in range(len(split.labels))
    }


def left_out(source: Source, root: Path) -> set[Path]:
    """The files that are reported as left out; the numbers must be right."""
    rest, reported = set(there(root)) - listed(source), source.found.left_out
    told = {kind: number for kind, number in reported.items() if not by_tools(kind)}
    folders = [kind.removeprefix(FOLDER) for kind in told if kind.startswith(FOLDER)]
    within = {path for path in rest if set(path.relative_to(root).parts[:-1]) & set(folders)}
    others = sum(number for kind, number in told.items() if not kind.startswith(FOLDER))
    assert others == len(rest - within), (told, rest - within)
    for ending in IMAGE_ENDINGS:
        assert told.get(ending, 0) <= sum(path.suffix.lower() == ending for path in rest)
    return rest


CELLS = [
    "a.png",
    "./b.png",
    "sub/../a.png",
    "c.png ",
    " d.png",
    "é.png",
    "caf\udce9.png",
    "nowhere.png",
    "",
    "a,b.png",
    '"e.png"',
]
LABELS = ["cat", "cat ", "dog", "Dog", "", "nan", "0", "01", "caf\udce9", "猫", "#x"]
WHERE = ["train", "val", "Train", "valid", "test", "", "training "]


def write_table(rng: random.Random, file: Path) -> None:
    header = rng.choice(
        [["path", "label", "split"]] * 6
        + [["path", "label"], ["file", "label", "split"], ["Path", "Label", "Split"], []]
    )
    mark, separator = rng.choice(["", "", "\ufeff"]), rng.choice([",", ",", ",", ";", "\t"])
    pools = {"path": CELLS, "label": LABELS, "split": WHERE}
    clean = rng.random() < 0.5  # half of the tables hold nothing odd
    if clean:
        pools = {"path": CELLS[:2], "label": ["cat", "dog"], "split": ["train", "val"]}
    rows = [[rng.choice(pools.get(name.lower(), CELLS)) for name in header] for _ in range(rng.choice([0, 2, 6, 12]))]
    if clean and header == ["path", "label", "split"]:
        rows = [[f"{i}.png", ["cat", "dog"][i % 2], ["train", "val"][i // 2 % 2]] for i in range(8)]
    text = mark + "".join(separator.join(cells) + rng.choice(["\n", "\n", "\r\n"]) for cells in [header, *rows])
    file.write_bytes(text.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("rounds", ROUNDS)
def test_no_table_is_misread_in_silence(rounds, answer, tmp_path):
    for name in [*CELLS, *(f"{i}.png" for i in range(8))]:
        if name and "/" not in name:
            (tmp_path / name.strip(' "')).write_bytes(os.urandom(8))
    codes = []
    for seed in range(rounds):
        file = tmp_path / f"{seed}.csv"
        write_table(random.Random(seed), file)
        code, printed = answer("data=table", f"data.table={file}", "recipe.batch_size=2", "plan.timing=false")
        codes.append(code)
        if code == 0:
            lines = [line for line in file.read_text("utf-8-sig", "surrogateescape").splitlines() if line][1:]
            sizes = [
                int(number.replace(",", "")) for number in re.findall(r"(?:train|val).*: ([\d,]+) images?, ", printed)
            ]
            dropped = [
                int(number.replace(",", "")) for number in re.findall(r"([\d,]+) (?:in split|comment|empty)", printed)
            ]
            assert sum(sizes[:2]) + sum(dropped) == len(lines), (seed, printed)
    assert 0 in codes
    assert 2 in codes


KEYS = [
    "fraction",
    "seed",
    "epochs",
    "model",
    "data",
    "recipe",
    "trainer",
    "logger",
    "study",
    "draw",
    "model.name",
    "lr",
]
KEYS += [
    "recipe.optimiser.lr",
    "recipe.batch_size",
    "data.root",
    "data.classes",
    "trainer.devices",
    "trainer.gpus",
    "sweep",
]
KEYS += [
    "sweep.parallel",
    "plan.images",
    "model.weights",
    "data.val_fraction",
    "imbalance.profile",
    "hydra.run.dir",
    "x y",
    "é",
]
VALUES = [
    "0.5",
    "1",
    "0",
    "-1",
    "1e-1",
    ".5",
    "nan",
    "inf",
    "1e400",
    "0x10",
    "1_000",
    "true",
    "null",
    "",
    "''",
    "[]",
    "{}",
]
VALUES += [
    "a,b",
    "0.1,0.2",
    "[1,2]",
    "{a:1}",
    "range(1,4)",
    "choice(1,2)",
    "glob(*)",
    "${seed}",
    "${nope}",
    "${oc.env:HOME}",
]
VALUES += [
    "'a b'",
    '"a',
    "a'b",
    "a=b",
    "~/x",
    "/archive (1)",
    "ü",
    "caf\udce9",
    "猫",
    "\\",
    "$x",
    "5%",
    "digits",
    "timm",
    "auto",
]
VALUES += [
    "resnet50",
    "mobilenet_v2",
    "csv",
    "long_tail",
    "cpu",
    "a" * 300,
    "1" * 30,
    "0.1,0.10",
    "interval(0,1)",
    "tag(a,1)",
]
FLAGS = [
    "-m",
    "--multirun",
    "--cfg",
    "job",
    "--info",
    "-c",
    "--help",
    "--package",
    "-x",
    "--",
    "=",
    "~seed",
    "~nope",
    "@x=1",
]


def line(rng: random.Random) -> list[str]:
    """Type a random command line."""
    parts = []
    for _ in range(rng.choice([1, 1, 2, 3])):
        if rng.random() < 0.15:
            parts.append(rng.choice(FLAGS))
        else:
            parts.append(rng.choice(["", "", "", "", "+", "++"]) + rng.choice(KEYS) + "=" + rng.choice(VALUES))
    return [*(["-m"] if rng.random() < 0.3 else []), *parts, "logger=csv", "plan.timing=false"]


@pytest.mark.parametrize("rounds", ROUNDS)
def test_every_command_line_is_a_plan_or_one_line(rounds, answer, elsewhere):
    codes = [answer(*line(random.Random(seed)))[0] for seed in range(rounds)]
    assert {0, 2} == set(codes)
    assert list(elsewhere.iterdir()) == []
