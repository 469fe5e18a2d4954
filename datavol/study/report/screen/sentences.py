"""Words the verdict of a first screen."""

from collections.abc import Iterator

from scipy.stats import norm

from datavol.cli.text import chance, per_cent
from datavol.study.load.measure import TOP1
from datavol.study.questions.curve_runs import CurveRuns
from datavol.study.questions.doubling import Doubling
from datavol.study.questions.gates import Gate
from datavol.study.questions.saturation import Saturation
from datavol.study.report.screen.rounding import gain, points

HELP = (
    (0.975, "More images will help."),
    (0.8, "More images will probably help."),
    (0.3, "More images may help."),
    (0.1, "More images will probably help little."),
    (0.025, "You probably have enough images."),
    (0.0, "You have enough images."),
)
"""What is said from which probability on that twice the images buy a difference that counts."""
REFUSED = {
    "guessing": "No answer yet: the network does not clearly beat guessing.",
    "test_set": "No answer yet: there are too few test images.",
    "fractions": "No answer yet: it takes three sizes of the training set.",
    "full_set": "No answer yet: too small a part of the images was trained on.",
    "settled": "No answer yet: the training was too short.",
    "audit": "No answer yet: the runs cannot be compared.",
    "no_run": "No answer yet: no run has finished.",
}
"""What is said of a refused verdict, by the name of its first gate."""


def headline(enough: Saturation | None, twice: Doubling | None, delta: float, gates: tuple[Gate, ...]) -> str:
    """Say the verdict in a few words."""
    if enough is None:
        return REFUSED.get(next((gate.name for gate in gates if gate.refuses), ""), "No answer yet.")
    if twice is not None:
        likely = chance_of_gain(twice, delta)
        return next(text for least, text in HELP if likely >= least)
    if enough.fraction is None or enough.fraction == 1:
        return "All of the images are needed."
    return "Fewer images would do."


def chance_of_gain(twice: Doubling, delta: float) -> float:
    """Estimate how probably twice the images buy `delta` or more."""
    # The draws behind the interval are nearly normal, and the words above need no more
    sd = (twice.high - twice.low) / (2 * float(norm.ppf((1 + twice.level) / 2)))
    return float(norm.sf((delta - twice.gain) / max(sd, 1e-9)))


def sentences(curve: CurveRuns, enough: Saturation | None, twice: Doubling | None) -> tuple[str, ...]:
    """Say the verdict in one or two sentences."""
    if enough is None:
        return ()
    return (" ".join(_enough(curve, enough)), _twice(twice))


def in_short(enough: Saturation | None) -> str:
    """Say in a few words how much is enough."""
    if enough is None:
        return "no answer yet"
    if enough.fraction is None or enough.fraction == 1:
        return "all images are needed"
    return f"{per_cent(enough.fraction)} of the images would do ({chance(enough.probability)} sure)"


def _enough(curve: CurveRuns, found: Saturation) -> Iterator[str]:
    full, near = curve.full_size, f"within {points(found.delta)}"
    images = dict(zip(curve.runs["fraction"], curve.runs["images"], strict=True))
    if found.fraction is None:
        largest = images[found.fractions[-1].fraction]
        yield f"All of the {full:,} images are probably needed:"
        yield f"the largest part that was trained on, {largest:,}, is not {near} of what all of them would give."
        return
    if found.fraction == 1:
        yield f"All of the {full:,} images are needed: no smaller part that was tried comes {near} of what they give."
        return
    share = f"{images[found.fraction]:,} of the {full:,} images ({per_cent(found.fraction)})"
    yield f"{share} are enough to come {near} of what all of them give ({chance(found.probability)} sure)."


def _twice(twice: Doubling | None) -> str:
    if twice is None:
        return "What twice as many would buy cannot be said yet."
    told = gain(twice.gain, twice.low, twice.high)
    if twice.gain < 0.0005:
        return f"Twice as many would probably buy nothing: {told}."
    number, _, edges = told.partition(" (")
    bought = f"buy about {number}" if twice.measure is TOP1 else twice.measure.bought(f"about {number}")
    low, high = edges.removesuffix(")").split(" to ")
    if not low.startswith("-"):  # as it is written: a loss of 0.0 is none
        return f"Twice as many would {bought} ({low} to {high})."
    loss = low.removeprefix("-")
    return f"Twice as many would {bought}, but anything from a loss of {loss} to a gain of {high} is possible."
