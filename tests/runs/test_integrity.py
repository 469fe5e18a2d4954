"""A folder is believed only once it is known to hold the run that is asked for, whole."""

import json
import shutil
from pathlib import Path

import pytest

from datavol.config.compose import compose
from datavol.config.run import Run
from datavol.data.prepare import prepare
from datavol.errors import ConfigError
from datavol.evaluate import find
from datavol.planning.plan import plan_runs
from datavol.runs.files import check_writable, read_json
from datavol.runs.folder import RunFolder
from datavol.runs.integrity import measured_rows, supersede
from datavol.runs.rows import digest_of
from datavol.sweep.job import train_run
from datavol.sweep.status import Status
from datavol.training.preflight import check_runs

QUICK = ["logger=csv", "epochs=3"]
ROWS = [{"budget_epoch": e, "iteration": 7 * e, "images_seen": 9 * e, "lr": 0.1, "val/top1": e / 7} for e in (1, 2, 3)]


def a_run(*overrides: str) -> Run:
    return compose([*QUICK, *overrides])[0]


def left(run: Run, state: str = "finished", folder: Path | None = None) -> RunFolder:
    """What a run leaves behind, without checkpoints."""
    prepared, written = prepare(run.config), RunFolder(folder or run.folder)
    written.start(run.values, run.overrides, prepared.manifest, prepared.subset.indices)
    written.write_rows(ROWS)
    facts = {"hash": run.config.run_hash, "name": run.config.run_name, "config": run.values, "last": ROWS[-1]}
    written.update(state=state, schema_version=2, world_size=1, **facts)
    return written


