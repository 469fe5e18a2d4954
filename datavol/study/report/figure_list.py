"""Lists a report's figures, with captions that explain how to read them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pandas as pd
from matplotlib.figure import Figure

from datavol.errors import InsufficientData
from datavol.study import figures
from datavol.study.curves.learning_curve import LearningCurve
from datavol.study.figures.confusion import MATRIX_CLASSES
from datavol.study.figures.names import drawable, drawable_class, drawable_runs
from datavol.study.load.labels import curve_labels, training_points
from datavol.study.load.study import Study, finished_of
from datavol.study.questions.curve_runs import curves_of_study
from datavol.study.tables import confidence
from datavol.study.tables.confusion import confusions
from datavol.study.tables.image_fates import learned_images
from datavol.study.tables.overlap import images_per_class, overlap_matrix
from datavol.study.tables.summaries import LEVEL, learning_curve_points

Draw = Callable[[Figure], object]


@dataclass(frozen=True)
class ReportFigure:
    """Describes a figure: its files' name, texts and drawing function.

    `draw` takes an empty figure, and raises ConfigError or InsufficientData where the study lacks what it shows.
    """

    name: str
    title: str
    caption: str
    draw: Draw


def report_figures(study: Study) -> list[ReportFigure]:
    """List a study's figures, main one first; some may fail to draw."""
    measure = replace(study.measure, title=drawable(study.measure.title))
    study = replace(study, runs=drawable_runs(study.runs), measure=measure)
    if study.points:
        return [*_of_points(study)]
    finished = finished_of(study.runs)
    over_iterations = [*_over_iterations(training_points(study))] if len(study.epochs) else []
    if finished.empty:
        return over_iterations
    return [*_against_volume(study), *over_iterations, *_confidence(finished), *_subsets(finished)]


def _against_volume(study: Study) -> Iterator[ReportFigure]:
    runs, images = study.runs, int(study.finished["validation_images"].max())
    yield ReportFigure(
        "accuracy_against_volume",
        "Accuracy against data volume",
        "Every mark is a run; a line joins the means over seeds. The further to the right, the more training images: "
        "where a line has become level, more of them bought nothing. The bars are the 95 % interval (Wilson) that the "
        f"{images:,} validation images leave; they hold neither another subset nor another seed.{_grouped(runs)}",
        lambda figure: figures.accuracy_against_volume(learning_curve_points(runs), figure.subplots()),
    )
    yield ReportFigure(
        "learning_curve_fit",
        "Learning curve and forecast",
        "The line is fitted to the runs and goes on, dashed, to four times the largest subset, as far as forecasts "
        "were validated. One new run should fall into the band 95 times in 100; a wide band says that more fractions "
        "or seeds are needed before deciding. Both axes are logarithmic, so that a power law is straight.",
        lambda figure: figures.fitted_learning_curves(learning_curves(study), figure),
    )
    yield ReportFigure(
        "backtest",
        "Would the forecast have been right?",
        "The largest sizes, forecast from the smaller ones alone, beside what was then measured. Marks inside their "
        "bars speak for the forecast above.",
        lambda figure: figures.backtests(learning_curves(study), figure),
    )
    yield ReportFigure(
        "best_and_last",
        "Best and last evaluation",
        "Where best and last are far apart, training ended past its best; a best is picked on the validation images "
        "and flatters. The companion of the thesis's figures 18 and 19.",
        lambda figure: figures.best_and_last(runs, figure),
    )
    yield ReportFigure(
        "training_time",
        "Training time",
        "Level where every fraction trains for the same number of iterations on one machine: data cost no time here.",
        lambda figure: figures.training_time(runs, figure.subplots()),
    )


def _grouped(runs: pd.DataFrame) -> str:
    """Say that bars are those of groups, if images have any."""
    if runs["groups"].isna().all():
        return ""
    return " Images of one group are right or wrong together, which makes the bars wider than those of single images."


