"""Reads what a label costs, and writes amounts of money."""

import re
from dataclasses import dataclass

from datavol.errors import ConfigError

WRITTEN = re.compile(r"(?P<before>[^\d\s.,+-]*)\s*(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<after>[^\d.,]*)")


@dataclass(frozen=True)
class LabelCost:
    """Stores the cost of one label.

    Attributes:
        amount: In the currency.
        currency: As it was written: `EUR`, `$`; may be empty.
        before: Whether the currency stands before the number.
    """

    amount: float
    currency: str = ""
    before: bool = False

    def of(self, images: float) -> float:
        """Return what so many labels cost."""
        return self.amount * images

    def written(self, amount: float, *, rough: bool = False, sign: bool = False) -> str:
        """Write an amount with its currency, a rough one in two digits.

        >>> LabelCost(0.1, "EUR").written(1234), LabelCost(0.1, "$", True).written(1234, rough=True)
        ('1,234 EUR', '$1,200')
        """
        amount = float(f"{amount:.2g}") if rough else amount
        whole = amount >= 100 or abs(amount - round(amount)) < 1e-9
        number = f"{amount:,.0f}" if whole else f"{amount:,.2f}" if amount >= 0.1 else f"{amount:.2g}"
        if not self.currency:
            return f"{'+' * sign}{number}"
        return f"{'+' * sign}{self.currency}{number}" if self.before else f"{'+' * sign}{number} {self.currency}"

    def __str__(self) -> str:
        return self.written(self.amount)


def read_label_cost(text: str) -> LabelCost:
    """Read `0.10EUR`, `$0.10` or `0.1`.

    Raises:
        ConfigError: If it is no amount above 0.
    """
    found = WRITTEN.fullmatch(text.strip())
    if found is None or (found["before"] and found["after"]) or not float(found["number"]) > 0:
        raise ConfigError(
            f"--label-cost must be what one label costs, a number above 0 and a currency, got {text!r}; "
            "try --label-cost 0.10EUR"
        )
    currency = (found["before"] or found["after"]).strip()
    return LabelCost(float(found["number"]), currency, bool(found["before"]))
