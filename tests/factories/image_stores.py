"""Makes stores of ten images of odd sizes and checks them."""

import logging
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as F

from datavol.data.images.cache_reader import PackedImages, Store
from datavol.data.images.cache_writer import fill
from datavol.data.images.decode import decode_file
from datavol.data.sources.files.file_table import FileSplit

SIDE = 16
SIZES = [(24, 20), (16, 40), (40, 16), (9, 8), (33, 47), (17, 17), (64, 20), (20, 64), (16, 16), (100, 7)]
NAMES = [f"{i}.{'jpg' if i % 2 else 'png'}" for i in range(len(SIZES))]
EVERYTHING = np.arange(len(SIZES))
PLENTY = 10**9


def write_photo(path: Path, size: tuple[int, int], seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def expected(split: FileSplit, i: int, side: int = SIDE) -> torch.Tensor:
    """Decode by Pillow and resize by torchvision, in another memory layout."""
    with Image.open(split.path(i)) as image:
        whole = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()
    return F.resize(whole, [side], antialias=True) if min(whole.shape[1:]) > side else whole


class Decoder:
    """Decodes and counts; `p4=act` acts before position 4 is decoded."""

    def __init__(self, split: FileSplit, **instead) -> None:
        self.split, self.asked, self.instead = split, [], {int(name[1:]): act for name, act in instead.items()}

    def __call__(self, i: int) -> torch.Tensor:
        self.asked.append(i)
        if i in self.instead:
            self.instead[i]()
        return decode_file(self.split, i)


def filled(store: Store, split: FileSplit, positions=EVERYTHING, limit: int = PLENTY, threads: int = 2, **instead):
    """Fill the store and give the positions that were decoded."""
    decode = Decoder(split, **instead)
    fill(store, split, decode, positions, limit, threads)
    return sorted(decode.asked)


def check(store: Store, split: FileSplit, there=EVERYTHING) -> None:
    """Check that the store holds the images `there`, and no others."""
    images = PackedImages(store)
    assert np.flatnonzero(images.holds(EVERYTHING)).tolist() == sorted(there)
    for i in EVERYTHING.tolist():
        image = images.image(i)
        assert (image is None) == (i not in there)
        assert image is None or torch.equal(image, expected(split, i))


def pixels_of(store: Store) -> bytes:
    """Read the pixels file, beside which lie index and lock alone."""
    assert sorted(name.split("-")[0] for name in os.listdir(store.folder)) == ["index.npz", "lock", "pixels"]
    return pixels_file(store).read_bytes()


def pixels_file(store: Store) -> Path:
    (file,) = Path(store.folder).glob("pixels-*.u8")
    return file


def undisturbed(split: FileSplit, positions=EVERYTHING) -> bytes:
    """Make the pixels of a build in one go."""
    side = 100 if split.files.place.endswith("alike") else SIDE
    return b"".join(expected(split, i, side).permute(1, 2, 0).numpy().tobytes() for i in positions)


def warnings_of(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
