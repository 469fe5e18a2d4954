"""Takes the rows of a first screen's table from answers."""

from collections.abc import Sequence
from typing import TypeVar

from scipy.stats import binomtest

from datavol.study.questions.answers import Answer
from datavol.study.questions.chance import largest_of
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.doubling import Doubling
from datavol.study.questions.saturation import Saturation
from datavol.study.questions.target import Target
from datavol.study.report.screen.contents import Now, Saved, Twice, Wanted

Result = TypeVar("Result")


def result_of(answered: Sequence[Answer], kind: type[Result]) -> Result | None:
    """Find the result of one kind among a curve's answers."""
    return next((answer.result for answer in answered if isinstance(answer.result, kind)), None)


def now(curve: CurveRuns, enough: Saturation | None, level: float) -> Now | None:
    """Tell what all images give, or what the most that were trained on did."""
    full, measure = curve.full_size, curve.measure
    if enough is not None:
        low, high = measure.edges(enough.low, enough.high)
        return Now(full, measure.value(enough.full_accuracy), low, high, full, enough.forecast)
    largest = largest_of(curve)
    accuracy, images = 1 - float(largest["error"].mean()), int(largest["images"].iloc[0])
    if not measure.counted or curve.test_size is None:
        return Now(full, measure.value(accuracy), None, None, images, forecast=False)
    # Wilson's interval of as many independent images as the test images count
    counted = max(1, round(curve.test_size))
    ends = binomtest(round(accuracy * counted), counted).proportion_ci(level, method="wilson")
    low, high = measure.edges(float(ends.low), float(ends.high))
    return Now(full, measure.value(accuracy), low, high, images, forecast=False)


def twice(found: Doubling | None) -> Twice | None:
    """Tell what twice as many images would buy."""
    return None if found is None else Twice(found.n, found.gain, found.low, found.high)


def wanted(found: Target | None) -> Wanted | None:
    """Tell how many images reach the target."""
    if found is None:
        return None
    needed = found.needed
    return Wanted(
        value=found.measure.value(found.accuracy),
        even=needed.images(0.5),
        likely=needed.images(0.9),
        smallest=needed.smallest,
        limit=needed.limit,
        by_limit=needed.within_limit,
        by_now=found.reached(found.full_size),
    )


def saved(curve: CurveRuns, found: Saturation | None) -> Saved | None:
    """Tell how many images could be left out."""
    if found is None:
        return None
    images = dict(zip(curve.runs["fraction"], curve.runs["images"], strict=True))
    likely, sure = (
        0 if fraction is None or fraction == 1 else curve.full_size - int(images[fraction])
        for fraction in (found.fraction, found.sure)
    )
    return Saved(likely, found.probability, sure)
