"""Illustrations as files: drawn once, written as SVG, PDF and PNG."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from datavol.errors import ConfigError, InsufficientData
from datavol.runs.files import write_whole
from datavol.study.figures import STYLE
from datavol.study.report.figure_list import Draw, ReportFigure

FILES: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
"""The formats, and what keeps each the same from one drawing to the next."""

SETTINGS: Any = {"svg.hashsalt": "datavol", "pdf.fonttype": 42}  # the same drawing twice is the same file; real text
LARGEST_SVG = 1_000_000
"""Bytes; the page embeds a figure above this as PNG."""


@dataclass(frozen=True)
class Picture:
    """A drawn illustration.

    Attributes:
        name: Of its files.
        title: What it shows.
        caption: How to read it.
        source: Its image as a `data:` address.
        inches: Its width when it is printed.
    """

    name: str
    title: str
    caption: str
    source: str
    inches: float


def draw_into(file: Path, drawing: Draw) -> None:
    """Draw one figure into a file, whole; its ending says how: `.svg`, `.pdf` or `.png`.

    Raises:
        ConfigError: For another ending, or where nothing can be written.
    """
    ending = file.suffix.removeprefix(".")
    if ending not in FILES:
        raise ConfigError(f"a figure's file must end in .{', .'.join(FILES)}, got {file}; try {file.stem}.png")
    with mpl.rc_context({**STYLE, **SETTINGS}):
        figure = Figure(layout="constrained", dpi=150)
        drawing(figure)
        image = _saved(figure, ending)
    try:
        write_whole(file, image)
    except OSError as error:
        raise ConfigError(
            f"a figure's file must be one to write, got {file}: {error.strerror}; try another place"
        ) from None


def draw(illustration: ReportFigure, folder: Path) -> Picture | str:
    """Draw an illustration into its three files; where the study does not hold it, the reason."""
    with mpl.rc_context({**STYLE, **SETTINGS}):
        figure = Figure(figsize=(7, 4.5), layout="constrained", dpi=150)
        try:
            illustration.draw(figure)
        except (ConfigError, InsufficientData) as error:
            return str(error)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the layout is found: not once more for each format
        images = {ending: _saved(figure, ending) for ending in FILES}
    for ending, image in images.items():
        write_whole(folder / f"{illustration.name}.{ending}", image)
    kind = "svg" if len(images["svg"]) <= LARGEST_SVG else "png"
    inches = float(figure.get_size_inches()[0])
    return Picture(illustration.name, illustration.title, illustration.caption, _address(images[kind], kind), inches)


def _saved(figure: Figure, ending: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending, metadata=FILES[ending])
    return buffer.getvalue()


def _address(image: bytes, kind: str) -> str:
    mime = {"svg": "image/svg+xml", "png": "image/png"}[kind]
    return f"data:{mime};base64,{base64.b64encode(image).decode()}"