def _of_points(study: Study) -> Iterator[ReportFigure]:
    runs, measure = study.runs, study.measure
    title = measure.name.capitalize() if measure.name.islower() else measure.name
    rest = measure.name if measure.lower else f"1 - {measure.name}"
    images = runs["validation_images"].max()
    bars = "" if pd.isna(images) else f" The bars are the 95 % interval (Wilson) that the {images:,} test images leave."
    yield ReportFigure(
        "accuracy_against_volume",
        f"{title} against data volume",
        "Every mark is a point of the file; a line joins the means over repeats. The further to the right, the more "
        f"training images: where a line has become level, more of them bought nothing.{bars}",
        lambda figure: figures.accuracy_against_volume(
            learning_curve_points(runs, measure), figure.subplots(), None, f"validation {measure.title} (%)", "curves"
        ),
    )
    yield ReportFigure(
        "learning_curve_fit",
        "Learning curve and forecast",
        "The line is fitted to the points and goes on, dashed, to four times the largest size, as far as forecasts "
        "were validated. One new run should fall into the band 95 times in 100; a wide band says that more sizes or "
        "repeats are needed before deciding. Both axes are logarithmic, so that a power law is straight; up is better."
        + ("" if measure.name == "error" else f" In the formulas, error is {rest}."),
        lambda figure: figures.fitted_learning_curves(learning_curves(study), figure, measure.title, measure),
    )
    yield ReportFigure(
        "backtest",
        "Would the forecast have been right?",
        "The largest sizes, forecast from the smaller ones alone, beside what was then measured. Marks inside their "
        "bars speak for the forecast above.",
        lambda figure: figures.backtests(learning_curves(study), figure, measure.title, measure),
    )


def learning_curves(study: Study) -> dict[str, LearningCurve]:
    """Fit a study's learning curves, keyed by their labels in figures.

    Raises:
        InsufficientData: If none can be fitted, with the reason of the last.
    """
    curves, reason = dict[str, LearningCurve](), InsufficientData("cannot say: no run has finished")
    labels = curve_labels(study.finished)
    for curve_runs in curves_of_study(study):
        try:
            curve = curve_runs.fit(LEVEL)
        except InsufficientData as error:  # one curve may have too few sizes while others have enough
            reason = error
        else:
            curves[str(labels[curve_runs.runs.index[0]])] = curve  # all runs of a curve have one label
    if not curves:
        raise reason
    return curves


def _over_iterations(points: pd.DataFrame) -> Iterator[ReportFigure]:
    yield ReportFigure(
        "accuracy_over_iterations",
        "Validation accuracy over the training",
        "A line per fraction, the darker the more data; every evaluation is at the same iterations for all of them. "
        "Where lines still rise at the end, longer training would change the comparison. Dotted: not finished. "
        "Thesis figures 14 and 15.",
        lambda figure: figures.accuracy_over_iterations(points, figure),
    )
    yield ReportFigure(
        "train_and_validation",
        "Training and validation accuracy",
        "The wider the two part, the more the network has learnt its subset by heart. Training accuracy is counted "
        "under augmentation, which makes it lower. Thesis figures 16 and 17.",
        lambda figure: figures.train_and_validation(points, figure),
    )
    yield ReportFigure(
        "gap_over_iterations",
        "Overfitting",
        "Training less validation top-1: above 0 the network does better on what it has seen. Small fractions part "
        "first.",
        lambda figure: figures.gap_over_iterations(points, figure),
    )
    yield ReportFigure(
        "margins_over_iterations",
        "Confidence margins over the training",
        "The margin is (C1 - C2) / C1 of the two likeliest classes. Good: high where correct (solid) and low where "
        "incorrect (dashed). Thesis figures 20 and 21.",
        lambda figure: figures.margins_over_iterations(points, figure),
    )
    groups = [group for _, group in points.groupby(["label", "fraction"])]
    repeats = max(groups, key=lambda group: group["name"].nunique())  # the first of those with the most runs
    if repeats["name"].nunique() > 1:
        yield ReportFigure(
            "repeats",
            "Repeats of one training",
            "Runs that differ by nothing but their seeds, at the fraction with the most of them: what lies within "
            "their spread is no difference. Thesis figures 9 and 11.",
            lambda figure: figures.curves_of_runs(repeats, figure.subplots()),
        )


