"""A recorded fact is defined once: whoever shows it reads the table."""

import pytest
from factories.run_folders import write_run

from datavol.runs import columns
from datavol.runs.columns import COLUMNS, Audit, Column, place
from datavol.study.audit.comparability import audit
from datavol.study.load.run_row import run_row
from datavol.study.load.study import load_study
from datavol.tracking.keys import record_from_wandb, sent_to_wandb

MOOD = Column("mood", str, "how the run felt", "mood", wandb="mood", since=3, audit=Audit("moods", "minor", "cheer up"))


@pytest.fixture
def with_mood(monkeypatch):
    monkeypatch.setattr(columns, "COLUMNS", (*COLUMNS, MOOD))


def test_a_new_fact_is_loaded_sent_read_back_and_audited(tmp_path, with_mood):
    for fraction, mood in ((0.25, "calm"), (0.5, "sad"), (1.0, "calm")):
        folder = write_run(tmp_path, fraction=fraction)
        folder.update(mood=mood)
    study = load_study(tmp_path)
    assert study.runs["mood"].tolist() == ["calm", "sad", "calm"]
    assert "moods differ" in "\n".join(map(str, audit(study)))
    config: dict = {}
    for path, value in sent_to_wandb(folder.record):
        place(config, path, value)
    assert config["mood"] == "calm"
    assert record_from_wandb(config | {"schema_version": 3})["mood"] == "calm"


def test_a_record_from_before_the_fact_is_read_without_it(tmp_path, with_mood):
    assert run_row(write_run(tmp_path).record)["mood"] is None


def test_columns_are_named_once_and_described():
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)
    assert all(column.meaning and column.type in (str, int, float, bool) for column in COLUMNS)
    keys = [column.wandb for column in COLUMNS if column.wandb]
    assert len(set(keys)) == len(keys)
