"""Writes numbers and names as text for people."""

import re
import shlex
from collections.abc import Iterable
from decimal import Decimal
from os import PathLike, fspath
from typing import Any


def shown(name: str) -> str:
    r"""Write a name so that every terminal and file takes it.

    >>> print(shown("caf\udce9/a\nb"))
    caf\udce9/a\nb
    """
    # Names of files may hold anything but NUL; bytes that are not UTF-8 are surrogates in Python
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def typed(key: str, value: str) -> str:
    r"""Quote `key=value` for the shell and for Hydra.

    >>> print(typed("data.root", "/data/photos"), typed("data.root", "/archive (1)"))
    data.root=/data/photos 'data.root="/archive (1)"'
    """
    return shlex.quote(f"{key}={written(value)}")


def written(value: Any) -> str:
    """Write a value for Hydra, so that it reads just this value.

    >>> written("digits"), written("0.5"), written(None), written([1, "a b"])
    ('digits', '"0.5"', 'null', '[1,"a b"]')
    """
    if isinstance(value, PathLike):
        value = fspath(value)
    if isinstance(value, str):
        bare = re.fullmatch(r"[A-Za-z/._][\w/.-]*", value, re.ASCII)
        return value if bare and value.lower() not in ("null", "true", "false", "nan", "inf") else hydra_string(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple, range)):
        return f"[{','.join(map(written, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{written(name)}: {written(one)}' for name, one in value.items())}}}"
    return str(value)


def typed_list(key: str, values: Iterable[str]) -> str:
    """Write `key=[value,...]` as it has to be typed.

    >>> print(typed_list("data.classes", ["true", "a b"]))
    'data.classes=["true","a b"]'
    """
    return shlex.quote(f"{key}=[{','.join(map(hydra_string, values))}]")


def hydra_string(value: str) -> str:
    """Quote a string for Hydra."""
    # In Hydra's quotes, backslashes count where they stand before a quote (or the end); OmegaConf looks for ${
    escaped = re.sub(r'(\\*)("|$)', lambda m: 2 * m[1] + ('\\"' if m[2] else ""), value).replace("${", r"\${")
    return f'"{escaped}"'


def per_cent(share: float, digits: int = 3) -> str:
    """Write a share as `12.5 %`."""
    number = f"{100 * share:.{digits}g}"
    return f"{Decimal(number):f} %" if "e" in number else f"{number} %"


def probability(value: float) -> str:
    """Write a probability as `probability 87 %`."""
    return f"probability {chance(value)}".replace("more than", "above").replace("less than", "below")


def chance(value: float) -> str:
    """Write a probability as `87 %`.

    >>> chance(0.874), chance(1.0)
    ('87 %', 'more than 99 %')
    """
    # Probabilities are counted in simulations, which do not resolve the last per cent
    if value > 0.99:
        return "more than 99 %"
    return "less than 1 %" if value < 0.01 else f"{100 * value:.0f} %"


def about(count: float) -> str:
    """Write a forecast number of images, in two digits.

    >>> about(12_345), about(87.2)
    ('12,000', '87')
    """
    return f"{float(f'{count:.2g}'):,.0f}"


def level_text(level: float) -> str:
    """Write an interval's level as it was asked for, unrounded.

    >>> level_text(0.95), level_text(0.9999999)
    ('95 %', '99.99999 %')
    """
    return f"{(100 * Decimal(str(level))).normalize():f} %"


def points(share: float, width: float = 0.0) -> str:
    """Write a difference of accuracies as `1.2 points`.

    In tenths of a point where its interval is a `width` of a point or more, a share: nobody knows more of it.
    """
    number = _number(round(share, 3) if width >= 0.01 else share)
    if share and float(number) == 0 and width < 0.01:
        return "less than 0.01 points"
    return f"{number} point{'' if number == '1' else 's'}"


def span(low: float, high: float, level: float) -> str:
    """Write an interval of differences as `0.3 to 2.1, 95 % interval`."""
    return f"{_number(low)} to {_number(high)}, {level_text(level)} interval"


def _number(share: float) -> str:
    if abs(share) < 1e-6:  # .2g would write it as 1e-05, which nobody measures
        return "0"
    return f"{100 * share:.2g}" if abs(share) < 0.1 else f"{100 * share:.0f}"  # .2g would write 100 as 1e+02
