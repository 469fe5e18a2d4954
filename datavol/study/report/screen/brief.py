"""Writes a first screen as five lines for a mail."""

from collections.abc import Iterator

from datavol.cli.text import level_text, per_cent, shown
from datavol.study.report.screen.contents import FirstScreen
from datavol.study.report.screen.rounding import images, share, time
from datavol.study.report.screen.terminal import headed


def brief_lines(screen: FirstScreen) -> list[str]:
    """Write five lines for a mail, the verdict among them.

    Each is a paragraph of plain sentences, as long as it takes; the command is whole.
    """
    lines = [_measured(screen), *(_refused(screen) if screen.reasons else _given(screen)), _next(screen)]
    return [shown(line) for line in lines]


def _measured(screen: FirstScreen) -> str:
    now, name = screen.now, f"Study {screen.title}"
    if now is None or now.value is None:
        return f"{name}: nothing was measured yet."
    place = f", {screen.place}," if screen.place else ""
    whole = f"all {now.images:,}" if now.of == now.images else f"{now.of:,} of {now.images:,}"
    tested = f", on {screen.test_images:,} test images" if screen.test_images else ""
    interval = "" if now.low is None else f"; ranges are {level_text(screen.level)} intervals"
    means = "would reach (a forecast)" if now.forecast else "reaches"
    value = f"{screen.measure.of(now.value).rpartition(' of ')[0]} of {share(now.value, now.low, now.high)}"
    return f"{name}: {screen.curve}{place} {means} {value} with {whole} training images{tested}{interval}."


def _given(screen: FirstScreen) -> Iterator[str]:
    first, *others = screen.sentences
    yield f"{headed(screen)} {first}"
    yield " ".join([*others, *_wanted(screen), *_cost(screen)])
    weak = [one for one in screen.trust if one.mark != "ok"]
    if weak:
        yield f"What weakens this: {'; '.join(f'{one.name}: {one.why}' for one in weak)}."
    else:
        yield f"Nothing was found that weakens this: {', '.join(one.name for one in screen.trust)} are in order."


def _wanted(screen: FirstScreen) -> Iterator[str]:
    wanted = screen.wanted
    if wanted is None:
        return
    value = per_cent(wanted.value)
    if wanted.even is None:
        yield f"{value} would take more than {images(wanted.limit)} images."
    elif wanted.likely is None:
        yield f"{value} takes about {images(wanted.even)} images or more."
    else:
        yield f"{value} takes about {images(wanted.even, wanted.likely)} images."


def _cost(screen: FirstScreen) -> Iterator[str]:
    cost, now, saved = screen.label_cost, screen.now, screen.saved
    if cost is None or now is None:
        return
    yield f"At {cost} a label, as many images again cost {cost.written(cost.of(now.images))}."
    if saved is not None and saved.likely:
        yield f"{saved.likely:,} of the images, {cost.written(cost.of(saved.likely))}, could have been saved."


def _refused(screen: FirstScreen) -> Iterator[str]:
    yield headed(screen)
    yield " ".join(f"{one.why[:1].upper()}{one.why[1:]}." for one in screen.reasons)
    yield f"What helps: {'; '.join(one.remedy for one in screen.reasons)}."


def _next(screen: FirstScreen) -> str:
    if screen.next is None:
        return "Next: nothing has to be trained."
    took = f" ({time(screen.next.hours)} of training)" if screen.next.hours else ""
    return f"Next: {screen.next.what}{took}" + (f": {screen.next.command}" if screen.next.command else ".")
