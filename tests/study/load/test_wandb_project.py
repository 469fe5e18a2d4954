from functools import partial
from itertools import product
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import wandb
from factories.run_folders import write_run

from datavol.config.compose import compose
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.study.audit.comparability import audit
from datavol.study.load.study import load_study
from datavol.study.load.wandb_project import load_wandb
from datavol.study.tables.summaries import learning_curve_points
from datavol.tracking import training_run
from datavol.tracking.run import WandbRun
from datavol.training.record import logged_curves

UNSENT = ["folder", "fingerprint", "subset_sha256", "threads", "commit", "code_changed"]
UNSENT += ["versions", "groups", "grouped_by", "machine", "processor", "listed_images", "started", "ended", "study"]
UNSENT += ["trunk", "trunk_seconds"]


class FakeApi:
    """Holds what datavol would have sent to W&B."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def runs(self, project: str, lazy: bool) -> list[Any]:
        if project != "me/here":
            raise wandb.errors.CommError("Could not find project")
        return self.sent

    def send(self, folder: RunFolder, monkeypatch: pytest.MonkeyPatch, *overrides: str, state: str = "finished") -> Any:
        """Let `logged_curves` send a run, and keep it."""
        (run,) = compose([*overrides, "logger=wandb"])
        rows: list[dict[str, Any]] = []

        def opened(settings: Any, *, run_id: str, name: str, study: str, config: dict[str, Any], **_: Any) -> WandbRun:
            known = {"id": run_id, "name": folder.path.name, "group": study, "config": config, "state": state}
            known |= {"job_type": None, "created_at": "2026-01-01T00:00:00Z", "scan_history": lambda: rows}
            self.sent.append(SimpleNamespace(**known, summary={}))

            def log(row: dict[str, Any], step: int, commit: bool) -> None:
                rows.append({"_step": step, "_runtime": 1.5} | row)
                self.sent[-1].summary.update(row)  # as W&B does

            server: Any = SimpleNamespace(log=log, finish=lambda code: None, summary=self.sent[-1].summary)
            return WandbRun(server)

        monkeypatch.setattr(training_run, "open_wandb_run", opened)
        keeper: Any = SimpleNamespace(folder=folder, send=None, rows=[])
        steps: Any = SimpleNamespace(send=None)
        trainer: Any = SimpleNamespace(is_global_zero=True, logger=None)
        with logged_curves(run, keeper, steps, trainer):
            for row in folder.rows:
                first = row["iteration"] - row["iteration"] // row["budget_epoch"] + 1
                steps.send({"iteration": first, "epoch": 0, "train/loss_step": 1.0}, ends_epoch=False)
                keeper.send(row)
        return self.sent[-1]


def as_sent_before(run: Any) -> None:
    """Name a run's keys as older versions of datavol did."""
    config, rows = run.config, [row for row in run.scan_history() if "budget_epoch" in row]
    sections = {f"{name}_settings": config[name] for name in ("model", "data", "recipe", "trainer")}
    names = {name: config[name]["name"] for name in ("model", "data", "recipe")}
    run.config = {key: value for key, value in config.items() if key != "hash"} | names | sections
    apart = ("epoch", "trainer/global_step")
    run.scan_history = lambda: [{key: value for key, value in row.items() if key not in apart} for row in rows]
    guesses = {key: value for key, value in run.summary.items() if key.startswith("guess/")}
    run.summary = guesses | {"last/budget_epoch": len(rows)}


@pytest.fixture
def both(tmp_path, monkeypatch):
    """The same runs in a folder and on W&B."""
    api = FakeApi()
    batch = "recipe.batch_size=64"
    for fraction, seed in product((0.5, 0.25), (1, 0)):
        folder = write_run(tmp_path / "s", fraction=fraction, seed=seed, overrides=(batch,))
        api.send(folder, monkeypatch, f"fraction={fraction}", f"seed={seed}", "epochs=4", batch)
    return load_study(tmp_path / "s"), api


def test_the_frames_are_those_of_the_folder_where_it_is_sent_and_can_be_audited_and_concluded_from(both):
    study, api = both
    online = load_wandb("me/here", api)
    same = partial(pd.testing.assert_frame_equal, check_dtype=False)
    same(online.runs.drop(columns=UNSENT), study.runs.drop(columns=UNSENT))
    same(online.epochs, study.epochs, check_like=True)
    assert online.runs[UNSENT[:8]].isna().all(axis=None)
    assert [(finding.name, finding.severity) for finding in audit(online)] == [("subsets", "minor")]
    same(learning_curve_points(online.runs), learning_curve_points(study.runs))


def test_a_project_of_an_older_version_is_read_beside_runs_of_this_one(both):
    study, api = both
    as_sent_before(api.sent[0])
    as_sent_before(api.sent[3])
    online = load_wandb("me/here", api)
    pd.testing.assert_frame_equal(online.runs.drop(columns=UNSENT), study.runs.drop(columns=UNSENT), check_dtype=False)
    pd.testing.assert_frame_equal(online.epochs, study.epochs, check_dtype=False, check_like=True)


def test_a_run_that_was_logged_twice_counts_once(both):
    study, api = both
    again = SimpleNamespace(**vars(api.sent[0]) | {"id": "an agent's"})
    api.sent.append(again)
    online = load_wandb("me/here", api)
    assert online.runs["state"].value_counts().to_dict() == {"finished": 4, "copied": 1}
    assert len(online.epochs) == len(study.epochs)
    assert [(found.name, found.severity) for found in audit(online)] == [("subsets", "minor"), ("copied", "note")]


def test_every_run_is_a_row_whatever_its_state(both, tmp_path, monkeypatch):
    _, api = both
    api.send(write_run(tmp_path / "more", done=0), monkeypatch, state="running")
    api.send(write_run(tmp_path / "more", done=2), monkeypatch, state="crashed")
    api.send(write_run(tmp_path / "more"), monkeypatch).scan_history = lambda: []
    api.sent.append(SimpleNamespace(name="other", group=None, job_type=None, config={}, summary={}, scan_history=list))
    api.sent.append(SimpleNamespace(name="report", job_type="report"))
    runs = load_wandb("me/here", api).runs
    assert runs["state"].value_counts().to_dict() == {"finished": 4, "unreadable": 2, "running": 1, "failed": 1}
    assert runs.loc[runs["state"] == "failed", "reason"].tolist() == ["W&B says crashed"]
    without, evaluations = sorted(runs.loc[runs["state"] == "unreadable", "reason"])
    assert without.startswith("W&B must hold a run that datavol logged, got one without")
    assert evaluations == "W&B must hold the 4 evaluations of the run's summary, got 0"


def test_numbers_that_are_not_finite_come_back(both):
    _, api = both
    for run in api.sent:
        rows = [row | {"val/margin_incorrect": "NaN"} for row in run.scan_history()]
        run.scan_history = lambda rows=rows: rows
    assert load_wandb("me/here", api).epochs["val/margin_incorrect"].isna().all()


def test_a_project_that_is_not_there_or_is_empty_is_told():
    with pytest.raises(ConfigError, match=r"W&B project that you can read, got no/where: Could not find project; try"):
        load_wandb("no/where", FakeApi())
    with pytest.raises(ConfigError, match="with runs in it, got me/here; check its name"):
        load_wandb("me/here", FakeApi())


def test_without_a_login_it_says_so_and_asks_nothing(elsewhere):
    with pytest.raises(ConfigError, match=r"^W&B must know you .*, got no login; try `wandb login`$"):
        load_wandb("me/here")
