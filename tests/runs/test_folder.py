import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datavol.errors import ConfigError
from datavol.runs.files import write_whole
from datavol.runs.folder import RunFolder, best_of, runs_of

VALUES = st.floats(allow_nan=True, allow_infinity=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.fixed_dictionaries({"val/top1": VALUES, "lr": VALUES}), min_size=1, max_size=4))
def test_rows_come_back_to_the_last_bit(rows, tmp_path):
    folder = RunFolder(tmp_path)
    rows = [{"budget_epoch": i, "iteration": 7 * i, "images_seen": 9} | row for i, row in enumerate(rows)]
    folder.write_rows(rows)
    for row, read in zip(rows, folder.rows, strict=True):
        assert row.keys() == read.keys()
        assert all(row[name] == read[name] or (math.isnan(row[name]) and math.isnan(read[name])) for name in row)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "run.json"
    write_whole(file, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_facts_are_added_and_replaced_and_infinities_become_null(tmp_path):
    folder = RunFolder(tmp_path)
    assert (folder.record, folder.state, folder.rows) == ({}, None, [])
    folder.update(state="running", last={"val/margin_incorrect": math.nan})
    folder.update(state="failed", reason="why")
    assert folder.record == {"state": "failed", "reason": "why", "last": {"val/margin_incorrect": None}}


def test_a_record_that_is_not_one_is_named(tmp_path):
    (tmp_path / "run.json").write_text('{"state": "runn')
    with pytest.raises(ConfigError, match=r"run\.json must be a whole file .*, got .*sweep\.rerun=true"):
        _ = RunFolder(tmp_path).state


def test_best_is_the_first_of_the_highest():
    rows = [{"budget_epoch": e, "val/top1": top1} for e, top1 in enumerate((0.1, 0.5, 0.3, 0.5))]
    assert best_of(rows)["budget_epoch"] == 1


def test_runs_are_the_folders_with_a_record(tmp_path: Path):
    for name in ("b", "a", "figures"):
        (tmp_path / name).mkdir()
    for name in ("b", "a"):
        RunFolder(tmp_path / name).update(state="running")
    assert [run.path.name for run in runs_of(tmp_path)] == ["a", "b"]
