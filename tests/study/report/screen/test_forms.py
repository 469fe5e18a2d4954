"""The first screen as a mail and for programs."""

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from datavol.study.report.screen.brief import brief_lines
from datavol.study.report.screen.contents import FirstScreen
from datavol.study.report.screen.glossary import WORDS
from datavol.study.report.screen.machines import screen_json

NAMES = ["wants more", "has enough", "learnt nothing", "two sizes"]
KEYS = {
    *("title", "curve", "place", "state", "headline", "sentences", "reasons", "measure", "delta", "level", "now"),
    *("twice", "wanted", "saved", "hours", "hours_grow", "label_cost", "chart", "trust", "classes", "next", "others"),
    *("test_images", "asked", "notes", "page"),
}
"""The contract with programs: keys may be added, none may go or change."""


@pytest.mark.parametrize("name", NAMES)
def test_a_mail_has_five_lines_of_sentences(name, screens):
    lines = brief_lines(replace(screens[name], title="made_up"))
    assert len(lines) == 5
    assert lines[0].startswith("Study made_up: ")
    assert all(line.endswith((".", "made_up_more")) or "python -m" in line for line in lines)
    assert all(line.isascii() for line in lines)


def test_a_mail_names_verdict_images_cost_and_target(screens):
    text = "\n".join(brief_lines(screens["wants more"]))
    screen = screens["wants more"]
    assert screen.headline[1:] in text
    assert "all 3,200 training images" in text
    assert "as many images again cost 320 EUR" in text
    assert "85 % takes about " in text
    assert screen.sentences[0] in text


def test_a_mail_of_a_refused_verdict_names_reasons_and_remedies(screens):
    first, headline, why, help_, step = brief_lines(screens["learnt nothing"])
    assert "300 training images" in first
    assert headline == screens["learnt nothing"].headline
    assert "always naming the commonest class" in why
    assert "check labels and recipe, and train longer" in help_
    assert step.startswith("Next: ")


@pytest.mark.parametrize("name", NAMES)
def test_programs_get_every_key_and_plain_numbers(name, screens):
    told = json.loads(screen_json(screens[name], Path("studies/mine/report.html")))
    assert set(told) == KEYS == {field.name for field in fields(FirstScreen)} | {"page"}
    assert told["page"] == "studies/mine/report.html"


def test_programs_get_costs(screens):
    screen = screens["wants more"]
    told = json.loads(screen_json(screen, Path("x")))
    assert told["now"]["cost"] == pytest.approx(0.1 * 3200)
    assert told["twice"]["cost"] == pytest.approx(0.1 * 3200)
    assert told["twice"]["cost_per_point"] == pytest.approx(0.1 * 3200 / (100 * screen.twice.gain))
    assert told["twice"]["cost_per_point_low"] < told["twice"]["cost_per_point"] < told["twice"]["cost_per_point_high"]


def test_words_are_explained_as_in_the_glossary():
    rows = [row.split(" | ") for row in (Path(__file__).parents[4] / "docs/glossary.md").read_text().splitlines()]
    told = {term: row[1] for row in rows if len(row) > 1 for term in row[0].removeprefix("| ").split(", ")}
    for word, meaning in WORDS.items():
        known = re.sub(r"`| \(top-5: [^)]*\)| \|$", "", told[word])
        assert known == meaning, word
