import json
import shutil

import numpy as np
import pytest
from factories.run_folders import LABELS, nodes, plant, true_top1, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from datavol.errors import ConfigError
from datavol.runs.columns import COLUMNS
from datavol.runs.folder import RunFolder
from datavol.study.audit.comparability import audit
from datavol.study.load.labels import training_points
from datavol.study.load.study import load_study
from datavol.study.report.report_data import report_data
from datavol.study.tables.run_tables import results_table
from datavol.study.tables.summaries import learning_curve_points


def test_every_run_is_a_row_whatever_its_state(study):
    runs = load_study(study).runs
    assert runs["state"].value_counts().to_dict() == {"finished": 6, "running": 1, "failed": 1}
    assert runs["model"].tolist() == ["mobilenet_v2"] * 3 + ["resnet50"] * 5
    assert runs["fraction"].tolist() == [0.05, 0.125, 0.25, 0.05, 0.125, 0.25, 0.5, 1]
    assert runs["reason"].tolist()[-1] == "a test"
    assert runs["top1"].isna().tolist() == [False] * 6 + [True, False]


def test_a_row_says_what_the_run_did(tmp_path):
    folder = write_run(tmp_path / "one", fraction=0.25, seed=3)
    study = load_study(tmp_path / "one")
    assert list(study.runs) == [column.name for column in COLUMNS]
    run = study.finished.iloc[0]
    assert (run.run, run.folder, run.study, run.state) == (folder.path.name, str(folder.path), "one", "finished")
    assert (run.draw, run.draw_seed, run.init_seed, run.order_seed) == ("independent", 3, 3, 3)
    assert (run.full_size, run.images, run.classes, run.validation_images) == (1570, len(folder.indices), 10, 359)
    assert (run.epochs, run.evaluations, run.budget_epoch, run.iterations) == (4, 4, 4, 4 * -(-1570 // run.batch_size))
    assert (run.top1, run.best_top1, run.best_budget_epoch) == (true_top1(0.25), true_top1(0.25) + 0.001, 3)
    assert (run.seconds_train, run.seconds_val) == (240, 24)
    assert (run.commit, run.code_changed, run.machine) == ("a" * 40, False, "1 x cpu; 8 cores; Linux")
    assert json.loads(run.recipe_json)["optimiser"]["name"] == "adamw"
    assert folder.images_per_class.sum() == run.images


def test_budget_epochs_are_those_of_the_folders_to_the_last_bit(study):
    loaded = load_study(study)
    assert len(loaded.epochs) == 6 * 4 + 2
    for row, rows in loaded.epochs.groupby("run"):
        assert rows.drop(columns="run").to_dict("records") == RunFolder(study / loaded.runs.loc[row, "run"]).rows


def test_several_studies_are_one_frame_and_a_study_given_twice_counts_once(study, clean):
    assert len(load_study([study, clean, study]).runs) == 8 + 12


def test_a_run_in_two_folders_counts_once_and_the_audit_says_which(study, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(study, copy)
    both, alone = load_study([study, copy]), load_study(study)
    assert len(both.finished) == len(alone.finished)
    copied = both.runs[both.runs["state"] == "copied"]
    measured = alone.runs[alone.runs["evaluations"] > 0]
    assert sorted(copied["folder"]) == sorted(str(copy / name) for name in measured["run"])
    first = copied.iloc[0]
    assert first["reason"] == f"the same run, by hash and measurements, as {study / first['run']}"
    (finding,) = (finding for finding in audit(both) if finding.name == "copied")
    assert str(finding).startswith(f"note: {len(copied)} copied left out: {first['folder']} is the same run, ")
    assert "repeated" not in {finding.name for finding in audit(both)}
    assert not training_points(both).duplicated(["name", "iteration"]).any()


def test_a_configuration_trained_in_two_studies_is_two_runs_with_names_of_their_own(tmp_path):
    write_run(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (table,) = tmp_path.glob("two/*/metrics.csv")
    table.write_text(table.read_text().replace("60.0", "61.0"))  # it took other seconds
    study = load_study([tmp_path / "one", tmp_path / "two"])
    assert len(study.finished) == 2
    assert training_points(study)["name"].nunique() == 2


def test_sessions_that_differ_are_all_told(tmp_path):
    folder = write_run(tmp_path)
    sessions = folder.record["sessions"]
    folder.update(sessions=[*sessions, sessions[0] | {"code": {"commit": "b" * 40, "changed": True}}])
    run = load_study(tmp_path).runs.iloc[0]
    assert (run.commit, run.code_changed) == (f"{'a' * 40} then {'b' * 40}", True)


def test_superseded_runs_are_listed_and_not_used(tmp_path):
    write_run(tmp_path, seed=0).supersede()
    write_run(tmp_path, seed=1)
    study = load_study(tmp_path)
    assert sorted(study.runs["state"]) == ["finished", "superseded"]
    assert study.finished["seed"].tolist() == [1]
    assert study.runs.loc[study.epochs["run"].unique(), "state"].tolist() == ["finished"]
    assert set(study.runs["study"]) == {tmp_path.name}


BREAKS = {  # a file of a run and what becomes of its text
    "no record": ("run.json", None),
    "half a record": ("run.json", lambda text: text[:500]),
    "no JSON object": ("run.json", lambda _: "[]"),
    "not text": ("run.json", lambda _: "\udcff\udcfe"),
    "a record without its configuration": ("run.json", lambda text: text.replace('"config": {', '"other": {')),
    "an unknown state": ("run.json", lambda text: text.replace('"finished"', '"dreaming"')),
    "no metrics": ("metrics.csv", None),
    "metrics cut off": ("metrics.csv", lambda text: text[:-5]),
    "a row cut off": ("metrics.csv", lambda text: text[: text.rindex(",")] + "\n"),
    "metrics without rows": ("metrics.csv", lambda text: text.partition("\n")[0] + "\n"),
    "words for numbers": ("metrics.csv", lambda text: text.replace("0.8", "many")),
    "another table": ("metrics.csv", lambda _: "a,b\n" + "1,2\n" * 4),
}


@pytest.mark.parametrize(("name", "change"), BREAKS.values(), ids=BREAKS)
def test_what_cannot_be_read_is_a_row_with_its_reason_and_the_rest_is_read(tmp_path, name, change):
    write_run(tmp_path, fraction=0.05)
    file = write_run(tmp_path, fraction=0.25).path / name
    text = file.read_text()
    file.unlink()
    if change:
        assert change(text) != text
        file.write_text(change(text), errors="surrogateescape")
    study = load_study(tmp_path)
    assert study.runs["state"].value_counts().to_dict() == {"finished": 1, "unreadable": 1}
    (reason,) = study.runs.loc[study.runs["state"] == "unreadable", "reason"]
    assert reason.split(" ")[0].endswith(("run.json", "metrics.csv"))
    assert "\n" not in reason
    assert study.finished["fraction"].tolist() == [0.05]
    assert study.finished["images"].dtype == "int64"
    assert len(study.epochs) == 4


@settings(deadline=None, max_examples=10)
@given(name=st.sampled_from(["run.json", "metrics.csv"]), share=st.floats(0, 0.999))
def test_no_cut_of_a_file_ends_in_a_traceback_or_a_lost_run(tmp_path_factory, name, share):
    study = tmp_path_factory.mktemp("cut")
    write_run(study, fraction=0.05)
    file = write_run(study).path / name
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    assert sorted(load_study(study).runs["state"]) == ["finished", "unreadable"]


@settings(deadline=None, max_examples=30)
@given(data=st.data(), odd=st.sampled_from([None, "x", "", -1, 1.5, 2**70, True, [], {}, [1], {"a": 1}]))
def test_no_odd_fact_ends_in_a_traceback_or_spoils_the_others(odd_study, data, odd):
    folder, record = odd_study
    changed = json.loads(json.dumps(record))
    plant(changed, data.draw(st.sampled_from([*nodes(record)])), odd)
    (folder.path / "run.json").write_text(json.dumps(changed))
    study = load_study(folder.path.parent)
    assert len(study.runs) == 2
    assert "finished" in set(study.runs["state"])
    for finding in audit(study):
        assert "\n" not in str(finding)
    results_table(study.runs)
    learning_curve_points(study.runs)


@pytest.fixture(scope="module")
def odd_study(tmp_path_factory):
    study = tmp_path_factory.mktemp("odd")
    write_run(study, fraction=0.05)
    folder = write_run(study, fraction=0.25)
    return folder, folder.record


def test_what_is_no_study_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"a study must be a folder with runs in it, got .*; see studies/"):
        load_study(tmp_path)
    with pytest.raises(ConfigError, match=r"a study must be a folder, got nothing at .*nowhere; see studies/"):
        load_study(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=rf"a folder of run folders, got the run .*; try {tmp_path}$"):
        load_study(write_run(tmp_path).path)


def test_a_study_without_a_finished_run_is_told_when_it_must_conclude(tmp_path):
    write_run(tmp_path, state="running", done=1)
    write_run(tmp_path, state="failed", done=0)
    study = load_study(tmp_path)
    assert study.epochs["budget_epoch"].tolist() == [1]
    with pytest.raises(ConfigError, match=r"must have a finished run .*, got 1 running, 1 failed; wait, or type"):
        _ = study.finished


def test_a_run_that_never_evaluated_has_an_empty_row(tmp_path):
    write_run(tmp_path, state="running", done=0)
    study = load_study(tmp_path)
    assert study.runs[["budget_epoch", "evaluations"]].to_numpy().tolist() == [[0, 0]]
    assert study.epochs.empty
    assert "iteration" in study.epochs


def test_an_empty_field_is_nan(tmp_path):
    folder = write_run(tmp_path)
    folder.write_rows([row | {"val/margin_incorrect": np.nan} for row in folder.rows])
    assert load_study(tmp_path).epochs["val/margin_incorrect"].isna().all()


def test_made_up_labels_are_not_in_the_order_of_classes():
    assert (np.diff(LABELS) < 0).any()


def test_fractions_that_arithmetic_left_beside_a_decimal_are_that_decimal(tmp_path):
    """Runs of 0.30000000000000004 were made before fractions were canonical; they count as those of 0.3."""
    for fraction, seed in ((0.1, 0), (0.3, 0), (0.1 + 0.2, 1), (0.9, 0)):
        write_run(tmp_path / "s", fraction=fraction, seed=seed)
    study = load_study(tmp_path / "s")
    assert study.runs["fraction"].tolist() == [0.1, 0.3, 0.3, 0.9]
    assert learning_curve_points(study.runs)["fraction"].nunique() == 3
    assert len(report_data(study, delta=0.01, target=None).answers) > 0