def _confidence(finished: pd.DataFrame) -> Iterator[ReportFigure]:
    yield ReportFigure(
        "margins_against_volume",
        "Confidence margins against data volume",
        "How sure the network is at the end, where it is right and where it is wrong. More data should part the two.",
        lambda figure: figures.margins_against_volume(finished, figure.subplots()),
    )
    yield ReportFigure(
        "calibration_against_volume",
        "Calibration against data volume",
        "How far confidence and accuracy are apart on average; 0 is perfect.",
        lambda figure: figures.calibration_against_volume(finished, figure.subplots()),
    )
    yield ReportFigure(
        "reliability",
        "Can confidence be taken at its word?",
        "On the diagonal, of the images that the network calls 80 % sure 80 % are right. Below it, it is too sure.",
        lambda figure: figures.reliability_diagram(confidence.over_runs(finished, confidence.reliability_bins), figure),
    )
    yield ReportFigure(
        "margin_distributions",
        "How confidence margins are distributed",
        "What stands behind the mean margins: a mean in the middle may be two heaps at the ends.",
        lambda figure: figures.margin_distributions(confidence.over_runs(finished, confidence.margins), figure),
    )
    yield ReportFigure(
        "risk_coverage",
        "Error if the unsure images went to a person",
        "From right to left, more and more of the least sure images are left out; the error among the others falls.",
        lambda figure: figures.risk_coverage_curves(confidence.over_runs(finished, confidence.risk_coverage), figure),
    )
    yield ReportFigure(
        "class_accuracies",
        "Accuracy of every class",
        "A row per class, the best on top; columns are fractions. A row that changes most to the right needs the data.",
        lambda figure: figures.class_heat_map(
            confidence.over_runs(finished, confidence.class_accuracies), figure, _class_names(finished)
        ),
    )
    yield ReportFigure(
        "confusion",
        "What is mistaken for what",
        _how_confused(finished),
        lambda figure: figures.confusion(confusions(finished), figure, _class_names(finished)),
    )
    yield ReportFigure(
        "images_by_fate",
        "Images that only larger subsets learn",
        "From which fraction on a validation image is recognised, which asks more than half of the runs there and at "
        "every larger fraction. Dark: it takes the most data. Forgotten: recognised at a smaller fraction, not at the "
        "largest; they went the wrong way, and show how much chance there is. Never: recognised at none.",
        lambda figure: figures.images_by_fate(learned_images(finished), figure, _class_names(finished)),
    )


def _how_confused(finished: pd.DataFrame) -> str:
    """Say how to read the matrix, or the pairs that stand for it."""
    names = confidence.class_names(finished)
    ends = " Classes that are mistaken both ways look alike, or their labels do; more images of both help most."
    if names is not None and len(names) > MATRIX_CLASSES:
        return (
            "The most frequent mistakes at the largest fraction: what an image is, an arrow, what the network says. "
            f"Bars count images.{ends}"
        )
    return (
        "A row per class: what the network of the largest fraction says of its images, in per cent. On the grey "
        f"diagonal it is right; the darker a cell, the more images are taken for another class.{ends}"
    )


def _class_names(finished: pd.DataFrame) -> list[str] | None:
    names = confidence.class_names(finished)
    return None if names is None else [drawable_class(number, name) for number, name in enumerate(names)]


def _subsets(finished: pd.DataFrame) -> Iterator[ReportFigure]:
    yield ReportFigure(
        "class_sizes",
        "Training images of every class",
        "The largest class first. Stratified subsets keep the shape and scale it. Thesis figure 8.",
        lambda figure: figures.class_sizes(images_per_class(finished), figure.subplots()),
    )
    below = finished[finished["fraction"] < 1]
    if below["subset_sha256"].nunique() > 1:
        yield ReportFigure(
            "overlap",
            "What the subsets share",
            "Common images in per cent of the smaller subset. Independent draws share about the larger fraction; "
            "what is far above it is one subset counted twice.",
            lambda figure: figures.overlap_heat_map(overlap_matrix(below), figure.subplots()),
        )
