"""Keeps the looks of a study's questions in `asked.json`.

Nothing rests on the file but what is shown, and the runs that a look has named and that a kill may have cut short:
looks are counted from the runs' records.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datavol.errors import ConfigError
from datavol.runs.files import file_lock, read_json, write_json
from datavol.runs.folder import now
from datavol.study.looks.look import HEADS, Look, Step

FILE = "asked.json"
STEP = {"fraction", "seed", "part"}
REMEDY = "move it away; the runs are kept, and looks are counted from them"


@dataclass(frozen=True)
class Asked:
    """Keeps the looks of one question in a study's folder.

    Attributes:
        study: The folder.
        key: What makes it this question of this set-up, as plain values.
        text: The question in words.
    """

    study: Path
    key: dict[str, Any]
    text: str

    @property
    def looks(self) -> list[dict[str, Any]]:
        """List the looks so far, as they were written.

        Raises:
            ConfigError: If the file cannot be read.
        """
        return self._entry(self._questions())["looks"]

    @property
    def pending(self) -> list[Step]:
        """List the runs that the last look named."""
        return _steps(self.looks[-1:])

    @property
    def steps(self) -> set[Step]:
        """Collect the runs that looks have named."""
        return set(_steps(self.looks))

    def add(self, look: Look, runs: list[str], hours: float) -> None:
        """Write a look; one of the same runs is replaced.

        Args:
            look: What it found.
            runs: Names of the runs that it rests on.
            hours: Their training and evaluation.
        """
        self.study.mkdir(parents=True, exist_ok=True)
        with file_lock(self.study / f".{FILE}.lock"):  # another question may be asked of the study at once
            self._add({**asdict(look), "runs": runs, "hours": round(hours, 4), "time": now()})

    def _add(self, look: dict[str, Any]) -> None:
        questions = self._questions()
        entry = self._entry(questions)
        if entry["looks"] and entry["looks"][-1]["runs"] == look["runs"]:
            entry["looks"].pop()
        entry["looks"].append(look)
        write_json(self.study / FILE, {"schema_version": 1, "questions": questions})

    def _questions(self) -> list[dict[str, Any]]:
        return questions_of(self.study)

    def _entry(self, questions: list[dict[str, Any]]) -> dict[str, Any]:
        """Find the question's entry; a new one is put last."""
        for entry in questions:
            if entry["asked"] == self.key:
                return entry
        questions.append({"question": self.text, "asked": self.key, "looks": []})
        return questions[-1]


def _steps(looks: list[dict[str, Any]]) -> list[Step]:
    return [Step(one["fraction"], one["seed"], one["part"]) for look in looks for one in look["next"]]


def endings_of(study: Path) -> list[tuple[str, str]]:
    """List what was asked of a study, and what the last look came to.

    Raises:
        ConfigError: If the file cannot be read.
    """
    lasts = [(entry["question"], entry["looks"][-1]) for entry in questions_of(study) if entry["looks"]]
    return [(question, f"{HEADS[last['state']]}: {last['sentence']}") for question, last in lasts]


def questions_of(study: Path) -> list[dict[str, Any]]:
    """Read what was asked of a study, with all looks.

    Raises:
        ConfigError: If the file cannot be read.
    """
    file = study / FILE
    if not file.exists():
        return []
    content = read_json(file, REMEDY)
    entries = content.get("questions")
    if not isinstance(entries, list) or not all(map(_whole, entries)):
        raise ConfigError(f"{file} must be a file that datavol wrote, got another; {REMEDY}")
    return entries


def _whole(entry: Any) -> bool:
    """Return whether a question has all that is read of it."""
    if not isinstance(entry, dict) or not {"question", "asked", "looks"} <= set(entry):
        return False
    looks = entry["looks"]
    return isinstance(looks, list) and all(isinstance(look, dict) and _whole_look(look) for look in looks)


def _whole_look(look: dict[str, Any]) -> bool:
    named = look.get("next")
    steps = isinstance(named, list) and all(isinstance(one, dict) and set(one) >= STEP for one in named)
    return steps and look.get("state") in HEADS and {"sentence", "runs"} <= set(look)
