"""The first screen in a terminal: its width, its words, and commands that can be pasted."""

import re
import shlex
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datavol.study.report.screen.contents import NextStep
from datavol.study.report.screen.lines import command_lines
from datavol.study.report.screen.terminal import screen_lines

JARGON = re.compile(r"doubling|Holm|held \d|broke|halving|z-score|posterior|quantile", re.IGNORECASE)


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_asked(width, screens):
    for screen in screens.values():
        named = replace(screen, title="x" * 300, notes=("猫 " + "y" * 200,))
        assert max(map(len, screen_lines(named, width))) <= width


def test_words_of_the_field_stay_out_of_it(screens):
    for screen in screens.values():
        assert not JARGON.search("\n".join(screen_lines(screen)))


def test_it_fits_on_a_screen_of_fifty_lines_and_begins_with_the_verdict(screens):
    for name, screen in screens.items():
        lines = [*screen_lines(screen)]
        assert len(lines) <= 50, name
        first = lines[lines.index("") + 1]
        assert first.startswith("No answer yet" if screen.reasons else "Answer"), name


def test_columns_of_the_table_stand_below_each_other(screens):
    lines = [*screen_lines(screens["wants more"])]
    head = next(line for line in lines if "labels" in line)
    rows = [line for line in lines if line.startswith("  all you have") or line.startswith("  twice as many")]
    assert len(rows) == 2
    at = head.index("labels")
    assert [row[at:].split()[0] for row in rows] == ["320", "+320"]


def test_a_refused_verdict_names_reason_remedy_and_command(screens):
    screen = screens["two sizes"]
    reason = replace(screen.reasons[0], command="python -m datavol.run -m fraction=0.25,0.5,1", hours=0.5)
    step = NextStep("train on more of them", reason.command, 0.5)
    text = "\n".join(screen_lines(replace(screen, reasons=(reason,), next=step)))
    assert "Why: a curve takes three measured fractions" in text
    assert "What to do: train on more of them (about 30 min of training):" in text
    assert text.count("python -m datavol.run") == 1


LETTERS = st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs"))
WORDS = st.text(LETTERS, min_size=1, max_size=30) | st.text(LETTERS, min_size=80, max_size=150)


@given(st.lists(WORDS, min_size=1, max_size=6), st.integers(40, 100))
def test_a_command_in_lines_is_the_same_command_to_a_shell(words, width):
    lines = [*command_lines(shlex.join(["printf", "%s\\0", *words]), width)]
    assert max(map(len, lines)) <= width
    said = subprocess.run(["sh", "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert said.stdout.split("\0")[:-1] == words
