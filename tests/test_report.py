import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
import wandb
from factories.html_page import Page
from factories.run_folders import made_up_predictions, write_run
from factories.wandb_file import read_wandb_file

from datavol.errors import ConfigError
from datavol.report import main, report, report_points
from datavol.study.load.study import load_study
from datavol.study.report.report_data import report_data
from datavol.tracking.publishing import destination

ODD_NAMES = [r"$\foo$", "caf\udce9", "猫", "مرحبا", "😀", "<b>x</b>", "a\nb\x00", "x" * 300, "50 % & #1_{", ""]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Report the grid of `make demo` and a run of every other state; return the folder and the output."""
    study = tmp_path_factory.mktemp("studies") / "made_up"
    for model, (fraction, top1) in product(("resnet50", "mobilenet_v2"), {0.05: 0.5, 0.125: 0.6, 0.25: 0.7}.items()):
        planted = {"classes": ODD_NAMES}
        write_run(study, model, fraction, top1=top1, predictions=made_up_predictions(top1), planted=planted)
    damaged = write_run(study, "resnet50", 0.05, seed=1, top1=0.5, predictions=made_up_predictions(0.5))
    damaged.path.joinpath("predictions/last.npz").write_bytes(b"PK damaged")
    write_run(study, "resnet50", 0.5, state="running", done=1)
    write_run(study, "resnet50", 1.0, state="failed", done=2, planted={"reason": "<script>alert(1)</script> & more"})
    write_run(study, "resnet50", 0.75).supersede()
    (write_run(study, "resnet50", 0.75).path / "run.json").write_text("{")
    with redirect_stdout(io.StringIO()) as output:
        report([study], delta=0.02, target=0.95)
    return study, output.getvalue()


@pytest.fixture
def study(reported: tuple[Path, str]) -> Path:
    return reported[0]


def page_of(study: Path) -> Page:
    return Page((study / "report.html").read_text())


def test_the_page_is_well_formed_and_loads_nothing_from_elsewhere(study):
    page, text = page_of(study), (study / "report.html").read_text()
    assert page.loaded
    assert all(address.startswith(("data:image/svg+xml;base64,", "data:image/png;base64,")) for address in page.loaded)
    assert "script" not in page.tags
    assert not re.search(r"@import|url\(", text)
    assert all(page.alternatives)
    assert len(set(page.ids)) == len(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_the_page_has_its_sections_in_order(study):
    page = page_of(study)
    headings = ["Answers", "Audit: are the points comparable?", "Main figure", "Tables", "Runs", "How it was made"]
    positions = [page.texts.index(heading) for heading in ["Can it be trusted?", *headings, "Words"]]
    assert positions == sorted(positions)
    assert page.tags.count("details") >= 7  # the first screen alone is unfolded
    assert "How many images does an accuracy of 95 % take?" in " ".join(page.texts)
    assert "python -m datavol.run" in page.texts
    assert any("always guessing the commonest class would get 10.3 % of them right" in text for text in page.texts)


def test_every_run_is_listed_and_those_that_nothing_rests_on_with_their_reason(study):
    texts = page_of(study).texts
    folders = [path.name for path in study.iterdir() if path.is_dir() and "pct" in path.name]
    assert len(folders) == 10
    assert set(folders) <= set(texts)
    assert {"running", "failed", "unreadable", "superseded"} <= set(texts)
    assert "<script>alert(1)</script> & more" in texts  # as text, that is: escaped
    assert "1/4 budget epochs done" in texts
    assert any("must be a whole file that datavol wrote" in text for text in texts)


def test_tables_and_figures_are_files_as_well(study):
    tables = {path.name for path in (study / "tables").iterdir()}
    assert {f"{name}.{ending}" for name in ("accuracy", "runs", "overlap") for ending in ("csv", "tex", "md")} <= tables
    accuracy = pd.read_csv(study / "tables/accuracy.csv")
    assert accuracy["top-1 (%)"].tolist() == pytest.approx([50, 60, 70] * 2 + [100 * 37 / 359])
    guessing = accuracy.iloc[-1].dropna().to_dict()
    assert guessing.pop("network") == "always guessing the commonest class"
    assert set(guessing) == {"data", "top-1 (%)", "top-5 (%)"}
    assert (
        "| always guessing the commonest class | - | digits | - | - | - | 10.3"
        in (study / "tables/accuracy.md").read_text()
    )
    png, pdf, svg = ((study / f"figures/accuracy_against_volume.{end}").read_bytes() for end in ("png", "pdf", "svg"))
    assert (png[:4], pdf[:4], b"<svg" in svg) == (b"\x89PNG", b"%PDF", True)


def test_the_images_that_only_larger_subsets_learn_are_counted_drawn_and_listed(study):
    table = pd.read_csv(study / "tables/learned.csv")
    assert list(table) == ["network", "class", "images", "from 5 %", "from 12.5 %", "from 25 %", "forgotten", "never"]
    assert (table.iloc[:, 3:].sum(axis=1) == table["images"]).all()
    assert table.loc[table["class"] == "all", "images"].tolist() == [359, 359]
    images = pd.read_csv(study / "tables/learned_images.csv")
    assert images.groupby("label")["image"].apply(list).tolist() == [list(range(359))] * 2
    assert (images["fraction"] == 0.25).sum() == table.loc[table["class"] == "all", "from 25 %"].sum()
    assert page_of(study).texts.count("Images that only larger subsets learn") == 2  # the table and the figure


def test_the_thesis_s_benchmarks_stand_beside_full_runs_on_imagenet_alone(tmp_path):
    tables = {}
    for name in ("imagenet", "digits"):
        write_run(tmp_path / name, fraction=1.0, planted={"config.data.name": name})
        tables[name] = {one.name: one.table for one in report_data(load_study(tmp_path / name)).tables}
    table = tables["imagenet"]["benchmark_mobilenet_v2"]
    assert table["weights"].tolist() == ["trained here", "published"]
    assert table["top-1 (%)"].iloc[1] == pytest.approx(72.154)
    assert "benchmark_mobilenet_v2" not in tables["digits"]


@pytest.mark.slow
def test_the_same_study_gives_the_same_files_wherever_they_are_written(study, tmp_path):
    report([study], delta=0.02, target=0.95, out=tmp_path)
    again = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(again) > 50
    assert again == {path: (study / path).read_bytes() for path in again}


def test_the_terminal_gets_the_first_screen_and_the_path_of_the_page(reported):
    study, output = reported
    *lines, last = output.splitlines()
    assert last == f"page: {study}/report.html"
    assert lines[0] == "made_up: how much training data is enough?"
    assert max(map(len, lines)) <= 80
    assert "Can it be trusted?" in lines
    assert "Runs that nothing rests on: 1 running, 1 failed, 1 superseded, 1 unreadable." in lines
    assert "│" not in output  # no table of every run


def command_line(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["report", *map(str, arguments)])
    main()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out, which take a while."""
    monkeypatch.setattr("datavol.study.report.writer.report_figures", lambda study: iter(()))


