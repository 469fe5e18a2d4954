"""Writes a first screen as an object of JSON, for programs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datavol.study.report.screen.contents import FirstScreen, Twice
from datavol.study.report.screen.label_cost import LabelCost


def screen_object(screen: FirstScreen, page: Path) -> dict[str, Any]:
    """Collect a first screen's values by stable names.

    They are those of `FirstScreen`; shares are shares, unknown values are None. Of a cost of labels, `now`, `twice` and
    `saved` have a `cost` as well, and `twice` the `cost_per_point`, with the ends of its interval.
    """
    known = asdict(screen)
    known["measure"] = {"name": screen.measure.name, "lower_is_better": screen.measure.lower}
    if cost := screen.label_cost:
        known["label_cost"] = {"amount": cost.amount, "currency": cost.currency}
        if screen.now:
            known["now"]["cost"] = cost.of(screen.now.images)
        if screen.twice:
            known["twice"] |= {"cost": cost.of(screen.twice.images / 2)} | _per_point(cost, screen.twice)
        if screen.saved:
            known["saved"] |= {"cost": cost.of(screen.saved.likely), "cost_sure": cost.of(screen.saved.sure)}
    return known | {"page": str(page)}


def _per_point(cost: LabelCost, twice: Twice) -> dict[str, float | None]:
    """Divide the cost of twice the images by points; None where there is none to buy."""
    price = cost.of(twice.images / 2)
    gains = {"cost_per_point": twice.gain, "cost_per_point_low": twice.high, "cost_per_point_high": twice.low}
    return {name: price / (100 * gain) if gain > 0 else None for name, gain in gains.items()}


def screen_json(screen: FirstScreen, page: Path) -> str:
    """Write `screen_object` as text."""
    return json.dumps(screen_object(screen, page), indent=2, allow_nan=False)
