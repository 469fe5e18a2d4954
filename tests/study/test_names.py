"""Names of any letters are drawn by fonts that have them, or as codes; a formula or an odd run stops no figure."""

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from datavol.study.figures import STYLE
from datavol.study.figures.names import drawable, fonts_for, unshown
from datavol.study.figures.style import figure_legend
from datavol.study.report.figure_list import ReportFigure
from datavol.study.report.renderer import FAILED, RenderedFigure, render

NAMES = [r"$\foo$", "a$b", "$$", "\\", "x^2_{", "caf\udce9", "a\nb", "\x00", "\u202eright", "猫", "مرحبا", "😀", "é"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_drawn_as_itself_or_as_codes_without_a_box(name, recwarn):
    with mpl.rc_context(STYLE | fonts_for([name])):
        figure = Figure()
        text = figure.text(0, 0, drawable(name))
        figure.canvas.draw()
    shown = text.get_text().replace(r"\$", "$")
    assert shown == name or not shown.isascii() or "\\" in shown
    assert [str(one.message) for one in recwarn if "Glyph" in str(one.message)] == []


def test_names_that_are_written_in_codes_are_listed_once():
    assert unshown(["cat", "é", "$x$", "caf\udce9", "caf\udce9"]) == ["caf\udce9"]


def test_long_names_are_cut_where_asked():
    assert len(drawable("x" * 300, 40)) == 40
    assert drawable("x" * 300) == "x" * 300


def test_a_legend_of_several_panels_has_the_fractions_in_order():
    figure = Figure()
    first, second = figure.subplots(1, 2)
    for axes, shares in ((first, (100, 25, 5)), (second, (75, 50, 12.5))):
        for share in shares:
            axes.plot([0], [0], label=f"{share:g} %")
    second.plot([0], [0], label="published")
    figure_legend(figure, [first, second], "fraction")
    (legend,) = figure.legends
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown == ["100 %", "75 %", "50 %", "25 %", "12.5 %", "5 %", "published"]


def test_a_figure_that_fails_says_so_and_stops_no_other(tmp_path):
    def fail(figure: Figure) -> None:
        figure.text(0, 0, r"$\nosuch$")

    reason = render(ReportFigure("bad", "Bad", "", fail), tmp_path, {})
    assert isinstance(reason, str)
    assert reason.startswith(FAILED)
    assert isinstance(
        render(ReportFigure("good", "Good", "", lambda figure: figure.text(0, 0, "a")), tmp_path, {}), RenderedFigure
    )
