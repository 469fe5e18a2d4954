"""Images per second from a folder, a table, a zip, a tar, shards and tables of Arrow: `python -m benchmarks.sources`.

The same made-up photographs in a random order, decoded by one thread, then read from the image cache. All forms take
turns; each figure is a median, beside the median ratio to the folder of the same round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.photographs import write_photographs
from datavol.config.compose import compose
from datavol.data.datamodule import SubsetDataModule
from datavol.data.images.dataset import FileReader
from datavol.data.prepare import prepare
from tests.factories.same_photos import FORMS


def main() -> None:
    """Write the photographs in every form, and time all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["DATAVOL_CACHE"] = str(Path(scratch, "cache"))
        folder = write_photographs(Path(scratch, "photographs"), {"train": given.images, "val": 20})
        written = {}
        for name, form in FORMS.items():
            Path(scratch, name).mkdir()
            written[name] = form(folder, Path(scratch, name))
        print("| form | decoded, images/s | beside the folder | cached, images/s | beside the folder |")
        print("| --- | --- | --- | --- | --- |")
        columns = {cache: _rates({n: _reader(o, cache) for n, o in written.items()}, given.rounds) for cache in CACHES}
        for name in FORMS:
            cells = [cell for cache in CACHES for cell in _cells(columns[cache][name], columns[cache]["folder"])]
            print(f"| {name} | {' | '.join(cells)} |")


CACHES = ("off", "disk")


def _reader(overrides: list[str], cache: str) -> FileReader:
    """The reader of the training images, with its cache filled."""
    side = "null" if cache == "off" else "256"
    run = compose([*overrides, f"data.cache={cache}", f"data.short_side={side}", "recipe.batch_size=8"])[0]
    data = prepare(run.config)
    module = SubsetDataModule(data.source, data.subset, data.budget, run.config.recipe, run.config.data)
    module.fill_cache()
    reader = module.readers["train"]
    assert isinstance(reader, FileReader)
    return reader


def _rates(readers: dict[str, FileReader], rounds: int) -> dict[str, list[float]]:
    """Images per second of each form in each round."""
    rates: dict[str, list[float]] = {name: [] for name in readers}
    for number in range(rounds + 1):
        order = np.random.default_rng(number).permutation(len(next(iter(readers.values())).split))
        for name, reader in readers.items():
            start = time.perf_counter()
            total = sum(int(image.sum()) for i in order for image in reader.read(np.array([i])))  # touches each pixel
            assert total
            if number:  # the first round opens files
                rates[name].append(len(order) / (time.perf_counter() - start))
    return rates


def _cells(rates: list[float], folder: list[float]) -> tuple[str, str]:
    ratios = [one / other for one, other in zip(rates, folder, strict=True)]
    return f"{statistics.median(rates):,.0f}", f"{statistics.median(ratios):.2f}"


if __name__ == "__main__":
    main()