def test_runs_lists_every_run_below_the_screen(tmp_path, monkeypatch, capsys, quick):
    write_run(tmp_path / "some", top1=0.5)
    failed = write_run(tmp_path / "some", fraction=0.5, state="failed", done=1)
    write_run(tmp_path / "some", fraction=1.0, state="running", done=1)
    command_line(monkeypatch, tmp_path / "some", "--runs")
    output = capsys.readouterr().out
    assert output.startswith("some: how much training data is enough?")
    assert "running at 1/4" in output
    assert re.search(r"│ guessing +│ - .*│ +10\.3 │ +51\.3 │", output)
    assert f"failed: {failed.path}: a test" in output


def test_brief_is_five_lines_and_the_page(tmp_path, monkeypatch, capsys, quick):
    for fraction, seed in product((0.125, 0.25, 0.5, 1.0), (0, 1)):
        write_run(tmp_path / "some", fraction=fraction, seed=seed)
    command_line(monkeypatch, tmp_path / "some", "--brief", "--label-cost", "0.10EUR")
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("Study some: mobilenet_v2 by small on digits reaches an accuracy of ")
    assert "1,570 training images" in lines[0]
    assert lines[-1].startswith("Next: ")
    assert "python -m datavol." in lines[-1]
    assert said.out.isascii()
    assert (tmp_path / "some/report.html").is_file()
    assert "page: " in said.err


