"""Renders figures to files: drawn once, saved as SVG, PDF and PNG."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from datavol.errors import ConfigError, InsufficientData, flat
from datavol.runs.files import write_whole
from datavol.study.figures import STYLE
from datavol.study.report.figure_list import Draw, ReportFigure

# The metadata of each format, without dates; with a fixed salt for SVG's ids, drawing twice gives the same bytes.
METADATA: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
RC_PARAMS: Any = {**STYLE, "svg.hashsalt": "datavol", "pdf.fonttype": 42}  # 42: text that can be selected and edited
LARGEST_SVG = 1_000_000  # bytes; the page embeds a larger figure as PNG


@dataclass(frozen=True)
class RenderedFigure:
    """Stores a figure's texts, image (a `data:` URL) and width (inches)."""

    name: str
    title: str
    caption: str
    source: str
    inches: float


def draw_into(file: Path, draw: Draw) -> None:
    """Draw one figure into a `.svg`, `.pdf` or `.png` file.

    Raises:
        ConfigError: For another ending, or where nothing can be written.
    """
    ending = file.suffix.removeprefix(".")
    if ending not in METADATA:
        raise ConfigError(f"a figure's file must end in .{', .'.join(METADATA)}, got {file}; try {file.stem}.png")
    with mpl.rc_context(RC_PARAMS):
        figure = Figure(layout="constrained", dpi=150)
        draw(figure)
        image = _encode(figure, ending)
    try:
        write_whole(file, image)
    except OSError as error:
        raise ConfigError(
            f"a figure's file must be one to write, got {file}: {error.strerror}; try another place"
        ) from None


FAILED = "this figure failed, and is left out"


def render(figure: ReportFigure, folder: Path, fonts: dict[str, Any]) -> RenderedFigure | str:
    """Render a figure into three files, or return the reason against it."""
    try:
        with mpl.rc_context(RC_PARAMS | fonts):
            canvas = Figure(figsize=(7, 4.5), layout="constrained", dpi=150)
            figure.draw(canvas)
            canvas.draw_without_rendering()  # computes the layout, which is slow; then it is frozen for all formats
            canvas.set_layout_engine("none")
            images = {ending: _encode(canvas, ending) for ending in METADATA}
    except (ConfigError, InsufficientData) as error:
        return str(error)
    except Exception as error:  # a font, a layout or a number that cannot be drawn: of this figure alone
        return f"{FAILED} ({type(error).__name__}: {flat(error)[:200]})"
    for ending, image in images.items():
        write_whole(folder / f"{figure.name}.{ending}", image)
    if len(images["svg"]) <= LARGEST_SVG:
        mime, image = "image/svg+xml", images["svg"]
    else:
        mime, image = "image/png", images["png"]
    source = f"data:{mime};base64,{base64.b64encode(image).decode()}"
    return RenderedFigure(figure.name, figure.title, figure.caption, source, float(canvas.get_size_inches()[0]))


def _encode(canvas: Figure, ending: str) -> bytes:
    buffer = io.BytesIO()
    canvas.savefig(buffer, format=ending, metadata=METADATA[ending])
    return buffer.getvalue()
