"""Stores the first screen of a report as plain values.

Values of the metric, gains and probabilities are shares; intervals have the level `FirstScreen.level`.
"""

from dataclasses import dataclass
from typing import Literal

from datavol.study.load.measure import Measure
from datavol.study.report.screen.label_cost import LabelCost

State = Literal["given", "provisional", "refused"]
Mark = Literal["ok", "weak", "refused"]


@dataclass(frozen=True)
class Now:
    """Stores what all the images that are there give.

    Attributes:
        images: Their number.
        value: The metric's value; None if nothing is known. With `of` images, where that is less than all.
        low, high: Its interval, None if unknown.
        of: The images that `value` was measured with, or forecast for.
        forecast: Whether `value` is a forecast.
    """

    images: int
    value: float | None
    low: float | None
    high: float | None
    of: int
    forecast: bool


@dataclass(frozen=True)
class Twice:
    """Stores what twice as many images would buy.

    Attributes:
        images: Twice as many as there are.
        gain: How much better the metric would be, a share; below 0 it would be worse.
        low, high: Its interval.
    """

    images: int
    gain: float
    low: float
    high: float


@dataclass(frozen=True)
class Wanted:
    """Stores how many images reach the value that is wanted.

    Attributes:
        value: The metric's value.
        even, likely: Images that reach it with probability 0.5 and 0.9; None beyond `limit`.
        smallest, limit: The sizes between which they were searched.
        by_limit: Probability that `limit` images reach it.
        by_now: Probability that the images that are there reach it; None if that is not known.
    """

    value: float
    even: float | None
    likely: float | None
    smallest: float
    limit: float
    by_limit: float
    by_now: float | None


@dataclass(frozen=True)
class Saved:
    """Stores how many images could be left out at no loss that counts.

    Attributes:
        likely: As many as are more likely not needed than needed.
        probability: With which they are not needed.
        sure: As many as are not needed with probability `FirstScreen.level`.
    """

    likely: int
    probability: float
    sure: int


@dataclass(frozen=True)
class Chart:
    """Stores the points and lines of the one chart.

    Attributes:
        measured: Images and value of every run.
        forecast: Images, value and its interval, ascending; empty where there is no forecast.
        here: Images that are there.
        target: The value that is wanted.
        guess: The value of guessing.
    """

    measured: tuple[tuple[float, float], ...]
    forecast: tuple[tuple[float, float, float, float], ...]
    here: int
    target: float | None
    guess: float | None


@dataclass(frozen=True)
class Trust:
    """Stores whether one thing that the verdict rests on can be trusted."""

    name: str  # such as `test images`
    mark: Mark
    why: str  # half a sentence


@dataclass(frozen=True)
class Reason:
    """Stores why there is no answer, and what to do."""

    why: str
    remedy: str
    command: str | None
    hours: float | None


@dataclass(frozen=True)
class ClassImages:
    """Stores how a class fares."""

    name: str
    images: int | None  # for training, in the largest subset
    value: float  # its accuracy there, a share
    gain: float | None  # since half as many images, a share; None if unknown


@dataclass(frozen=True)
class Classes:
    """Stores which classes to label first, and which have enough.

    Attributes:
        first: Classes to label first: those that still gained; empty if none can be told.
        enough: Classes that are well recognised and gained nothing from the last images.
        weakest: The worst classes, where `first` is empty.
        why: Half a sentence on how that is known, or why it is not.
        lead: What is said before `first`: `Label first`, or `If anything, label first` where more images hardly help.
        count: Number of all classes.
    """

    first: tuple[ClassImages, ...]
    enough: tuple[ClassImages, ...]
    weakest: tuple[ClassImages, ...]
    why: str
    count: int
    lead: str = "Label first"


@dataclass(frozen=True)
class NextStep:
    """Stores what to do next."""

    what: str  # in words
    command: str | None  # complete, for a shell
    hours: float | None  # of training, one run after the other


@dataclass(frozen=True)
class OtherSetup:
    """Stores another learning curve in a line."""

    curve: str
    state: State
    said: str


@dataclass(frozen=True)
class FirstScreen:
    """Stores all that a first screen says.

    Attributes:
        title: The names of the studies.
        curve: The best setup: its learning curve's name.
        place: Of how many setups it is the best; empty for the only one.
        state: Of the verdict.
        headline: The verdict in a few words.
        sentences: The verdict in one or two sentences.
        reasons: Why it is refused, and what to do; empty if it is not.
        measure: What was measured.
        delta: The difference that counts, a share.
        level: Of all intervals.
        now, twice, wanted, saved: The rows of the table; None where they are not known, or not asked for.
        hours: Of one training with all images; None if unknown.
        hours_grow: Whether a training with twice the images takes twice as long, instead of equally long.
        label_cost: What a label costs, None if that was not said.
        chart: None where nothing was measured.
        trust: What the verdict rests on.
        classes: None where nothing is known of classes.
        next: None where there is nothing to type.
        others: The other setups, the best first.
        test_images: That every value was measured on, None if unknown.
        asked: What was asked of the study by `datavol.ask`, and what came of it.
        notes: Further half sentences: runs that are not used, what was taken for what.
    """

    title: str
    curve: str
    place: str
    state: State
    headline: str
    sentences: tuple[str, ...]
    reasons: tuple[Reason, ...]
    measure: Measure
    delta: float
    level: float
    now: Now | None
    twice: Twice | None
    wanted: Wanted | None
    saved: Saved | None
    hours: float | None
    hours_grow: bool
    label_cost: LabelCost | None
    chart: Chart | None
    trust: tuple[Trust, ...]
    classes: Classes | None
    next: NextStep | None
    others: tuple[OtherSetup, ...]
    test_images: int | None
    asked: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
