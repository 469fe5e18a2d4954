"""Stores what one evaluation of a question came to."""

from dataclasses import dataclass, field
from typing import Literal

State = Literal["open", "answered", "out of reach", "cannot be told"]


HEADS: dict[State, str] = {
    "answered": "Answer",
    "out of reach": "Out of reach",
    "cannot be told": "Cannot be told",
    "open": "Not finished",
}


@dataclass(frozen=True, order=True)
class Step:
    """Names a run by what an adaptive study varies."""

    fraction: float
    seed: int
    part: int = 1  # of the budget: 1 all of it, 8 an eighth, annealed within it

    @property
    def cost(self) -> float:
        """Return its training time in full runs, with equal iterations."""
        return 1 / self.part


@dataclass(frozen=True)
class Look:
    """Stores what a look found, and the runs that it asks for.

    Attributes:
        number: How many looks there have been, this one included.
        state: `open` asks for `next`; `out of reach` and `cannot be told` end a question that more runs do not answer.
        sentence: What came out, in plain words.
        basis: What it rests on, in plain words.
        says: The answer in two or three words, such as `not enough`; empty unless it is answered.
        probability: That the asked statement is true, of `either` that the gap is within the zone; None where nothing
            was measured.
        threshold: How probable it, or its contrary, has to be; None where no probability decides.
        remedies: What to do where no run would answer, each with its command, or None where no command does it.
        next: The runs to train before the next look; empty unless it is open.
        numbers: What the sentence was made of; accuracies are shares.
    """

    number: int
    state: State
    sentence: str
    basis: str = ""
    says: str = ""
    probability: float | None = None
    threshold: float | None = None
    next: tuple[Step, ...] = ()
    remedies: tuple[tuple[str, str | None], ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)
