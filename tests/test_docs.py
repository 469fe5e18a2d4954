"""Checks every command on every page of the documentation."""

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from datavol.__main__ import COMMANDS
from datavol.config.command_line.arguments import searched
from datavol.config.command_line.keys import all_keys
from datavol.config.command_line.keywords import overrides_of
from datavol.config.compose import compose
from datavol.errors import ConfigError
from datavol.runs.columns import COLUMNS

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "tests" / "golden" / "records"
PAGES = [ROOT / "README.md", ROOT / "examples" / "fashion_mnist" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```bash(?: needs=(\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """Holds a command of a page; `needs` stands in its fence."""

    entry: str
    words: tuple[str, ...]
    needs: str

    @property
    def overrides(self) -> list[str]:
        return [word for word in self.words if "=" in word and not word.startswith("-")]

    def __str__(self) -> str:
        return shlex.join(["python", "-m", f"datavol.{self.entry}", *self.words])


def commands_in(text: str) -> list[Command]:
    """Find the datavol commands of a page's bash blocks."""
    found = []
    for needs, block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.partition(" > ")[0], comments=True)
            if words[:2] == ["python", "-m"] and words[2].startswith("datavol."):
                found.append(Command(words[2].removeprefix("datavol."), tuple(words[3:]), needs))
            elif words[:1] == ["datavol"]:
                found.append(Command(words[1], tuple(words[2:]), needs))
    return found


ALL = list(dict.fromkeys(command for page in PAGES for command in commands_in(page.read_text())))
COMPOSED = {command.words: command for command in ALL if command.entry in ("run", "plan", "audit", "subset")}.values()
ANSWERED = [command for command in ALL if command.entry == "report" and command.needs in ("", "data")]
MEASURED = [command for command in ALL if command.entry == "evaluate" and not command.needs]
LISTED = [command for command in ALL if command.entry == "subset" and not command.needs]


def check_keys(command: Command) -> None:
    """Compose the runs of a command, of each list on its line the first value and the last, which is quicker."""
    flags = {"-m", "job", "--config-dir", "my_conf", "--help", "--cfg", "--resolve", "--indices", "--look"}
    assert all(word in flags or "=" in word for word in command.words), command.words
    sweep = "-m" in command.words
    of_hydra = [searched("my_conf")] if "my_conf" in command.words else []
    for which in (0, -1):
        split = [word.partition("=") for word in command.overrides]
        values = [f"{name}={v if '[' in v or '(' in v or not sweep else v.split(',')[which]}" for name, _, v in split]
        assert compose([*of_hydra, *values], multirun=sweep)
        if values == command.overrides:
            return


@pytest.fixture(scope="session")
def generate() -> ModuleType:
    """Load the hook that fills the pages' tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        return import_module("generate")


@pytest.fixture
def studies(elsewhere: Path) -> Path:
    """Make a working directory whose studies are frozen ones."""
    for name in ("studies/digits", "studies/mine", "examples/fashion_mnist"):
        shutil.copytree(RECORDS / "digits_records", elsewhere / name)
    (elsewhere / "docs/howto").mkdir(parents=True)
    shutil.copy(ROOT / "docs/howto/points.csv", elsewhere / "docs/howto")
    return elsewhere


@pytest.mark.parametrize("command", COMPOSED, ids=str)
def test_every_key_of_every_command_is_valid(command, monkeypatch):
    if command.needs == "code":
        monkeypatch.chdir(ROOT / "examples/own")
    check_keys(command)


def test_a_misspelt_key_on_a_page_would_be_noticed():
    (command,) = commands_in("```bash needs=gpu\npython -m datavol.run fraktion=0.1\n```\n")
    with pytest.raises(ConfigError, match="fraktion"):
        check_keys(command)


def test_the_pages_have_commands_of_every_kind_and_what_they_need_is_one_of_a_few_things(generate):
    assert {command.entry for command in ALL} == set(COMMANDS)
    assert len(COMPOSED) > 30
    assert {command.needs for command in ALL} <= {"", *generate.NEEDS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_command_that_needs_nothing_says_so_truly(page):
    """Look for data, GPUs and clusters without their mark."""
    for command in commands_in(page.read_text()):
        asks = any(word.startswith(("data.root=", "data.table=", "hydra/launcher=")) for word in command.words)
        asks |= "trainer=ddp" in command.words and not {"trainer.accelerator=cpu"} & set(command.words)
        asks &= command.entry != "plan" or not any(word.startswith("plan.") for word in command.words)
        assert command.needs or not asks, str(command)


@pytest.mark.parametrize("command", [c for c in COMPOSED if c.entry == "run" and not c.needs], ids=str)
def test_a_run_that_needs_nothing_passes_the_checks_before_training(command, elsewhere):
    from datavol.training.preflight import check_runs

    (elsewhere / "list.txt").write_text("".join(f"{index}\n" for index in range(1000)))  # what `subset` would print
    check_runs(compose(command.overrides, multirun="-m" in command.words))


@pytest.mark.parametrize("command", ANSWERED, ids=str)
def test_a_report_command_answers_for_a_frozen_study(command, studies, monkeypatch, capsys):
    """Make its answers; tests/test_report.py draws figures."""
    monkeypatch.setattr(
        "datavol.study.report.writer.write_report", lambda study, contents, out, say: out / "report.html"
    )
    call(command, monkeypatch)
    said = capsys.readouterr()
    first = said.out.lstrip().partition("\n")[0]
    assert first.endswith("how much training data is enough?") or first.startswith(("Study ", "{"))
    assert "page: " in said.out + said.err


def test_the_python_of_the_page_on_own_numbers_answers(studies, capsys):
    page = (ROOT / "docs/howto/own_numbers.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.count("mAP") > 3
    rows = re.search(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[1]
    assert (ROOT / "docs/howto/points.csv").read_text().startswith(rows)


def test_the_python_of_the_page_on_python_reads_asks_and_draws(studies, capsys):
    page = (ROOT / "docs/howto/python.md").read_text()
    read, draw, train = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"labels": ["cat", "dog"] * 50}
    exec(read, names)
    assert "verdict" in capsys.readouterr().out
    assert (studies / "curve.png").read_bytes().startswith(b"\x89PNG")
    exec(draw, names)
    assert len(names["subset"].indices) == 2 * round(0.25 * 50)
    for call in re.findall(r"datavol\.(run|sweep)\((.*)\)$", train, re.MULTILINE):
        keys = eval(f"dict({call[1]})")
        assert compose(overrides_of(keys, multirun=call[0] == "sweep"), multirun=call[0] == "sweep")


@pytest.mark.parametrize("command", MEASURED, ids=str)
def test_an_evaluate_command_measures_a_frozen_checkpoint(command, elsewhere, monkeypatch, capsys):
    target = next(Path(word) for word in command.words if word.startswith("studies/"))
    (killed,) = (RECORDS / "killed_records").iterdir()
    shutil.copytree(killed, elsewhere / (target.parent.parent if target.suffix else target))
    call(command, monkeypatch)
    assert "359 validation images" in capsys.readouterr().out


@pytest.mark.parametrize("command", LISTED, ids=str)
def test_a_subset_command_prints(command, elsewhere, monkeypatch, capsys):
    call(command, monkeypatch)
    assert len(capsys.readouterr().out.splitlines()) > 3


def call(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command's entry point in this process."""
    monkeypatch.setattr(sys, "argv", [f"datavol.{command.entry}", *command.words])
    import_module(f"datavol.{command.entry}").main()


def test_the_tutorial_names_the_folders_that_its_command_makes():
    tutorial = (ROOT / "docs" / "tutorial.md").read_text()
    for run in compose(commands_in(tutorial)[0].overrides, multirun=True):
        assert f"  {run.folder.name}/" in tutorial


def test_every_make_target_on_a_page_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"`?\bmake ([a-z-]+)(?:`|\s+#)", page.read_text())) <= targets, page


def test_every_module_and_file_that_a_page_names_exists():
    rooms = "config|data|runs|training|tracking|sweep|planning|study"
    for page in ("architecture", "contributing"):
        text = (ROOT / "docs" / f"{page}.md").read_text()
        modules = [name.replace(".", "/") + ".py" for name in re.findall(rf"`((?:{rooms})\.[a-z_.]+)`", text)]
        names = modules + re.findall(rf"`((?:{rooms})/[\w/]+\.py)`", text)
        assert names
        for file in (ROOT / "datavol" / name for name in names):
            assert file.is_file() or file.with_suffix("").is_dir(), file


def test_the_readme_is_short_and_shows_the_two_commands():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 90
    sweep = "python -m datavol.run -m model=resnet50,mobilenet_v2 fraction=0.05,0.125,0.25"
    assert all(f"\n{line}" in readme for line in ("make demo", "make test", sweep))


def test_the_reference_has_every_key_and_no_other_and_says_whether_it_is_hashed(generate):
    leaves = {key for key in all_keys() if not any(other.startswith(f"{key}.") for other in all_keys())}
    keys = {key.path: key for key in generate.schema_keys()}
    assert set(keys) == leaves
    assert all(key.defaults and key.rule for key in keys.values())
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    shown = "".join(generate.table(*mark.split()) for mark in generate.MARK.findall(page))
    assert leaves <= set(re.findall(r"^\| `([\w.]+)`", shown, re.MULTILINE))
    hashed = [keys[path].hashed for path in ("fraction", "recipe.optimiser.lr", "seed", "plan.node.cores")]
    assert hashed == ["yes", "yes", "no", "no"]


def test_the_reference_has_every_recorded_fact(generate):
    assert set(re.findall(r"^\| `(\w+)`", generate.table("columns"), re.MULTILINE)) == {c.name for c in COLUMNS}


def test_every_page_is_in_the_menu_and_every_table_can_be_made(generate):
    menu = (ROOT / "mkdocs.yml").read_text()
    for page in sorted((ROOT / "docs").rglob("*.md")):
        assert page.relative_to(ROOT / "docs").as_posix() in menu
        for mark in generate.MARK.findall(page.read_text()):
            assert len(generate.table(*mark.split()).splitlines()) > 2


@pytest.mark.slow
def test_the_commands_of_the_tutorial_do_what_it_says(elsewhere):
    for command in commands_in((ROOT / "docs" / "tutorial.md").read_text())[:2]:
        line = [sys.executable, "-m", f"datavol.{command.entry}", *command.words]
        extra = ["logger=csv"] if command.entry == "run" else []
        answer = subprocess.run([*line, *extra], capture_output=True, text=True, timeout=1500)
        assert answer.returncode == 0, answer.stderr
    assert (elsewhere / "studies" / "digits" / "report.html").is_file()
    assert (elsewhere / "studies" / "digits" / "mobilenet_v2-5pct-seed0-83cf774d" / "metrics.csv").is_file()


@pytest.mark.slow
def test_the_documentation_builds_strictly(tmp_path):
    pytest.importorskip("mkdocs")
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    answer = subprocess.run(line, capture_output=True, text=True, timeout=600, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
