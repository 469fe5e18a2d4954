"""What a study found: `python -m datavol.report studies/<study> ...` prints its table and draws its learning curves."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from datavol.command import Parser, one_line

if TYPE_CHECKING:
    import pandas as pd


@one_line
def main() -> None:
    """Print the audit and the table of the studies, and draw accuracy against volume into the first one's folder."""
    parser = Parser(prog="python -m datavol.report", description=__doc__)
    parser.add_argument(
        "studies", nargs="+", type=Path, metavar="study", help="a study's folder, such as studies/digits"
    )
    report(parser.parse_args().studies)


def report(studies: list[Path]) -> None:
    """Print what the audit found and the results of the studies, and draw their figure.

    Raises:
        ConfigError: If a folder holds no run, or none has finished; what there is has been printed by then.
    """
    from rich.console import Console

    from datavol.study.audit import audit
    from datavol.study.loading import load_study
    from datavol.study.tables import learning_curve_points, results_table

    study = load_study(studies)
    runs = study.runs
    console = Console(width=None if Console().is_terminal else 160)
    for finding in audit(study):
        console.print(str(finding), markup=False, soft_wrap=True)
    console.print(results_table(runs))
    for run in runs[runs["state"].isin(["failed", "unreadable"])].itertuples():
        console.print(f"{run.state}: {run.folder}: {run.reason}", markup=False, soft_wrap=True)
    points = learning_curve_points(study.finished)
    file = studies[0] / "figures" / "accuracy_against_volume.png"
    _draw(
        points,
        ", ".join(sorted(study.finished["study"].unique())),
        int(study.finished["validation_images"].max()),
        file,
    )
    console.print(f"figure: {file}", markup=False, soft_wrap=True)


def _draw(points: pd.DataFrame, title: str, validation_images: int, file: Path) -> None:
    """Draw the learning curves into a PNG file."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from datavol.records import write_whole
    from datavol.study.figures import STYLE, accuracy_against_volume

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 4.5), layout="constrained", dpi=150)
        axes = accuracy_against_volume(points, figure.subplots())
        axes.set_title(f"{title}: accuracy against data volume", loc="left")
        bars = f"bars: 95 % Wilson interval of {validation_images:,} validation images; line: mean over seeds"
        figure.supxlabel(bars, fontsize="small", color="0.4", x=0.99, ha="right")
        image = io.BytesIO()
        figure.savefig(image, format="png")
    write_whole(file, image.getvalue())


if __name__ == "__main__":
    main()
