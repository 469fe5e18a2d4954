import pytest

from datavol.errors import ConfigError
from datavol.study.report.screen.label_cost import LabelCost, read_label_cost


@pytest.mark.parametrize(
    ("text", "amount", "currency", "before"),
    [
        ("0.10EUR", 0.1, "EUR", False),
        ("$0.10", 0.1, "$", True),
        ("0.1", 0.1, "", False),
        ("2 Swiss francs", 2, "Swiss francs", False),
        ("€ .05", 0.05, "€", True),
        ("3¢", 3, "¢", False),
    ],
)
def test_costs_are_read_with_any_currency(text, amount, currency, before):
    assert read_label_cost(text) == LabelCost(amount, currency, before)


@pytest.mark.parametrize("text", ["", "EUR", "0EUR", "-1EUR", "1,5EUR", "1e3", "a1b", "nan", "1 2"])
def test_what_is_no_amount_is_refused_with_one_that_is(text):
    with pytest.raises(ConfigError, match=r"--label-cost must be .*; try --label-cost 0.10EUR"):
        read_label_cost(text)


@pytest.mark.parametrize(
    ("amount", "rough", "written"),
    [(1234.4, False, "1,234 EUR"), (1234.4, True, "1,200 EUR"), (2.5, False, "2.50 EUR"), (0.005, False, "0.005 EUR")],
)
def test_amounts_have_the_digits_that_are_known(amount, rough, written):
    assert LabelCost(1, "EUR").written(amount, rough=rough) == written
