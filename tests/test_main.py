"""`datavol X` is `python -m datavol.X`."""

import subprocess
import sys

import pytest

from datavol import __version__
from datavol.__main__ import COMMANDS, main
from datavol.cli.boundary import DEBUG, cli_errors
from datavol.cli.lifeline import JOB


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "datavol", *arguments], capture_output=True, text=True)


def test_without_a_command_all_are_listed():
    answer = call()
    assert answer.returncode == 0
    assert [line.split()[0] for line in answer.stdout.splitlines() if line.startswith("  ")] == list(COMMANDS)


def test_a_command_gets_its_arguments():
    answer = call("run", "fraction=2")
    assert answer.stderr == "datavol: fraction must be a number above 0 and at most 1, got 2; try fraction=0.02\n"
    assert answer.returncode == 2
    head, *images = call("subset", "fraction=0.05").stdout.splitlines()
    assert head.startswith("# datavol list 1: data=digits")
    assert len(images) == 70


def test_an_unknown_command_gets_one_line_that_works_when_typed():
    assert call("nope").stderr.endswith("got 'nope'; try datavol run\n")
    assert call("fraction=2", "seed=1").stderr.endswith("got 'fraction=2'; try datavol run fraction=2 seed=1\n")


@cli_errors
def slips() -> None:
    raise KeyError("a\nb")


@pytest.mark.parametrize(("arguments", "environment", "traceback"), [
    ([], {}, False),
    (["--debug"], {}, True),
    ([], {DEBUG: "1"}, True),
    ([], {DEBUG: "0"}, False),
    ([], {JOB: "of a sweep, which keeps its output"}, True),
])  # fmt: skip
def test_an_error_that_nobody_foresaw_is_one_line_and_debug_shows_where(
    arguments, environment, traceback, monkeypatch, capsys
):
    for name in (DEBUG, JOB):
        monkeypatch.setenv(name, environment.get(name, "0"))
        if name not in environment:
            monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "argv", ["run", *arguments])
    with pytest.raises(SystemExit, match="1"):
        slips()
    *shown, line = capsys.readouterr().err.splitlines()
    assert line == r"datavol: unexpected KeyError: 'a\nb'; the same command with --debug shows where"
    assert ("in slips" in "\n".join(shown)) == bool(shown) == traceback
    assert sys.argv == ["run"]


def test_the_version_is_that_of_datavol_for_every_command(monkeypatch, capsys):
    for arguments in (["--version"], ["run", "--version"], ["report", "--version"]):
        monkeypatch.setattr(sys, "argv", ["datavol", *arguments])
        main()
        assert capsys.readouterr().out == f"datavol {__version__}\n"
