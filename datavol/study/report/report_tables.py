"""Makes the tables of a report, each with a title and a caption."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from datavol.errors import ConfigError
from datavol.study.load.study import finished_of
from datavol.study.tables.confidence import class_names
from datavol.study.tables.image_fates import learned_table
from datavol.study.tables.summaries import (
    benchmark_table,
    full_data_table,
    overlap_table,
    schedule_table,
    training_time_table,
    volume_table,
    with_guessing,
)
from datavol.study.tables.thesis import thesis_accuracies

WIDEST = 14  # columns; a wider table is in its files alone


@dataclass(frozen=True)
class ReportTable:
    """Stores a table with its files' name, title and caption."""

    name: str
    title: str
    caption: str
    table: pd.DataFrame

    @property
    def fits(self) -> bool:
        """Return whether the page has room for the table."""
        return len(self.table.columns) <= WIDEST


def report_tables(runs: pd.DataFrame, missing: list[str]) -> Iterator[ReportTable]:
    """Make tables that are not empty; add to `missing` those that fail."""
    makers: tuple[tuple[str, str, str, Callable[[pd.DataFrame], pd.DataFrame]], ...] = (
        (
            "accuracy",
            "Accuracy and confidence by data volume",
            "Means over the runs of one volume, and their standard deviation. The best is picked on the validation "
            "images and therefore flatters; conclusions use the last. The margin is (C1 - C2) / C1 of the two "
            "likeliest classes: near 1 the network is sure, near 0 it wavers. The last row is what needs no network.",
            lambda runs: with_guessing(volume_table(runs), runs),
        ),
        (
            "full_data",
            "The full training set",
            "What smaller volumes are held against: means over seeds at 100 %.",
            full_data_table,
        ),
        (
            "training_time",
            "Training time",
            "Small subsets are trained for as many iterations as the full set, so that times are alike on one machine.",
            training_time_table,
        ),
        (
            "schedule",
            "Schedules in passes over the subset",
            "One schedule for all fractions, told in passes: a tenth of the images is passed over ten times as often.",
            schedule_table,
        ),
    )
    for name, title, caption, make in makers:
        table = make(runs)
        if len(table):
            yield ReportTable(name, title, caption, table)
    yield from _benchmarks(runs)
    yield from _overlaps(runs, missing)


def _benchmarks(runs: pd.DataFrame) -> Iterator[ReportTable]:
    """Compare each network's longest full ImageNet training with PyTorch's published accuracy."""
    imagenet = finished_of(runs).query("data == 'imagenet' and fraction == 1")
    for model in sorted(set(imagenet["model"]) & set(thesis_accuracies()["model"])):
        caption = "The longest training on the full set, beside PyTorch's published weights as the thesis quotes them."
        table = benchmark_table(imagenet, model, thesis_accuracies())
        yield ReportTable(f"benchmark_{model}", f"{model} against published weights", caption, table)


def _overlaps(runs: pd.DataFrame, missing: list[str]) -> Iterator[ReportTable]:
    """Tabulate the overlap of subsets, one table per data set."""
    below = finished_of(runs).query("fraction < 1")
    data_sets = below.groupby("fingerprint")
    for fingerprint, subsets in data_sets:
        suffix = f"_{str(fingerprint)[:8]}" if data_sets.ngroups > 1 else ""
        title = "What the subsets share" + (f": {subsets['data'].iloc[0]} {suffix[1:]}" if suffix else "")
        try:
            table = overlap_table(subsets)
        except ConfigError as error:
            missing.append(f"{title}: {error}")
            continue
        caption = "Common images, in per cent of the smaller subset. Independent draws share about the larger fraction."
        if len(table) > 1:
            yield ReportTable(f"overlap{suffix}", title, caption, table)


def fate_table(runs: pd.DataFrame, images: pd.DataFrame) -> Iterator[ReportTable]:
    """Tabulate from which fraction on images are recognised, if known."""
    if images.empty:
        return
    caption = (
        "How many validation images are recognised from which fraction on, by more than half of the runs there and at "
        "every larger one; forgotten: at a smaller fraction and not at the largest; never: at none. "
        "tables/learned_images.csv has the fate of every image, by its place in the validation set."
    )
    table = learned_table(images, class_names(finished_of(runs)))
    yield ReportTable("learned", "Images that only larger subsets learn", caption, table)
