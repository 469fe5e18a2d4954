import subprocess
import sys
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import wandb
from wandb_workspaces import workspaces as ws

from datavol import dashboard
from datavol.dashboard import save_dashboard
from datavol.errors import ConfigError
from datavol.tracking import session
from datavol.tracking.workspace import workspace_of


def panels(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The configuration of every panel, by its title."""
    sections = spec["spec"]["section"]["panelBankConfig"]["sections"]
    configs = [panel["config"] for section in sections for panel in section["panels"]]
    return {config["chartTitle"]: config for config in configs}


def test_learning_curves_are_summaries_against_images_on_a_logarithmic_axis():
    curve = panels(workspace_of("vision", "me")._spec)["top-1, last evaluation, against training images"]
    assert (curve["xAxis"], curve["yAxis"]) == ("config:size.value", "summary:val/top1")
    assert curve["xAxisLogScale"] is True


def test_every_metric_that_a_run_logs_for_people_has_a_training_curve_against_its_iteration():
    lines = [panel for panel in panels(workspace_of("vision", "me")._spec).values() if "metrics" in panel]
    assert {panel["xAxis"] for panel in lines} == {"_step"}
    shown = {metric for panel in lines for metric in panel["metrics"]}
    wanted = {"top1", "top5", "loss", "margin_correct", "margin_incorrect", "calibration_error"}
    assert {f"val/{name}" for name in wanted} | {"train/top1", "train/loss", "lr"} == shown


def test_sections_are_open_and_in_order_and_runs_are_grouped_over_seeds_and_selected_by_their_study():
    spec = workspace_of("vision", "me", "digits")._spec
    section = spec["spec"]["section"]
    assert (spec["entity"], spec["project"], spec["displayName"]) == ("me", "vision", "datavol: digits")
    opened = [(one["name"], one["isOpen"]) for one in section["panelBankConfig"]["sections"]]
    assert opened == [("Learning curves", True), ("Training curves", True), ("Confidence", True)]
    (runs,) = section["runSets"]
    assert [key["name"] for key in runs["grouping"]] == ["model.value.name", "fraction.value"]
    asked = [(one["key"]["name"], one["op"], one["value"]) for one in runs["filters"]["filters"]]
    assert asked == [("jobType", "!=", "report"), ("group", "=", "digits")]
    (runs,) = workspace_of("vision", "me")._spec["spec"]["section"]["runSets"]
    assert [one["key"]["name"] for one in runs["filters"]["filters"]] == ["jobType"]


@pytest.fixture
def saved(monkeypatch) -> list[ws.Workspace]:
    """What would have been saved, by a user whose default entity is `me`."""
    kept: list[ws.Workspace] = []
    monkeypatch.setattr(session, "logged_in_api", lambda: SimpleNamespace(default_entity="me"))
    monkeypatch.setattr(ws.Workspace, "save", lambda workspace: kept.append(workspace) or workspace)
    monkeypatch.setattr(ws.Workspace, "url", property(lambda workspace: f"https://wandb/{workspace.entity}"))
    return kept


def test_it_is_saved_to_yourself_unless_another_entity_is_named(saved, monkeypatch, capsys):
    assert save_dashboard("vision", None, None) == "https://wandb/me"
    monkeypatch.setattr(sys, "argv", ["dashboard", "vision", "--entity", "lab", "--study", "digits"])
    dashboard.main()
    assert capsys.readouterr().out == "dashboard: https://wandb/lab\n"
    assert {one.project for one in saved} == {"vision"}
    assert [(one.entity, one.name) for one in saved] == [("me", "datavol: all studies"), ("lab", "datavol: digits")]


def test_what_wandb_refuses_is_told(saved, monkeypatch):
    monkeypatch.setattr(ws.Workspace, "save", Mock(side_effect=wandb.errors.CommError("no such\nproject")))
    with pytest.raises(ConfigError, match=r"that you can change, got vision: no such project; check it and --entity"):
        save_dashboard("vision", None, None)


def test_without_a_login_it_ends_with_one_line_and_code_2(command):
    answer, told = command("dashboard", "vision"), "W&B must know you first, got no login; try `wandb login`"
    assert (answer.returncode, answer.stdout, answer.stderr) == (2, "", f"datavol: {told}\n")


def test_without_the_package_it_says_what_to_install(elsewhere):
    code = "import sys; sys.modules['wandb_workspaces'] = None; from datavol.dashboard import main; main()"
    answer = subprocess.run([sys.executable, "-c", code, "vision"], capture_output=True, text=True)
    told = "a dashboard must have the package wandb-workspaces, got none; try pip install 'datavol[dashboard]'"
    assert (answer.returncode, answer.stderr) == (2, f"datavol: {told}\n")
