"""Writes gaps and lengths of training as somebody says them."""

WIDE = 0.1  # of an interval of which nobody knows tenths of a point
PARTS = {2: "half", 4: "a quarter", 8: "an eighth", 16: "a sixteenth"}


def points(share: float) -> str:
    """Write a difference of accuracies in tenths of a point.

    >>> points(0.01), points(0.0234), points(0.0004)
    ('1 point', '2.3 points', '0.04 points')
    """
    number = f"{100 * share:.1f}" if abs(share) >= 0.0005 else f"{100 * share:.1g}"
    number = number.removesuffix(".0")
    return f"{number} point{'' if number == '1' else 's'}"


def span(low: float, high: float) -> str:
    """Write an interval of differences in tenths of a point; a wide one in points.

    >>> span(-0.0004, 0.013), span(-0.31, 0.384)
    ('0 to 1.3', '-31 to 38')
    """
    if high - low >= WIDE:
        return f"{100 * low + 0.0:.0f} to {100 * high + 0.0:.0f}"
    return f"{100 * low + 0.0:.1f} to {100 * high + 0.0:.1f}".replace("-0.0", "0").replace(".0", "")


def length(part: int) -> str:
    """Write a part of the training.

    >>> length(8), length(1)
    ('an eighth of the training', 'the whole training')
    """
    return "the whole training" if part == 1 else f"{PARTS.get(part, f'1/{part}')} of the training"
