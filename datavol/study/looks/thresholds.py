"""Says how probable an answer must be before it counts as certain."""

BARS = {0.8: 0.93, 0.9: 0.965, 0.95: 0.985, 0.99: 0.997}


def threshold_of(level: float, dof: float, most: int) -> float:
    """Look up the probability that ends a question.

    Args:
        level: The certainty that was asked for.
        dof: Degrees of freedom of the noise before the first pair.
        most: Looks at full pairs, at most.
    """
    return BARS.get(level, 1 - 0.3 * (1 - level))
