"""Names of any letters are drawn by fonts that have them, or as codes; a formula or an odd run stops no figure."""

import matplotlib as mpl
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure

from datavol.study.figures import STYLE, names
from datavol.study.figures.names import drawable, drawable_class, fonts_for, stand_ins
from datavol.study.figures.style import figure_legend, wrap
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


def test_a_font_of_boxes_is_none_that_has_letters(monkeypatch):
    """Matplotlib brings `Last Resort`, which draws every letter as a box with the name of its script."""
    bundled = [one for one in font_manager.fontManager.ttflist if one.name.startswith(("DejaVu", "Last Resort"))]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", bundled)
    names._fonts.cache_clear()
    names._has.cache_clear()
    try:
        assert (drawable("猫"), fonts_for(["猫"])) == ("\\u732b", {})
        assert [drawable_class(7, name) for name in ("猫", "cat", "a$b")] == ["class 7", "cat", r"a\$b"]
        assert stand_ins(["mobilenet_v2"], ["cat", "猫"]) == {"猫": "class 1"}
    finally:
        names._fonts.cache_clear()
        names._has.cache_clear()


def test_names_with_stand_ins_are_listed_once():
    assert stand_ins(["cat", "é", "$x$", "caf\udce9", "caf\udce9"]) == {"caf\udce9": "caf\\udce9"}


def test_no_line_of_a_title_is_a_lone_per_cent_sign_and_long_names_are_broken():
    titles = [f"{'x' * length}, regularised: {share} %" for length in range(1, 30) for share in ("5", "12.5", "100")]
    for title in titles:
        lines = wrap(title).split("\n")
        assert " ".join(lines) == title
        assert not {line.strip() for line in lines} & {"%"}
    assert max(map(len, wrap("n" * 200).split("\n"))) == 30


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
