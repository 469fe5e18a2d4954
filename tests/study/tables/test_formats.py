import io

import pandas as pd
import pytest

from datavol.errors import ConfigError
from datavol.study.tables.formats import as_csv, as_latex, as_markdown, write_table

TABLE = pd.DataFrame(
    {"network": ["mobilenet_v2", "a|b"], "runs": pd.array([3, None], "Int64"), "top-1 (%)": [67.51234567, float("nan")]}
)


def test_csv_comes_back_to_the_last_digit():
    back = pd.read_csv(io.StringIO(as_csv(TABLE)), dtype={"runs": "Int64"})
    pd.testing.assert_frame_equal(back, TABLE)


def test_markdown_is_rounded_and_shows_what_is_missing():
    assert as_markdown(TABLE).splitlines() == [
        "| network | runs | top-1 (%) |",
        "|---|--:|--:|",
        "| mobilenet_v2 | 3 | 67.512 |",
        r"| a\|b | - | - |",
    ]


def test_latex_escapes_and_aligns():
    text = as_latex(TABLE, digits=1)
    for part in (r"\begin{tabular}{lrr}", r"network & runs & top-1 (\%) \\", r"mobilenet\_v2 & 3 & 67.5 \\"):
        assert part in text


def test_the_ending_selects_the_format_and_another_is_refused(tmp_path):
    for ending, form in {"csv": as_csv, "tex": as_latex, "md": as_markdown}.items():
        write_table(TABLE, tmp_path / "tables" / f"one.{ending}")
        assert (tmp_path / "tables" / f"one.{ending}").read_text() == form(TABLE)
    with pytest.raises(ConfigError, match=r"must end in .*, got one\.xlsx; try one\.csv"):
        write_table(TABLE, tmp_path / "one.xlsx")