def test_json_is_one_object_on_stdout(tmp_path, monkeypatch, capsys, quick):
    for fraction, seed in product((0.125, 0.25, 0.5, 1.0), (0, 1)):
        write_run(tmp_path / "some", fraction=fraction, seed=seed)
    command_line(monkeypatch, tmp_path / "some", "--json", "--label-cost", "0.10EUR", "--target", "80")
    told = json.loads(capsys.readouterr().out)
    assert told["now"]["images"] == 1570
    assert told["now"]["cost"] == pytest.approx(157)
    assert 0 < told["now"]["low"] < told["now"]["value"] < told["now"]["high"] < 1
    assert told["wanted"]["value"] == 0.8
    assert told["page"] == str(tmp_path / "some/report.html")


@pytest.mark.parametrize("form", ["--json", "--brief"])
def test_a_study_without_a_finished_run_has_those_forms_too(form, tmp_path, monkeypatch, capsys, quick):
    write_run(tmp_path / "early", state="failed", done=0)
    command_line(monkeypatch, tmp_path / "early", form)
    said = capsys.readouterr().out
    assert "no run has finished: 1 failed" in said.replace("No run", "no run")
    if form == "--json":
        assert json.loads(said)["now"] is None
    else:
        assert len(said.splitlines()) == 5


def test_without_a_finished_run_there_is_a_page_that_says_so(tmp_path, capsys):
    study = tmp_path / "early"
    write_run(study, state="running", done=2)
    write_run(study, state="failed", done=0)
    broken = write_run(study)
    (broken.path / "run.json").write_text("{")
    report([study])
    reason = "no run has finished: 1 running, 1 failed, 1 unreadable"
    output, texts = capsys.readouterr().out, page_of(study).texts
    assert "No answer yet: no run has finished." in output
    assert f"{reason}; " in " ".join(output.split())
    assert any(broken.path.name in text for text in texts)
    assert any(reason in text for text in texts)
    assert "Validation accuracy over the training" in texts


def test_one_run_alone_is_noted(tmp_path, capsys):
    write_run(tmp_path / "one")
    report([tmp_path / "one"])
    assert "No answer yet: it takes three sizes of the training set." in capsys.readouterr().out
    assert "One run only: no curve." in page_of(tmp_path / "one").texts


def test_two_data_sets_are_noted_and_their_curves_apart(tmp_path):
    for name, fraction in product(("digits", "flowers"), (0.05, 0.25)):
        planted = {"config.data.name": name, "subset.fingerprint": name, "hash": f"{len(name):08x}"}
        write_run(tmp_path / name, fraction=fraction, planted=planted)
    report([tmp_path / "digits", tmp_path / "flowers"])
    texts = page_of(tmp_path / "digits").texts
    assert "Runs of 2 data sets are mixed: digits, flowers." in texts
    assert {"mobilenet_v2 by small on digits", "mobilenet_v2 by small on flowers"} <= set(texts)
    assert all((tmp_path / f"digits/tables/overlap_{name}.csv").is_file() for name in ("digits", "flowers"))


def test_what_cannot_be_made_is_listed_with_its_reason(tmp_path):
    for seed in (0, 1):
        (write_run(tmp_path / "lost", seed=seed).path / "subset.npy").unlink()
    report([tmp_path / "lost"])
    texts = page_of(tmp_path / "lost").texts
    assert any(text.startswith("What the subsets share: ") and "subset.npy" in text for text in texts)
    assert any(text.startswith("Accuracy of every class: ") and "predictions=last" in text for text in texts)


def test_a_curve_begins_with_its_verdict_and_the_gates_in_plain_words(reported):
    study, _ = reported
    texts = page_of(study).texts
    first = texts.index("mobilenet_v2 by small on digits", texts.index("Answers"))
    assert texts[first + 2].startswith("Verdict: ")
    assert "How much data is enough, to 2 points?" in texts[first + 3 :]
    for gate in report_data(load_study(study), delta=0.02).verdicts["mobilenet_v2 by small on digits"].gates:
        assert any(gate.why[1:] in text for text in texts)


def test_names_of_any_letters_are_shown_in_every_file_and_codes_are_told(reported):
    study, _ = reported
    table = pd.read_csv(study / "tables/learned.csv")
    assert r"$\foo$" in set(table["class"])
    assert "<b>x</b>" in page_of(study).texts
    assert r"caf\udce9" in (study / "tables/learned.md").read_text()
    assert r"a\nb\x00" in (study / "tables/learned.tex").read_text().replace(r"\textbackslash ", "\\")
    (told,) = [text for text in page_of(study).texts if " cannot be written in figures, as no font here has" in text]
    assert r"caf\udce9 is caf\udce9" in told
    assert not (study / "report.html").read_text().count("this figure failed")


