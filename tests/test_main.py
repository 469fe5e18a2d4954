"""`datavol X` is `python -m datavol.X`."""

import subprocess
import sys

from datavol.__main__ import COMMANDS


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
