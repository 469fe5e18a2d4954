"""Collects the images mistaken with most confidence, as pictures."""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from datavol.cli.text import chance, per_cent, shown
from datavol.errors import ConfigError, InsufficientData, RunError
from datavol.study.load.study import Study
from datavol.study.load.validation_images import ValidationImages
from datavol.study.questions.confident_mistakes import ConfidentMistakes, confident_mistakes
from datavol.study.questions.curve_runs import CurveRuns, curves_of_study

MOST = 24  # pictures of a data set
PIXELS = 128  # of the longer side of a picture
QUALITY = 85  # of its JPEG
OPTION = "--images"


@dataclass(frozen=True)
class Picture:
    """Stores an image with what it is called and taken for."""

    name: str
    label: str
    said: str  # what the network says, and how sure it is
    suspect: bool  # its label may be wrong
    source: str  # a `data:` URL; empty where the image cannot be read


@dataclass(frozen=True)
class Sheet:
    """Stores the pictures of one data set."""

    curve: str
    caption: str
    pictures: list[Picture]


def mistaken_images(study: Study) -> list[Sheet]:
    """Show the surest mistakes of the best curve on each data set.

    Raises:
        ConfigError: If no run kept its predictions, or the images are not where the runs found them.
    """
    found: dict[str, list[ConfidentMistakes]] = {}
    reason = "no run has finished"
    for curve in sorted(curves_of_study(study), key=_error):
        if curve.runs.empty or curve.runs["folder"].isna().any():  # or from W&B, which has no files
            continue
        try:
            one = confident_mistakes(curve, MOST)
        except InsufficientData as error:
            reason = str(error)
        else:
            found.setdefault(curve.runs["fingerprint"].iloc[0], []).append(one)
    if not found:
        raise ConfigError(f"{OPTION} must have runs that kept their predictions, got none: {reason}; leave it out")
    return [_sheet(curves[0]) for curves in found.values()]


def section(sheets: Sequence[Sheet]) -> Markup:
    """Write the sheets as a part of the page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = files(__package__).joinpath("mistaken_images.html.jinja").read_text(encoding="utf-8")
    return Markup(environment.from_string(text).render(sheets=sheets))  # escaped by the template


def _error(curve: CurveRuns) -> float:
    """Return the least mean error over a curve's sizes."""
    return float(curve.runs.groupby("images")["error"].mean().min())


def _sheet(found: ConfidentMistakes) -> Sheet:
    try:
        images = ValidationImages(found.folder)
    except ConfigError as error:
        got = str(error).partition("; ")[0]  # a remedy for trainings is none here
        raise ConfigError(
            f"{OPTION} must have the images where the runs found them, got: {got}; bring them back, or leave it out"
        ) from None
    if len(images.labels) != found.validated:
        raise ConfigError(
            f"{OPTION} must have runs that saw all {len(images.labels):,} validation images, got {found.validated:,}; "
            "leave out damaged ones by data.exclude"
        )
    runs = f"{found.runs} runs together" if found.runs > 1 else "one run"
    caption = (
        f"Of {found.mistakes:,} mistaken images of {found.validated:,} those that {runs} on "
        f"{per_cent(found.fraction)} of the data are surest about. Where picture and label do not agree, the label is "
        "wrong; where they do, the network is sure and wrong."
    )
    return Sheet(found.curve, caption, list(_pictures(found, images)))


def _pictures(found: ConfidentMistakes, images: ValidationImages) -> Iterator[Picture]:
    for row in found.images.to_dict("records"):
        position = int(row["image"])
        try:
            source = _jpeg(images.pixels(position))
        except RunError:  # damaged since; the page says that there is no picture
            source = ""
        sure = chance(row["probability"]).replace("more than", "over").replace(" %", "\N{NO-BREAK SPACE}%")
        said = f"{shown(row['said'])}, {sure}"
        yield Picture(shown(images.name(position)), shown(row["label"]), said, bool(row["suspect"]), source)


def _jpeg(pixels: NDArray[np.uint8]) -> str:
    """Shrink an image to `PIXELS`, or enlarge a small one by whole pixels."""
    image, content = Image.fromarray(np.ascontiguousarray(pixels)), io.BytesIO()
    times = max(1, PIXELS // max(image.size))  # JPEG would blur 28 x 28 pixels
    image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    image.thumbnail((PIXELS, PIXELS))
    image.save(content, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
