"""Writes names that figures can draw: in known letters, without formulas."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import pandas as pd
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from datavol.cli.text import shown

LONGEST = 40  # letters of a class's name beside a figure
NAMED = ("model", "recipe", "data")
"""Columns of runs that figures write."""
LAST_RESORT = "Last Resort"
"""Begins the name of a font of matplotlib's that has a box for every letter, and so the letters of none."""


@lru_cache
def _letters(file: str) -> frozenset[int]:
    """List a font's letters; none if unreadable, as for coloured emoji."""
    try:
        return frozenset(FT2Font(file).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()


@lru_cache
def _usual_letters() -> frozenset[int]:
    return _letters(font_manager.findfont("DejaVu Sans"))  # matplotlib brings it


@lru_cache
def _fonts() -> tuple[font_manager.FontEntry, ...]:
    """List the fonts that have letters, by name."""
    real = (font for font in font_manager.fontManager.ttflist if not font.name.startswith(LAST_RESORT))
    return tuple(sorted(real, key=lambda font: font.name))


def fonts_for(texts: Iterable[str]) -> dict[str, Any]:
    """Choose fonts, as rc parameters, that together have the letters of texts."""
    wanted = {ord(letter) for text in texts for letter in text} - _usual_letters()
    families = ["DejaVu Sans"]
    for font in _fonts() if wanted else ():
        if wanted and font.name not in families and (had := wanted & _letters(font.fname)):
            families.append(font.name)
            wanted -= had
    return {"font.family": families} if len(families) > 1 else {}


@lru_cache
def _has(letter: str) -> bool:
    if ord(letter) in _usual_letters():
        return True
    return any(ord(letter) in _letters(font.fname) for font in _fonts())


def drawable(name: str, longest: int | None = None) -> str:
    r"""Escape the letters of a name that no font here has.

    They become codes such as `\u732b`; `$` is escaped as well.

    >>> drawable("$\\foo$ caf\udce9")
    '\\$\\foo\\$ caf\\udce9'
    """
    text = "".join(c if _has(c) else c.encode("unicode_escape").decode() for c in shown(str(name)))
    if longest is not None and len(text) > longest:
        text = f"{text[: longest - 1]}…"
    return text.replace("$", r"\$")  # else matplotlib reads a formula between two of them


def drawable_class(number: int, name: str) -> str:
    """Write a class's name; its number where no font here has the letters.

    >>> drawable_class(3, "dog")
    'dog'
    """
    return drawable(name, LONGEST) if all(map(_has, shown(str(name)))) else f"class {number}"


def stand_ins(names: Iterable[str], classes: Sequence[str] = ()) -> dict[str, str]:
    """Map names that figures cannot write to what they write instead."""
    written = {str(name): drawable(name, LONGEST) for name in names}
    written |= {str(name): drawable_class(number, name) for number, name in enumerate(classes)}
    return {name: text for name, text in written.items() if not all(map(_has, shown(name))) or shown(name) != name}


def drawable_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Make every name in a frame of runs drawable."""
    return runs.assign(**{column: runs[column].map(drawable, na_action="ignore") for column in NAMED})
