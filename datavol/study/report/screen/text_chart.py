"""Draws the first screen's chart in letters, for a terminal."""

from collections.abc import Iterator
from itertools import pairwise
from math import ceil, floor, log

from datavol.cli.text import per_cent
from datavol.study.report.screen.contents import Chart
from datavol.study.report.screen.lines import paragraph
from datavol.study.report.screen.rounding import images

HEIGHT = 10  # lines between the axes
FAR = 0.5  # how far below or above the rest a line may be that is drawn, as a share of the rest's height
STEPS = [digit * 10.0**power for power in range(-5, 1) for digit in (1, 2, 5)]
MOST_TICKS = 5
MEASURED, MIDDLE, BAND, LINE, HERE = "o", "-", ":", ".", "|"


def text_chart(chart: Chart, width: int) -> Iterator[str]:
    """Draw a chart in lines of at most `width` letters, ASCII alone."""
    margin = 8  # for the numbers of the vertical axis
    canvas = _Canvas(chart, width - margin - 2)
    ticks = canvas.ticks()
    for line, letters in enumerate(canvas.letters):
        yield f"{ticks.get(line, ''):>{margin}} |{''.join(letters)}".rstrip()
    yield f"{'':>{margin}} +{'-' * canvas.width}"
    yield f"{'':>{margin}}  {canvas.sizes()}".rstrip()
    yield from paragraph(canvas.legend(), width, " " * (margin + 2))


class _Canvas:
    """Places points on letters, images on a logarithmic axis."""

    def __init__(self, chart: Chart, width: int) -> None:
        self.chart, self.width = chart, width
        sizes = [size for size, _ in chart.measured] + [size for size, *_ in chart.forecast] + [float(chart.here)]
        self.first, self.last = min(sizes), max(sizes)
        values = [value for _, value in chart.measured]
        values += [value for _, *ends in chart.forecast for value in ends]
        low, high = min(values), max(values)
        reach = FAR * max(high - low, 0.02)
        self.drawn = {
            name: value
            for name, value in (("target", chart.target), ("guessing", chart.guess))
            if value is not None and low - reach <= value <= high + reach
        }
        ends = [low, high, *self.drawn.values()]
        room = max(0.02 * (max(ends) - min(ends)), 0.002)
        self.low, self.high = min(ends) - room, max(ends) + room
        self.letters = [[" "] * width for _ in range(HEIGHT)]
        self._draw()

    def column(self, size: float) -> int:
        """Place a number of images."""
        if self.last <= self.first:
            return self.width // 2
        return round((self.width - 1) * log(size / self.first) / log(self.last / self.first))

    def line(self, value: float) -> int:
        """Place a value, from the top."""
        return round((HEIGHT - 1) * (self.high - value) / (self.high - self.low))

    def _draw(self) -> None:
        here = self.column(self.chart.here)
        for row in self.letters:
            row[here] = HERE
        for size, middle, low, high in self._columns():
            column = self.column(size)
            for line in range(self.line(high), self.line(low) + 1):
                self.letters[line][column] = BAND
            self.letters[self.line(middle)][column] = MIDDLE
        for name, value in self.drawn.items():
            row = self.letters[self.line(value)]
            row[:] = [LINE if letter == " " else letter for letter in row]
            text = f" {name} {per_cent(value)} "
            # Where there is most room: at the left of a high line, at the right of a low one
            start = 1 if name == "target" else self.width - len(text) - 1
            row[start : start + len(text)] = text
        for size, value in self.chart.measured:
            self.letters[self.line(value)][self.column(size)] = MEASURED

    def _columns(self) -> Iterator[tuple[float, float, float, float]]:
        """Interpolate the forecast at every column, so that its band has no gaps.

        Yields:
            Images, value, and the ends of its interval.
        """
        points = self.chart.forecast
        for (size, *ends), (after, *later) in pairwise(points):
            steps = max(1, self.column(after) - self.column(size))
            for step in range(steps + 1):
                part = step / steps
                middle, low, high = (a + part * (b - a) for a, b in zip(ends, later, strict=True))
                yield size * (after / size) ** part, middle, low, high

    def ticks(self) -> dict[int, str]:
        """Choose round values for some lines, by line from the top."""
        step = next(one for one in STEPS if (self.high - self.low) / one <= MOST_TICKS)
        values = [number * step for number in range(ceil(self.low / step), floor(self.high / step) + 1)]
        digits = 0 if step >= 0.01 else 1 if step >= 0.001 else 2
        return {self.line(value): f"{100 * value:.{digits}f} %" for value in values}

    def sizes(self) -> str:
        """Write the sizes that were measured below the axis, and what lies ahead."""
        wanted = [float(self.chart.here), self.first, self.last, *sorted({size for size, _ in self.chart.measured})]
        known = {float(self.chart.here), *(size for size, _ in self.chart.measured)}
        row, taken = [" "] * self.width, [False] * self.width
        for size in dict.fromkeys(wanted):
            text = f"{size:,.0f}" if size in known else images(size)
            start = min(max(0, self.column(size) - len(text) // 2), self.width - len(text))
            span = slice(max(0, start - 2), start + len(text) + 2)
            if not any(taken[span]):
                row[start : start + len(text)] = text
                taken[start : start + len(text)] = [True] * len(text)
        return "".join(row)

    def legend(self) -> str:
        """Say what the letters mean."""
        parts = [f"{MEASURED} measured"]
        if self.chart.forecast:
            parts.append(f"{MIDDLE}{BAND} forecast, its range")
        parts.append(f"{HERE} you are here")
        for name, value in (("guessing", self.chart.guess), ("target", self.chart.target)):
            if value is not None and name not in self.drawn:
                parts.append(f"{name}: {per_cent(value)}")
        return "  ".join(parts)
