"""Rounds numbers to what they know: tenths of a point, two digits of images."""

WIDE = 0.1
"""An interval of ten points or more is told in whole points."""


def share(value: float, low: float | None = None, high: float | None = None) -> str:
    """Write a share in per cent, with its interval where there is one.

    >>> share(0.8693), share(0.869, 0.862, 0.876), share(0.5, 0.3, 0.7)
    ('86.9 %', '86.9 % (86.2 to 87.6)', '50 % (30 to 70)')
    """
    if low is None or high is None:
        return f"{_tenths(value)} %"
    width = high - low
    return f"{_tenths(value, width)} % ({_tenths(low, width)} to {_tenths(high, width)})"


def gain(value: float, low: float, high: float) -> str:
    """Write a gain in points, with its interval.

    >>> gain(0.0104, -0.005, 0.0231), gain(0.001, -0.1, 0.066)
    ('1.0 points (-0.5 to 2.3)', '0 points (-10 to 7)')
    """
    width = high - low
    return f"{_tenths(value, width)} points ({_tenths(low, width)} to {_tenths(high, width)})"


def points(value: float, width: float = 0.0) -> str:
    """Write a difference in tenths of a point.

    >>> points(0.01), points(0.0123), points(0.01234, 0.2), points(0.0002)
    ('1 point', '1.2 points', '1 point', 'less than 0.1 points')
    """
    number = _tenths(value, width).removesuffix(".0")
    if number == "0" and value > 0:
        return "less than 0.1 points"
    return f"{number} point{'' if number == '1' else 's'}"


def images(low: float, high: float | None = None) -> str:
    """Write a forecast number of images, or a range of them, in two digits.

    >>> images(3912, 5430), images(87.2), images(3912, 3940)
    ('3,900 to 5,400', '87', '3,900')
    """
    ends = [f"{float(f'{end:.2g}'):,.0f}" for end in (low, high) if end is not None]
    return " to ".join(dict.fromkeys(ends))


def time(hours: float) -> str:
    """Write a time in the unit that fits it, in two digits.

    >>> time(0.0005), time(0.45), time(4.36), time(100)
    ('less than a minute', 'about 27 min', 'about 4.4 h', 'about 4.2 days')
    """
    if hours < 0.9 / 60:
        return "less than a minute"
    if hours < 1.5:
        return f"about {60 * hours:.0f} min"
    return f"about {hours:.2g} h" if hours < 48 else f"about {hours / 24:.2g} days"


def _tenths(value: float, width: float = 0.0) -> str:
    """Write a share in per cent with one digit, or none if it is vague."""
    return f"{round(100 * value, 0 if width >= WIDE else 1) + 0.0:.{0 if width >= WIDE else 1}f}"  # + 0.0: never -0