DOORS = {
    "run": lambda run: check_runs([run]),
    "job": train_run,
    "plan": lambda run: plan_runs([run]),
    "rerun": lambda run: check_runs([compose([*run.overrides, "sweep.rerun=true"])[0]]),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("state", ["finished", "failed"])
def test_a_folder_of_another_run_is_refused_everywhere(door, state, elsewhere):
    theirs = left(a_run("fraction=0.5"), state)
    before = {path: path.read_bytes() for path in theirs.path.rglob("*") if path.is_file()}
    ours = a_run("fraction=0.5", "seed=5", "epochs=2", f"hydra.run.dir={theirs.path}")
    with pytest.raises(ConfigError) as refused:
        DOORS[door](ours)
    assert str(refused.value) == (
        f"a run's folder must hold the run that is asked for, {ours.config.run_hash}, got {theirs.path} with run "
        f"{theirs.record['hash']}, which differs in draw_seed, init_seed, order_seed, epochs; "
        "leave hydra.run.dir out, or give another"
    )
    assert before == {path: path.read_bytes() for path in theirs.path.rglob("*") if path.is_file()}
    assert Status.of(ours).state == "refused"


def test_a_renamed_folder_is_refused_with_the_command_that_names_it_back(elsewhere):
    theirs, ours = left(a_run("seed=1")), a_run("seed=2")
    home = theirs.path
    home.rename(ours.folder)
    with pytest.raises(ConfigError, match=f"; try mv {ours.folder} {home}$"):
        check_runs([ours])
    shutil.copytree(ours.folder, home)
    with pytest.raises(ConfigError, match=rf"; try mv {ours.folder} {ours.folder}\.other$"):
        check_runs([ours])
    ours.folder.rename(f"{ours.folder}.other")
    check_runs([ours])


def test_a_configuration_that_was_edited_by_hand_is_refused_until_it_is_moved_away(elsewhere):
    run = a_run()
    folder = left(run)
    file = folder.path / ".hydra/config.yaml"
    file.write_text(file.read_text().replace("epochs: 3", "epochs: 30", 1))
    for door in (*list(DOORS.values())[:3], lambda run: find(run.folder, [])):
        with pytest.raises(ConfigError, match=r"config\.yaml must be of the run in run\.json, .* in epochs; .*"):
            door(run)
    file.rename(f"{file}.edited")
    check_runs([run])
    assert folder.values == folder.record["config"]


DAMAGE = {
    "run.json": [b"", b'{"state": "runn', b"[1]", b"\xff\xfe", b"null"],
    "subset.json": [b"", b"[]", b"{}", None],
    "subset.npy": [b"", b"\x93NUMPY", None],
    ".hydra/config.yaml": [b"fraction: [", b"- 1", b"\xff\xfe\x00", b"only text"],
    "metrics.csv": [b"", b"budget_epoch,iteration\n1,2\n", b"nothing"],
}


@pytest.mark.parametrize(("name", "content"), [(name, content) for name in DAMAGE for content in DAMAGE[name]])
def test_a_damaged_file_is_one_line_with_its_name_and_a_remedy_that_works(name, content, elsewhere):
    run = a_run()
    folder = left(run, "failed")
    file = folder.path / name
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        train_run(run)
    line = str(refused.value)
    assert line.startswith(str(folder.path if content == b"" else file))  # without rows, the checkpoint lacks as well
    assert "\n" not in line
    if "sweep.rerun=true" in line:
        check_runs([a_run("sweep.rerun=true")])
        supersede([folder])
        assert not folder.path.exists()
        assert (folder.path.parent / "superseded" / f"{folder.path.name}.1").is_dir()
    else:
        assert line.endswith("move it away: run.json holds the configuration as well")
        file.rename(f"{file}.damaged")
    assert check_runs([run])


TABLES = {
    "the last row removed": lambda text: text[: text[:-1].rindex("\n") + 1],
    "the first row removed": lambda text: text.replace(text.splitlines(keepends=True)[1], ""),
    "cut by 14 bytes": lambda text: text[:-14],
    "cut by 14 bytes and a newline put back": lambda text: text[:-14] + "\n",
    "a row twice": lambda text: text + text.splitlines(keepends=True)[-1],
    "rows out of order": lambda text: "".join(sorted(text.splitlines(keepends=True), reverse=True)),
    "a damaged header": lambda text: text.replace("budget_epoch", "budget", 1),
    "a column renamed": lambda text: text.replace("val/top1", "val/top5", 1),
    "another number": lambda text: text.replace(str(1 / 7), "0.5"),
    "nothing": lambda text: "",
}


@pytest.mark.parametrize("damage", TABLES)
def test_a_resume_takes_whole_rows_alone(damage, tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_rows(ROWS)
    folder.update(state="failed", last=ROWS[-1])
    assert measured_rows(folder, 3, digest_of(ROWS)) == ROWS
    file = tmp_path / "metrics.csv"
    file.write_text(TABLES[damage](file.read_text()))
    with pytest.raises(ConfigError, match=rf"^{file} must [^\n]*sweep\.rerun=true"):
        measured_rows(folder, 3, digest_of(ROWS))


def test_a_row_without_its_checkpoint_is_left_out(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_rows(ROWS)
    folder.update(state="failed", last=ROWS[1])
    assert measured_rows(folder, 2, digest_of(ROWS[:2])) == ROWS[:2]
    folder.write_rows(ROWS[:2])
    with pytest.raises(ConfigError, match=r"must be of budget epoch 2, as run\.json says, got 1; "):
        measured_rows(folder, 1, digest_of(ROWS[:1]))


@pytest.mark.parametrize("damage", ["cut by 14 bytes and a newline put back", "a column renamed"])
def test_without_a_digest_the_last_row_is_compared_with_the_record(damage, tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_rows(ROWS)
    folder.update(state="failed", last=ROWS[-1])
    assert measured_rows(folder, 3, None) == ROWS
    file = tmp_path / "metrics.csv"
    file.write_text(TABLES[damage](file.read_text()))
    with pytest.raises(ConfigError, match=r"must hold what was measured|whole file"):
        measured_rows(folder, 3, None)


def test_measurements_without_a_record_are_not_written_over(elsewhere):
    run = a_run()
    folder = left(run, "failed")
    (folder.path / "run.json").unlink()
    with pytest.raises(ConfigError, match=r"run\.json must be there beside metrics\.csv, got nothing; "):
        check_runs([run])


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    folder = RunFolder(tmp_path)
    folder.update(state="failed")
    ours = [
        ".run.json.a1b2c3d4",
        ".metrics.csv.abcd_fgh",
        "predictions/.last.npz.12345678",
        "checkpoints/.last.ckpt.tmp",
    ]
    others = [".run.json.lock", ".notes.txt", ".run.json.backup", "predictions/.hidden", "last.ckpt.tmp"]
    for name in (*ours, *others):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    folder.remove_temporary()
    assert [name for name in ours if (tmp_path / name).exists()] == []
    assert all((tmp_path / name).exists() for name in others)


@pytest.mark.parametrize(("place", "got"), [("file/studies", "Not a directory"), ("/proc/studies", "")])
def test_a_place_that_cannot_be_written_is_one_line_before_training(place, got, elsewhere):
    Path("file").write_text("")
    with pytest.raises(ConfigError, match=f"must be a folder that can be written, got {got}.*; type the command in"):
        check_writable(Path(place))
    check_writable(Path("studies/digits/new"))
    assert [path.name for path in elsewhere.iterdir()] == ["file"]


def test_a_folder_that_is_removed_while_its_run_trains_is_not_made_anew(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.update(state="running")
    shutil.rmtree(folder.path)
    with pytest.raises(RuntimeError, match=r"run must stay while its run trains, got no run\.json; type"):
        folder.update(last=ROWS[0])
    assert folder.close("failed", "gone") is None
    assert not folder.path.exists()


def test_one_reader_names_the_file_its_damage_and_the_remedy(tmp_path):
    file = tmp_path / "some.json"
    for content, got in {
        "[1]": "no JSON object",
        '{"a": 1': "JSONDecodeError",
        "[" * 100_000: "RecursionError",
    }.items():
        file.write_text(content)
        with pytest.raises(ConfigError, match=rf"^{file} must be a whole file .*{got}.*; do this$"):
            read_json(file, "do this")
    file.write_text(json.dumps({"a": 1}))
    assert read_json(file) == {"a": 1}