def test_a_damaged_file_costs_its_own_run_s_part_alone_and_is_told(reported):
    study, output = reported
    texts = page_of(study).texts
    (place,) = [n for n, text in enumerate(texts) if text.startswith("The predictions of 1 finished runs cannot be")]
    assert "what rests on them goes without" in texts[place]
    assert "predictions/last.npz" in texts[place + 1]
    assert re.search(r"^\d further findings? of the audit (is|are) on the page\.$", output, re.MULTILINE)
    assert {path.stem for path in (study / "figures").glob("*.png")} >= {
        "reliability",
        "confusion",
        "images_by_fate",
        "risk_coverage",
    }


def test_a_study_whose_runs_cannot_be_read_is_one_line(tmp_path):
    for seed in (0, 1):
        (write_run(tmp_path / "bad", seed=seed).path / "run.json").write_text("{")
    with pytest.raises(ConfigError, match=r"a study must have a run that can be read, got 2 unreadable ones in .*bad"):
        report([tmp_path / "bad"])


def test_a_folder_of_studies_is_answered_with_one_of_them(tmp_path):
    write_run(tmp_path / "studies" / "mine")
    with pytest.raises(ConfigError, match=r"it holds studies: try .*studies/mine"):
        report([tmp_path / "studies"])


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, errno.EROFS])
def test_a_disk_that_takes_nothing_is_one_line(number, tmp_path, monkeypatch):
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(number, os.strerror(number), str(path))

    write_run(tmp_path / "mine", state="running", done=0)
    monkeypatch.setattr("datavol.study.tables.formats.write_whole", refuse)
    with pytest.raises(ConfigError, match=f"--out must be a folder to write into, got .*: {os.strerror(number)}; try"):
        report([tmp_path / "mine"])


MISTAKES = {
    "a missing folder": ("none", "none"),
    "no cost": ("../made_up --label-cost free", "--label-cost 0.10EUR"),
    "two forms": ("../made_up --brief --json", "--json"),
    "an empty folder": (".", "runs"),
    "no delta": ("../made_up --delta 0", "--delta"),
    "too high a target": ("../made_up --target 100", "--target"),
    "a price alone": ("../made_up --miss 500", "--target 95 --miss 500"),
    "no price": ("../made_up --target 95 --miss=-3", "--miss"),
    "no number": ("../made_up --target most", "--target"),
}


