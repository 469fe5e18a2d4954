"""Numbers and names in sentences."""

import pytest

from datavol.cli.text import per_cent, points, shown

SHOWN = {
    1.2e-11: "less than 0.01 points",
    0.0: "0 points",
    6.4e-5: "0.0064 points",
    0.012: "1.2 points",
    0.5: "50 points",
}


@pytest.mark.parametrize("share", SHOWN)
def test_small_differences_are_rounded_sensibly(share):
    assert points(share) == SHOWN[share]


def test_per_cent_has_no_exponent():
    assert per_cent(7.8e-7) == "0.000078 %"


def test_letters_that_cannot_be_printed_are_written_in_codes():
    assert shown("a\nb\x00caf\udce9 é猫") == "a\\nb\\x00caf\\udce9 é猫"
