"""The figures of a report, in their order, each with a caption that says how to read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from datavol.study.figures import accuracy_against_volume
from datavol.study.loading import Study, finished_of
from datavol.study.tables import learning_curve_points

Draw = Callable[[Figure], object]


@dataclass(frozen=True)
class Illustration:
    """A figure that can be drawn.

    Attributes:
        name: Of its files.
        title: What it shows.
        caption: How to read it.
        draw: Draws it into an empty figure; raises a ConfigError or CannotSay where the study does not hold it.
    """

    name: str
    title: str
    caption: str
    draw: Draw


def main_illustration(study: Study) -> Illustration:
    """Accuracy against data volume."""

    def draw(figure: Figure) -> None:
        accuracy_against_volume(learning_curve_points(study.runs), figure.subplots())

    images = int(study.finished["validation_images"].max())
    return Illustration(
        "accuracy_against_volume",
        "Accuracy against data volume",
        "Every mark is a run; a line joins the means over seeds. The further to the right, the more training images: "
        "where a line has become level, more of them bought nothing. The bars are the 95 % interval (Wilson) that the "
        f"{images:,} validation images leave; they hold neither another subset nor another seed.",
        draw,
    )


def illustrations(study: Study) -> list[Illustration]:
    """All figures of a study, the main one first; some may turn out not to be drawable."""
    return [main_illustration(study)] if len(finished_of(study.runs)) else []
