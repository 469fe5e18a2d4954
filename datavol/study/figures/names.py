"""Writes names that figures can draw: in known letters, without formulas."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import pandas as pd
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from datavol.cli.text import shown

LONGEST = 40  # letters of a class's name beside a figure
NAMED = ("model", "recipe", "data")
"""Columns of runs that figures write."""


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


def fonts_for(texts: Iterable[str]) -> dict[str, Any]:
    """Choose fonts, as rc parameters, that together have the letters of texts."""
    wanted = {ord(letter) for text in texts for letter in text} - _usual_letters()
    families = ["DejaVu Sans"]
    fonts = sorted(font_manager.fontManager.ttflist, key=lambda font: font.name) if wanted else []
    for font in fonts:
        if wanted and font.name not in families and (had := wanted & _letters(font.fname)):
            families.append(font.name)
            wanted -= had
    return {"font.family": families} if len(families) > 1 else {}


@lru_cache
def _has(letter: str) -> bool:
    if ord(letter) in _usual_letters():
        return True
    return any(ord(letter) in _letters(font.fname) for font in font_manager.fontManager.ttflist)


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


def unshown(names: Iterable[str]) -> list[str]:
    """List the names that figures write with escapes."""
    return [name for name in dict.fromkeys(map(str, names)) if not all(map(_has, shown(name))) or shown(name) != name]


def drawable_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Make every name in a frame of runs drawable."""
    return runs.assign(**{column: runs[column].map(drawable, na_action="ignore") for column in NAMED})
