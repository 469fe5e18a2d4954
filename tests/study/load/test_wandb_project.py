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
from datavol.training import record as recording

UNSENT = ["folder", "fingerprint", "subset_sha256", "threads", "commit", "code_changed"]
UNSENT += ["versions", "groups", "grouped_by", "machine", "processor", "listed_images", "started", "ended", "study"]


class FakeApi:
    """Holds what datavol would have sent to W&B."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def runs(self, project: str, lazy: bool) -> list[Any]:
        if project != "me/here":
            raise wandb.errors.CommError("Could not find project")
        return self.sent

    def send(self, folder: RunFolder, monkeypatch: pytest.MonkeyPatch, *overrides: str, state: str = "finished") -> Any:
        """Let `wandb_curves` send a run, and keep it."""
        (run,) = compose([*overrides, "logger=wandb"])
        rows: list[dict[str, Any]] = []

        def opened(settings: Any, *, run_id: str, name: str, study: str, config: dict[str, Any], **_: Any) -> Any:
            known = {"id": run_id, "name": folder.path.name, "group": study, "config": config, "state": state}
            known |= {"job_type": None, "created_at": "2026-01-01T00:00:00Z", "scan_history": lambda: rows}
            self.sent.append(SimpleNamespace(**known, summary={}))
            return SimpleNamespace(
                log=lambda row: rows.append({"_step": row["iteration"], "_runtime": 1.5} | row),
                finish=lambda summary, code: self.sent[-1].summary.update(summary),
            )

        monkeypatch.setattr(recording, "open_wandb_run", opened)
        keeper = SimpleNamespace(folder=folder, send=None, rows=[])
        with recording.wandb_curves(run, keeper, True):  # type: ignore[arg-type]
            for row in folder.rows:
                keeper.send(row)
        return self.sent[-1]


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