@pytest.mark.parametrize(("arguments", "mistaken"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_that_names_it(arguments, mistaken, tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "made_up")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setattr(sys, "argv", ["report", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("datavol: ")
    assert mistaken in line


def test_a_folder_that_cannot_be_written_is_refused(study, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--out must be .*: Not a directory"):
        report([study], out=tmp_path / "file")


def test_a_sweep_of_which_nothing_was_evaluated_yet_has_a_page_that_takes_no_torch(tmp_path):
    write_run(tmp_path / "early", state="running", done=0)
    code = "from datavol.report import main; import sys; main(); assert 'torch' not in sys.modules"
    answer = subprocess.run([sys.executable, "-c", code, str(tmp_path / "early")], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert "0/4 budget epochs done" in page_of(tmp_path / "early").texts


@pytest.fixture
def fresh(elsewhere: Path) -> Iterator[Path]:
    """Provide an empty folder, and no earlier use of wandb in this process."""
    wandb.teardown()
    yield elsewhere
    wandb.teardown()


def test_an_upload_goes_where_the_runs_were_logged_or_to_the_default_project(fresh):
    write_run(fresh / "csv", overrides=("logger=csv",))
    write_run(fresh / "logged", overrides=("logger=wandb", "logger.project=vision", "logger.entity=lab"))
    destinations = [destination(load_study(fresh / name).runs) for name in ("csv", "logged")]
    assert [(one.project, one.entity) for one in destinations] == [("datavol", None), ("vision", "lab")]


def test_an_upload_is_a_run_of_the_study_s_group_with_page_tables_and_all_files(fresh, capsys):
    study = fresh / "mine"
    write_run(study, overrides=("logger=wandb", "logger.project=vision"))
    report([study], wandb=True)
    assert "W&B: offline; `wandb sync " in capsys.readouterr().out
    (file,) = study.glob("wandb/offline-run-*/run-*.wandb")
    sent = read_wandb_file(file)
    assert (sent.run.project, sent.run.run_group, sent.run.job_type) == ("vision", "mine", "report")
    assert sent.run.display_name == "report-mine"
    (row,) = sent.rows
    assert {f"{name}/_type" for name in ("report", "tables/accuracy", "tables/runs")} <= set(row)
    (page,) = file.parent.glob("files/media/html/*.html")
    assert page.read_text().strip() == (study / "report.html").read_text().strip()
    (artifact,) = (one for one in sent.artifacts if one.type == "report")
    files = {entry.path for entry in artifact.manifest.contents}
    assert {"report.html", "tables/runs.csv", "figures/accuracy_against_volume.pdf"} <= files


def test_a_disabled_wandb_is_refused_before_anything_is_written(fresh, monkeypatch):
    write_run(fresh / "mine")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(ConfigError, match="--wandb, got disabled"):
        report([fresh / "mine"], wandb=True)
    assert not (fresh / "mine" / "report.html").exists()


@pytest.fixture(scope="module")
def own_numbers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Report the points of the documentation; return the folder and the output."""
    file = tmp_path_factory.mktemp("own") / "points.csv"
    shutil.copy(Path(__file__).parents[1] / "docs/howto/points.csv", file)
    with redirect_stdout(io.StringIO()) as output:
        report_points(file, "mAP", target=0.5)
    return file.parent / "points_report", output.getvalue()


def test_points_of_another_trainer_get_a_page_without_empty_rooms(own_numbers):
    folder, _ = own_numbers
    page = page_of(folder)
    headings = ["Answers", "Main figure", "Tables", "Further figures", "Points", "How it was made"]
    positions = [page.texts.index(heading) for heading in headings]
    assert positions == sorted(positions)
    assert not {"Audit: are the points comparable?", "Runs", "What this study does not show"} & set(page.texts)
    assert "How many images does an mAP of 50 % take?" in page.texts
    assert "guessing: 0 %, what finding nothing gives; --guess if it is another" in page.texts
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert not re.search("top-1|accuracy of|seed=", " ".join(page.texts))
    names = {path.name for path in folder.rglob("*.*")}
    figures = {f"{name}.png" for name in ("accuracy_against_volume", "learning_curve_fit", "backtest")}
    assert {"report.html", "values.csv", "points.csv", *figures} <= names
    values = pd.read_csv(folder / "tables/values.csv")
    assert values["mAP (%)"].iloc[0] == pytest.approx(100 * (0.332 + 0.327) / 2, abs=1)
    assert pd.read_csv(folder / "tables/points.csv")["place"].iloc[0] == "line 12"


def test_the_terminal_has_room_for_the_answers_about_points(own_numbers):
    folder, output = own_numbers
    *lines, last = output.splitlines()
    assert last == f"page: {folder}/report.html"
    assert max(map(len, lines)) <= 80
    assert lines[0] == "points: how much training data is enough?"
    assert any(line.startswith("  for 50 %") for line in lines)
    assert "Values: mAP, higher is better, read as shares, so that 0.5 is 50 %." in lines
    assert "Other setups" in lines


def test_an_error_in_per_cent_is_reported_as_such(tmp_path, capsys):
    file = tmp_path / "a name that is longer than a terminal has room for, with $ and <b>.csv"
    file.write_text("n,value\n100,62\n200,50\n400,41.5\n800,31\n1600,25\n3200,19.5\n")
    report_points(file, "error", percent=True, guess=70, target=15, delta=2, out=tmp_path / "out")
    said = capsys.readouterr().out
    texts = " ".join(page_of(tmp_path / "out").texts)
    assert "How many images does an error of 15 % take?" in texts
    assert "How much data is enough, to 2 points?" in texts
    assert re.search(r"measured: (19|20)\.\d %", texts)
    assert re.search(r"^  all you have +3,200  (19|20)\.\d %", said, re.MULTILINE)
    assert max(map(len, said.splitlines()[:-1])) <= 80
    svg = (tmp_path / "out/figures/learning_curve_fit.svg").read_bytes()
    assert b"validation error" in svg or len(svg) > 10_000
