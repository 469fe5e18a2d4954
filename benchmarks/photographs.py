"""Made-up photographs: JPEGs of a photograph's size and decoding cost, in classes that can be learnt.

Each image is noise with the power spectrum of natural scenes, amplitude 1 / frequency^roughness (Field 1987), in a
tint. A class is one of a few tints and one of two roughnesses; both scatter from image to image, so that no network
gets all right.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 375, 500
ROUGHNESS = (1.35, 1.5)
ROUGHNESS_SCATTER = 0.06
HUE_SCATTER = 0.05
FLOOR = 1.0
"""Deviation of the grain in grey levels, which sets the files' size."""


def write_photographs(
    folder: Path,
    counts: dict[str, int],
    classes: int = 10,
    seed: int = 0,
    roughness: tuple[float, float] = ROUGHNESS,
) -> Path:
    """Write `<split>/<class>/<number>.jpg`, as many in all per split as `counts` says, spread evenly over the classes.

    Args:
        folder: Where to.
        counts: Images of each split, such as `{"train": 160, "val": 16}`.
        classes: An even number of classes.
        seed: The same seed writes the same images.
        roughness: Of the two kinds of classes; the further apart, the easier.

    Returns:
        The folder.
    """
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for number in range(count):
            label = number % classes
            file = folder / split / f"class{label}" / f"{number:05d}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photograph(rng, label, classes, roughness)).save(file, quality=int(rng.integers(90, 96)))
    return folder


def photograph(
    rng: np.random.Generator, label: int, classes: int, roughness: tuple[float, float] = ROUGHNESS
) -> NDArray[np.uint8]:
    """One image of a class, (375, 500, 3)."""
    tints = classes // len(roughness)
    hue = (label % tints) / tints + rng.normal(0, HUE_SCATTER)
    own = roughness[label // tints % len(roughness)] + rng.normal(0, ROUGHNESS_SCATTER)
    tint = np.array(colorsys.hsv_to_rgb(hue % 1, 0.25, rng.uniform(0.45, 0.65)))
    light = 40 * coloured_noise(rng, own)[..., None]
    colours = 10 * np.stack([coloured_noise(rng, own + 0.5) for _ in range(3)], axis=-1)
    grain = rng.normal(0, FLOOR, (HEIGHT, WIDTH, 1))
    return np.clip(255 * tint + light + colours + grain, 0, 255).astype(np.uint8)


def coloured_noise(rng: np.random.Generator, roughness: float) -> NDArray[np.float64]:
    """Noise (375, 500) of mean 0 and deviation 1 with amplitudes 1 / frequency^roughness."""
    frequency = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(HEIGHT, WIDTH))) * frequency**-roughness, (HEIGHT, WIDTH))
    return np.asarray(noise / noise.std())


def kilobytes(folder: Path) -> Sequence[float]:
    """The sizes of the files below a folder, in units of 1000 bytes."""
    return [file.stat().st_size / 1000 for file in folder.rglob("*.jpg")]
