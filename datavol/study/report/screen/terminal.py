"""Shows the first screen in a terminal, in lines of at most 80 letters."""

from collections.abc import Iterator

from datavol.study.report.screen.contents import ClassImages, FirstScreen, NextStep, Reason
from datavol.study.report.screen.lines import command_lines, paragraph
from datavol.study.report.screen.rounding import time
from datavol.study.report.screen.table import COLUMNS, Row, costs, heads, rows
from datavol.study.report.screen.text_chart import text_chart

MARKS = {"ok": "ok", "weak": "WEAK", "refused": "NO"}


def screen_lines(screen: FirstScreen, width: int = 80) -> Iterator[str]:
    """Write a first screen in lines of at most `width` letters."""
    yield from paragraph(f"{screen.title}: how much training data is enough?", width)
    setup = screen.curve if screen.curve != screen.title else ""
    if setup:
        yield from paragraph(f"{setup}{', ' if screen.place else ''}{screen.place}", width)
    yield ""
    for question, ending in screen.asked:
        yield from paragraph(f"Asked: {question} {ending}.", width)
        yield ""
    yield from paragraph(headed(screen), width)
    for sentence in screen.sentences:
        yield from paragraph(sentence, width)
    yield from _reasons(screen, width)
    yield from _table(screen, width)
    if screen.chart is not None:
        yield ""
        yield from text_chart(screen.chart, width)
    yield from _trust(screen, width)
    yield from _classes(screen, width)
    yield from _others(screen, width)
    if screen.notes:
        yield ""
    for note in screen.notes:
        yield from paragraph(f"{note[:1].upper()}{note[1:]}.", width)
    if not screen.reasons or screen.next is None or screen.next.command not in [one.command for one in screen.reasons]:
        yield from _next(screen.next, width)


def headed(screen: FirstScreen) -> str:
    """Say the verdict in a few words, and whether it is provisional."""
    if screen.state == "refused":
        return screen.headline
    first = f"Answer{' (provisional)' if screen.state == 'provisional' else ''}: "
    return f"{first}{screen.headline[:1].lower()}{screen.headline[1:]}"


def _reasons(screen: FirstScreen, width: int) -> Iterator[str]:
    for reason in screen.reasons:
        yield ""
        yield from paragraph(f"Why: {reason.why}.", width)
        yield from paragraph(f"What to do: {_timed(reason)}", width)
        if reason.command:
            yield from command_lines(reason.command, width)


def _timed(step: Reason | NextStep) -> str:
    what = step.remedy if isinstance(step, Reason) else step.what
    took = f" ({time(step.hours)} of training)" if step.hours else ""
    return f"{what}{took}{':' if step.command else '.'}"


def _table(screen: FirstScreen, width: int) -> Iterator[str]:
    every = rows(screen)
    if not every:
        return
    lines = [heads(screen), *every]
    used = [name for name in COLUMNS if any(getattr(row, name) for row in every)]
    widths = {name: max(len(getattr(row, name)) for row in lines) for name in used}
    yield ""
    if sum(widths.values()) + 2 * (len(used) - 1) + 2 <= width:
        for row in lines:
            yield "  " + "  ".join(_cell(row, name, widths[name]) for name in used).rstrip()
    else:  # a row per paragraph
        for row in every:
            cells = [f"{heads_of(screen, name)}{getattr(row, name)}" for name in used[1:] if getattr(row, name)]
            yield from paragraph(f"{row.name}: {'; '.join(cells)}", width, "  ")
    for sentence in costs(screen):
        yield from paragraph(sentence, width, "  ")


def heads_of(screen: FirstScreen, name: str) -> str:
    """Name a column before its cell, where the cell does not say what it is."""
    return {"labels": "labels ", "training": "one training ", "images": "images "}.get(name, "")


def _cell(row: Row, name: str, width: int) -> str:
    text = str(getattr(row, name))
    return text.rjust(width) if name == "images" else text.ljust(width)


def _trust(screen: FirstScreen, width: int) -> Iterator[str]:
    if not screen.trust:
        return
    yield ""
    yield "Can it be trusted?"
    name_width = max(len(one.name) for one in screen.trust)
    for one in screen.trust:
        head = f"  {MARKS[one.mark]:<4}  {one.name:<{name_width}}  "
        yield from paragraph(one.why, width, head, " " * len(head))


def _classes(screen: FirstScreen, width: int) -> Iterator[str]:
    found = screen.classes
    if found is None:
        return
    yield ""
    if found.first:
        yield from _named(found.lead, found.first, found.why, width)
    else:
        yield from _named("Weakest classes", found.weakest, found.why, width)
    if found.enough:
        yield from _named("Have enough", found.enough, "", width)


def _named(title: str, named: tuple[ClassImages, ...], why: str, width: int) -> Iterator[str]:
    told = "; ".join(class_text(one) for one in named)
    yield from paragraph(f"{title}: {told}{f'; {why}' if why else ''}.", width, "", "  ")


def class_text(one: ClassImages) -> str:
    """Say a class's accuracy, training images and gain."""
    more = [f"{100 * one.value:.0f} %", *([f"{one.images:,} images"] if one.images is not None else [])]
    if one.gain is not None and one.gain >= 0.005:
        more.append(f"{100 * one.gain:+.0f} points")
    return f"{one.name} ({', '.join(more)})"


def _others(screen: FirstScreen, width: int) -> Iterator[str]:
    if not screen.others:
        return
    yield ""
    yield "Other setups"
    for other in screen.others:
        yield from paragraph(f"{other.curve}: {other.said}", width, "  ", "    ")


def _next(step: NextStep | None, width: int) -> Iterator[str]:
    if step is None:
        return
    yield ""
    yield from paragraph(f"Next: {_timed(step)}", width)
    if step.command:
        yield from command_lines(step.command, width)
