"""Describes a W&B workspace with learning curves, training curves and confidence.

Training curves are drawn against W&B's own step, which is the iteration. Runs are grouped by network and fraction, so
that every line and every point of a learning curve is a mean over seeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datavol.config.logger import REPORT
from datavol.errors import ConfigError

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2.interface import PanelTypes
    from wandb_workspaces.workspaces import RunsetSettings, Section, Workspace

# keys as `datavol.training` logs them -> panel titles; the first are values of a run's summary, the others histories
LEARNING_CURVES = {
    "val/top1": "top-1, last evaluation",
    "best/val/top1": "top-1, best evaluation",
    "val/top5": "top-5, last evaluation",
    "val/loss": "loss, last evaluation",
}
TRAINING_CURVES = {
    "val/top1": "validation top-1",
    "val/top5": "validation top-5",
    "val/loss": "validation loss",
    "train/top1": "training top-1",
    "train/loss": "training loss",
    "lr": "learning rate",
}
CONFIDENCE = {
    "val/margin_correct": "confidence margin where correct",
    "val/margin_incorrect": "confidence margin where incorrect",
    "val/calibration_error": "calibration error",
}
COLUMNS = (
    *("config:model.value.name", "config:fraction.value", "config:seed.value"),  # `.value` as W&B has it inside
    *("summary:val/top1", "summary:best/val/top1"),
)
MOST_RUNS = 200  # lines in a panel; W&B's default is 10


def workspace_of(project: str, entity: str, study: str | None = None) -> Workspace:
    """Build an unsaved workspace of one study, or of all studies.

    Raises:
        ConfigError: If the package wandb-workspaces is not installed.
    """
    try:
        from wandb_workspaces import workspaces as ws
    except ModuleNotFoundError:
        raise ConfigError(
            "a dashboard must have the package wandb-workspaces, got none; try pip install 'datavol[dashboard]'"
        ) from None
    sections: list[Section] = [
        ws.Section(name="Learning curves", panels=_learning_curves(), is_open=True, pinned=True),
        ws.Section(name="Training curves", panels=_training_curves(TRAINING_CURVES), is_open=True),
        ws.Section(name="Confidence", panels=_training_curves(CONFIDENCE), is_open=True),
    ]
    return ws.Workspace(
        project=project,
        entity=entity,
        name=f"datavol: {study or 'all studies'}",
        sections=sections,
        settings=ws.WorkspaceSettings(x_axis="Step", max_runs=MOST_RUNS),
        runset_settings=_runs(study),
    )


def _learning_curves() -> list[PanelTypes]:
    from wandb_workspaces.reports.v2 import Config, ScatterPlot, SummaryMetric

    images = Config("size")  # of the run's subset
    return [
        ScatterPlot(title=f"{title}, against training images", x=images, y=SummaryMetric(name), log_x=True)
        for name, title in LEARNING_CURVES.items()
    ]


def _training_curves(curves: dict[str, str]) -> list[PanelTypes]:
    from wandb_workspaces.reports.v2 import LinePlot

    return [LinePlot(title=title, x="Step", y=[name], title_x="iteration") for name, title in curves.items()]


def _runs(study: str | None) -> RunsetSettings:
    from wandb_workspaces import expr
    from wandb_workspaces import workspaces as ws

    ours = [] if study is None else [expr.Metric("Group") == study]  # `==` builds a filter, and `!=` below
    return ws.RunsetSettings(
        filters=expr.And(expr.Metric("JobType") != REPORT, *ours),
        groupby=[expr.Config("model.name"), expr.Config("fraction")],
        order=[expr.Ordering(expr.Config("fraction"), ascending=True)],
        pinned_columns=list(COLUMNS),
    )
