"""Command lines are read as they are meant; --config-dir adds choices of one's own."""

import shlex

import pytest

from datavol.config.command_line.arguments import as_meant
from datavol.config.compose import arguments_of, compose, override, parse
from datavol.errors import ConfigError

PATHS = {
    "/photos": "/photos",
    "/my photos (1)": "/my photos (1)",
    "/a[1],{b}=c:é": "/a[1],{b}=c:é",
    "~/photos": "/home/somebody/photos",
    r"C:\photos\new": r"C:\photos\new",
    "2024": "2024",
    "true": "true",
    '/say "cheese"': '/say "cheese"',
    "${oc.env:HOME}/x": "/home/somebody/x",
    '"/a, b"': "/a, b",
}
"""What is typed after data.root=, and the folder."""


@pytest.fixture
def home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")


@pytest.fixture
def mine(tmp_path):
    folder = tmp_path / "my [choices], 1"
    for name, text in {
        "model/mine": "defaults: [/model/timm@_here_, _self_]\nname: test_byobnet\n",
        "recipe/quick": "defaults: [/recipe/small@_here_, _self_]\nepochs: 2\nname: quick\n",
    }.items():
        file = folder / f"{name}.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return folder


@pytest.mark.parametrize("typed", PATHS)
def test_a_path_is_taken_as_it_is(typed, home, monkeypatch):
    monkeypatch.setattr("pathlib.Path.exists", lambda path: True)  # with a comma, only what is there is one path
    parsed = parse(["data=image_folder", f"data.root={typed}"])
    (run,) = compose(parsed.overrides)
    assert run.config.data.root == PATHS[typed]
    assert as_meant(run.overrides, multirun=False) == [*run.overrides]  # typed again, it means the same


def test_with_m_a_comma_between_paths_asks_for_a_run_each():
    parsed = parse(["data=image_folder", "-m", "data.root=/a 1,/b"])
    assert [run.config.data.root for run in compose(parsed.overrides, multirun=True)] == ["/a 1", "/b"]


def test_other_text_is_quoted_where_it_would_not_be_read():
    assert as_meant([r"data.group=(\d+)_", "data.group=folder", "fraction=[", "seed=range(3)"], multirun=False) == [
        r'data.group="(\d+)_"', "data.group=folder", "fraction=[", "seed=range(3)",
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["-m {} fraction=0.1,0.2", "fraction=0.1,0.2 {} -m", "fraction=0.1,0.2 -m {}"])
def test_choices_of_ones_own_are_found_by_every_process(line, mine):
    words = shlex.split(line.format(f"--config-dir {shlex.quote(str(mine))} model=mine recipe=quick"))
    parsed = parse(words)
    runs = compose(parsed.overrides, multirun=True)
    assert [(run.config.model.name, run.config.epochs, run.config.fraction) for run in runs] == [
        ("test_byobnet", 2, 0.1),
        ("test_byobnet", 2, 0.2),
    ]
    again = parse(arguments_of(parsed))  # what Hydra and the ranks of a run get
    assert (again.overrides, again.multirun, again.config_dir) == (parsed.overrides, True, None)
    (alone,) = compose(runs[0].overrides)  # the command that a failed run is told by
    assert alone.config == runs[0].config


def test_choices_of_ones_own_change_a_record_and_are_listed(mine):
    values = compose([])[0].values
    search, *_ = parse(["--config-dir", str(mine)]).overrides
    assert override(values, [search, "model=mine"]).model.name == "test_byobnet"
    with pytest.raises(ConfigError, match=r"^model must be one of mine, mobilenet_v2, .*; try model=mine$"):
        compose([search, "model=mina"])
