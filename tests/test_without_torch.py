"""Reading and answering need neither the training libraries nor file locks (Windows has none)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from factories.run_folders import write_run

from datavol.cli.installed import EXTRAS

ABSENT = (*(package for packages in EXTRAS.values() for package in packages), "fcntl")
HOOK = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
EXTRA = "datavol: this needs the package {}, got none; type pip install 'datavol[train]'\n"


def python(code: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process where the packages are absent."""
    environment = os.environ | {"LOGNAME": "somebody"}
    command = [sys.executable, "-c", HOOK + code]
    return subprocess.run(command, capture_output=True, text=True, cwd=place, env=environment)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for fraction in (0.05, 0.125, 0.25, 0.5):
        write_run(tmp_path / "mine", fraction=fraction)
    return tmp_path / "mine"


def test_a_study_is_read_and_answered_and_what_trains_says_what_to_install(study):
    code = """
from datavol.errors import ConfigError
from datavol.study.load.study import load_study
from datavol.study.questions.answers import answers
print(len(answers(load_study("mine"))))
from datavol.runs.files import file_lock
from pathlib import Path
try:
    with file_lock(Path("lock")): pass
except ConfigError as error: print(error)
sys.argv = ["run", "logger=csv"]
from datavol.run import main
main()
"""
    answer = python(code, study.parent)
    lock = "a run must be trained where its folder can be locked, as on Linux and macOS, got Linux; try WSL, or train "
    assert answer.stdout == f"8\n{lock}elsewhere and read the records here\n", answer.stderr
    assert (answer.stderr, answer.returncode) == (EXTRA.format("torch"), 2)


def test_what_is_named_as_missing_is_what_the_extra_brings():
    tomllib = pytest.importorskip("tomllib")  # of Python 3.11
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[\[<>=]", one)[0] for one in requirements}

    for extra, packages in EXTRAS.items():
        assert names(project["optional-dependencies"][extra]) == set(packages)
        assert not names(project["dependencies"]) & set(packages)
    assert "datavol[train]" in project["optional-dependencies"]["dev"]


@pytest.mark.slow
def test_a_report_is_written(study):
    answer = python("sys.argv = ['report', 'mine']; from datavol.report import main; main()", study.parent)
    assert answer.stdout.endswith("page: mine/report.html\n"), answer.stderr
    assert (study / "figures/accuracy_against_volume.png").is_file()
