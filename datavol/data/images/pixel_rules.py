"""Holds the rules by which a data set's files become pixels.

The rules hold for a whole data set. Files of 16 bits often hold 12, and files of floats 0 to 1 or 0 to 255, which no
header tells. A single image must not decide it, or a dark one would become a bright one: `data.range` or a sample of
the training set does, and it is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from datavol.config.data import FilesConfig
from datavol.data.images.formats import open_image
from datavol.data.images.pixel_values import UNKNOWN, PixelRange, deep_values, plain_number
from datavol.data.sources.files.file_table import FileSplit
from datavol.errors import ConfigError
from datavol.runs.randomness import permutation

BITS = (8, 10, 12, 14, 16, 24, 31, 32)  # that integer pixels are taken to have: the least that holds the sample
WHITES = (1.0, 255.0, 4095.0, 65535.0)  # that float pixels are taken to end at, likewise
SAMPLE, LARGER_SAMPLE = 64, 1024  # images looked at; the larger one if any of the first has more than 8 bits
COLOURS = {"white": (255, 255, 255), "black": (0, 0, 0)}
DARK = 1 / 16  # of the range: a sample that ends below it looks black


@dataclass(frozen=True)
class PixelRules:
    """Says how any file becomes 8-bit RGB."""

    range: PixelRange = UNKNOWN
    exif: Literal["apply", "ignore"] = "apply"
    alpha: Literal["white", "black", "drop"] | tuple[int, int, int] = "white"  # what transparent parts lie on

    @property
    def background(self) -> tuple[int, int, int] | None:
        """Return the colour under transparent parts; None if alpha is dropped."""
        if isinstance(self.alpha, str):
            return COLOURS.get(self.alpha)
        return self.alpha

    @property
    def text(self) -> str:
        """Name the rules, as cached images are kept by them.

        Rules that have their default are not named: caches that knew no others stay valid.
        """
        parts = [str(self.range)]
        parts += [f"exif={self.exif}"] if self.exif != "apply" else []
        parts += [f"alpha={self.background}"] if self.alpha != "white" else []
        return "|".join(parts)

    @property
    def facts(self) -> dict[str, Any]:
        """Record the range, in words and for a later evaluation."""
        pixels = {"bits": self.range.bits, "white": self.range.white, "several_frames": self.range.frames}
        return {"pixel_range": str(self.range), "pixels": pixels}

    @property
    def notes(self) -> list[str]:
        """Say what a sample of the files made assume."""
        pixels, notes = self.range, []
        if pixels.asked and pixels.seen:
            notes.append(f"note: pixels of more than 8 bits are taken as {pixels}")
        elif str(pixels) and not pixels.asked:
            notes.append(
                f"note: pixels of more than 8 bits are taken as {pixels}, as a sample of the training images needs; "
                "data.range=... takes others"
            )
        if pixels.frames:
            notes.append(f"note: {pixels.frames} sampled images have several frames or pages; the first of each counts")
        return notes + self._dark

    @property
    def _dark(self) -> list[str]:
        """Warn of a range in which a sample looks black."""
        if not (self.range.asked and self.range.seen):
            return []
        (low, high), (_, largest) = self.range.asked, self.range.seen
        if largest >= low + DARK * (high - low):
            return []
        return [
            f"warning: pixels are nearly black, as data.range goes to {plain_number(high)} and those of a sample of "
            f"the training images to {plain_number(largest)}; try data.range=auto"
        ]


PLAIN = PixelRules()


def rules_of(data: FilesConfig, train: FileSplit, before: Mapping[str, Any] | None = None) -> PixelRules:
    """Find the rules of a data set.

    Args:
        data: Its keys.
        train: The training images, a sample of which shows what `data.range=auto` is.
        before: What an earlier session of the same run took, as `facts` has it.

    Raises:
        ConfigError: If `data.range=auto` does not fit the sample.
    """
    known = (before or {}).get("pixels") if data.range == "auto" else None
    if known:
        found = PixelRange(known["bits"], known["white"], known["several_frames"])
    else:
        found = sample_range(train, _asked(data.range))
    return PixelRules(found, data.exif, data.alpha)


def _asked(chosen: Any) -> tuple[float, float] | None:
    if chosen == "auto":
        return None
    return (0.0, 2.0**chosen - 1) if isinstance(chosen, int) else chosen


@dataclass(frozen=True)
class _Look:
    """Holds what one image of a sample shows."""

    kind: str  # "I" for deep integers, "F" for floats, "C" for deep colours, "" for 8 bits
    least: float
    largest: float
    frames: bool


def sample_range(split: FileSplit, asked: tuple[float, float] | None = None) -> PixelRange:
    """Find the range of deep pixels in a sample of a split.

    It is the headers of 64 random images; if one is deep, the pixels of 1,024.

    Raises:
        ConfigError: If none is asked for, and no usual one holds the sample.
    """
    order, look = permutation(len(split), "pixel range")[:LARGER_SAMPLE].tolist(), partial(_look, split, asked)
    with ThreadPoolExecutor(8) as pool:  # a network drive takes its time
        looks = [found for found in pool.map(look, order[:SAMPLE]) if found]
        if any(found.kind for found in looks):
            looks += [found for found in pool.map(look, order[SAMPLE:]) if found]
    deep = [found for found in looks if found.kind]
    seen = (min(found.least for found in deep), max(found.largest for found in deep)) if deep else None
    known = PixelRange(None, None, sum(found.frames for found in looks), asked, seen)
    if asked is not None:
        return known
    bits = _least([found for found in deep if found.kind == "I"], [2**bits - 1 for bits in BITS], "integers")
    white = _least([found for found in deep if found.kind == "F"], WHITES, "floats")
    return replace(known, bits=None if bits is None else int(bits + 1).bit_length() - 1, white=white)


def _least(looks: list[_Look], ends: Any, kind: str) -> float | None:
    """Choose the least end that holds a sample; None without one."""
    if not looks:
        return None
    least, largest = min(look.least for look in looks), max(look.largest for look in looks)
    end = next((end for end in ends if largest <= end), None)
    if least < 0 or end is None:
        low, high = plain_number(least), plain_number(largest)
        wide = plain_number(max(largest, least + 1))  # of one value alone a range as well
        raise ConfigError(
            f"data.range must be given where pixels have no usual range, got {kind} from {low} to {high} in a sample "
            f"of the training images; try data.range=[{low},{wide}]"
        )
    return float(end)


def _look(split: FileSplit, asked: tuple[float, float] | None, position: int) -> _Look | None:
    """Examine one image of a sample; None if it does not open."""
    try:
        content = split.content(position)
        with open_image(content) as image:
            frames = image.format != "MPO" and getattr(image, "n_frames", 1) > 1  # MPO: a phone's depth map or so
            values, kind = deep_values(image, content, colours=asked is not None)
        if values is None or not values.size:
            return _Look("", 0, 0, frames)
        least, largest = float(values.min()), float(values.max())
        # NaN and infinity are no range: the image is refused when it is read
        return _Look(kind, least, largest, frames) if -1e300 < least <= largest < 1e300 else None
    except (MemoryError, ConfigError):
        raise
    except Exception:  # whatever a decoder raises: its reader meets it again, and names the file
        return None
