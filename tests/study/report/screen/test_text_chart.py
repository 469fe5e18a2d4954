"""The chart in letters."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from datavol.study.report.screen.contents import Chart
from datavol.study.report.screen.text_chart import HEIGHT, text_chart

CHART = Chart(
    measured=((100.0, 0.70), (200.0, 0.76), (400.0, 0.80)),
    forecast=((100.0, 0.70, 0.68, 0.72), (400.0, 0.80, 0.79, 0.81), (800.0, 0.83, 0.81, 0.85)),
    here=400,
    target=0.84,
    guess=0.1,
)


def test_points_rise_and_lines_are_named():
    lines = [*text_chart(CHART, 80)]
    places = [(line.index("o"), -number) for number, line in enumerate(lines[:HEIGHT]) if "o" in line]
    assert len(places) == 3
    assert places == sorted(places, reverse=True)  # from the top down, that is from the right to the left
    assert any(" target 84 % " in line for line in lines)
    assert "guessing: 10 %" in lines[-1]  # too far down to be drawn
    assert "400" in lines[HEIGHT + 1]


def test_every_column_of_the_band_is_filled():
    lines = [line.partition("|")[2].ljust(70) for line in text_chart(replace(CHART, target=None), 80)][:HEIGHT]
    assert all(set(column) - {" ", "|"} for column in zip(*lines, strict=True))


VALUES = st.integers(0, 1000).map(lambda count: count / 1000)
SIZES = st.floats(1, 1e7)


@given(
    st.lists(st.tuples(SIZES, VALUES), min_size=1, max_size=20),
    st.integers(1, 10**7),
    st.none() | VALUES,
    st.none() | VALUES,
    st.integers(40, 100),
)
def test_any_chart_fits_into_its_width_in_plain_letters(measured, here, target, guess, width):
    lines = [*text_chart(Chart(tuple(measured), (), here, target, guess), width)]
    assert max(map(len, lines)) <= width
    assert all(line.isascii() for line in lines)
    assert sum("o" in line.partition("|")[2] for line in lines[:HEIGHT]) >= 1
