"""Writes numbers as words in a sentence."""


def per_cent(share: float, digits: int = 3) -> str:
    """Write a share as `12.5 %`."""
    return f"{100 * share:.{digits}g} %"


def probability(value: float) -> str:
    """Write a probability as `probability 87 %`."""
    # Probabilities are counted in simulations, which do not resolve the last per cent
    if value > 0.99:
        return "probability above 99 %"
    return "probability below 1 %" if value < 0.01 else f"probability {100 * value:.0f} %"


def points(share: float) -> str:
    """Write a difference of accuracies as `1.2 points`."""
    number = _number(share)
    return f"{number} point{'' if number == '1' else 's'}"


def span(low: float, high: float, level: float) -> str:
    """Write an interval of differences as `0.3 to 2.1, 95 % interval`."""
    return f"{_number(low)} to {_number(high)}, {100 * level:g} % interval"


def _number(share: float) -> str:
    return f"{100 * share:.2g}" if abs(share) < 0.1 else f"{100 * share:.0f}"  # .2g would write 100 as 1e+02
