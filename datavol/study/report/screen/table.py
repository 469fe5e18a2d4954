"""Words the table of a first screen."""

from collections.abc import Iterator
from dataclasses import dataclass

from datavol.cli.text import chance, level_text, per_cent
from datavol.study.report.screen.contents import FirstScreen, Now, Saved, Twice, Wanted
from datavol.study.report.screen.label_cost import LabelCost
from datavol.study.report.screen.rounding import gain, images, points, share, time

COLUMNS = ("name", "images", "value", "labels", "training")
"""Fields of a row, from left to right."""


@dataclass(frozen=True)
class Row:
    """Stores a row of the table as text; what does not apply is empty."""

    name: str
    images: str
    value: str
    labels: str = ""
    training: str = ""
    chance: bool = False  # whether `value` says how sure the row is, instead of a value


def heads(screen: FirstScreen) -> Row:
    """Name the columns."""
    return Row("", "images", f"{screen.measure.name} ({level_text(screen.level)} range)", "labels", "one training")


def rows(screen: FirstScreen) -> list[Row]:
    """Word the rows that a screen has."""
    found = [
        *([_now(screen, screen.now)] if screen.now else []),
        *([_twice(screen, screen.twice)] if screen.twice else []),
        *([_wanted(screen, screen.wanted)] if screen.wanted and screen.now else []),
        *([_saved(screen, screen.saved)] if screen.saved else []),
    ]
    return found


def _now(screen: FirstScreen, now: Now) -> Row:
    value = "" if now.value is None else share(now.value, now.low, now.high)
    name, count = ("all you have", now.images) if now.of == now.images else ("most tried", now.of)
    value += ", a forecast" if now.forecast else ""
    return Row(name, f"{count:,}", value, _labels(screen.label_cost, count), _training(screen, count))


def _twice(screen: FirstScreen, twice: Twice) -> Row:
    more = twice.images // 2
    told = f"{gain(twice.gain, twice.low, twice.high)}"
    signed = told if told.startswith("-") or twice.gain < 0.0005 else f"+{told}"
    if screen.measure.lower:
        signed = f"{points(twice.gain)} less ({told.split('(')[1]}"
    cost = screen.label_cost
    labels = "" if cost is None else cost.written(cost.of(more), sign=True)
    return Row("twice as many", f"{twice.images:,}", signed, labels, _training(screen, twice.images))


def _wanted(screen: FirstScreen, wanted: Wanted) -> Row:
    name = f"for {per_cent(wanted.value)}"
    assert screen.now is not None
    if wanted.even is None:
        told = f"{chance(wanted.by_limit)} sure even then"
        return Row(name, f"over {images(wanted.limit)}", told, _extra(screen, wanted.limit, None), chance=True)
    even = f"{images(wanted.even)} or more"
    if wanted.likely is None and wanted.by_now is not None and wanted.even <= screen.now.images:
        return Row(name, even, f"{chance(wanted.by_now)} sure with all you have", chance=True)
    if wanted.likely is None:
        told = f"50 % sure; {chance(wanted.by_limit)} with {images(wanted.limit)}"
        return Row(name, even, told, _extra(screen, wanted.even, None), chance=True)
    both = images(wanted.even, wanted.likely) + (" or fewer" if wanted.likely <= wanted.smallest else "")
    told = "90 % sure" if images(wanted.even) == images(wanted.likely) else "50 to 90 % sure"
    return Row(name, both, told, _extra(screen, wanted.even, wanted.likely), chance=True)


def _extra(screen: FirstScreen, low: float, high: float | None) -> str:
    """Word what the labels beyond those that are there cost; at least, without `high`."""
    cost, have = screen.label_cost, screen.now.images if screen.now else 0
    if cost is None:
        return ""
    ends = [max(0.0, end - have) for end in (low, high) if end is not None]
    if not any(ends):
        return "nothing more"
    texts = dict.fromkeys(cost.written(cost.of(end), rough=True) for end in ends)
    return f"+{_range([*texts], cost)}{' or more' if high is None else ''}"


def _saved(screen: FirstScreen, saved: Saved) -> Row:
    if not saved.likely:
        return Row("could be saved", "none", "")
    counts = [saved.sure, saved.likely] if 0 < saved.sure < saved.likely else [saved.likely]
    sure = f"{100 * screen.level:.3g} to " if 0 < saved.sure < saved.likely else ""
    told = f"{sure}{chance(saved.probability)} sure"
    cost = screen.label_cost
    labels = "" if cost is None else _range([cost.written(cost.of(count)) for count in counts], cost)
    return Row("could be saved", " to ".join(f"{count:,}" for count in counts), told, labels, chance=True)


def _range(amounts: list[str], cost: LabelCost) -> str:
    *first, last = amounts
    return " to ".join([*(amount.removesuffix(f" {cost.currency}") for amount in first), last])


def _labels(cost: LabelCost | None, count: int) -> str:
    return "" if cost is None else cost.written(cost.of(count))


def _training(screen: FirstScreen, count: float) -> str:
    """Word how long one training takes, where that depends on the images."""
    if screen.hours is None or not screen.hours_grow or screen.now is None:
        return ""
    return time(screen.hours * count / screen.now.images).removeprefix("about ")


def costs(screen: FirstScreen) -> Iterator[str]:
    """Say what a label, a point and a training cost, in sentences."""
    cost, twice = screen.label_cost, screen.twice
    if cost is not None:
        yield f"One label costs {cost}." + ("" if twice is None else f" {_per_point(cost, twice)}")
    if screen.hours is not None and not screen.hours_grow:
        yield f"One training takes {time(screen.hours)}, with few images or many."


def _per_point(cost: LabelCost, twice: Twice) -> str:
    """Say what a point costs by labelling as many images again."""
    price = cost.of(twice.images / 2)
    if twice.high < 0.0005:
        return "Labelling as many again would buy no point."
    best = cost.written(price / (100 * twice.high), rough=True)
    if twice.gain < 0.0005:
        return f"By labelling as many again a point costs {best} at best, and probably there is none to buy."
    usual = cost.written(price / (100 * twice.gain), rough=True)
    if twice.low < 0.0005:
        return f"By labelling as many again a point costs about {usual} ({best} at best; it may buy none)."
    worst = cost.written(price / (100 * twice.low), rough=True)
    return f"By labelling as many again a point costs about {usual} ({_range([best, worst], cost)})."
