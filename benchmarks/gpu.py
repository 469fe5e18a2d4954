"""Images per second on a GPU, of datavol and its peers: `python -m benchmarks.gpu` (`make bench-gpu`).

Each side is one process of four epochs, evaluation and checkpoint included, whose last three are its samples. At 224
pixels all but the bare loop read made-up JPEGs; the bare loop holds its images on the device, ready to use, so that its
ratio says what loading costs. Results lie by device in `benchmarks/gpus/`.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torchvision

from benchmarks import results
from benchmarks.fashion_mnist import write_idx
from benchmarks.photographs import write_photographs
from benchmarks.processes import DATAVOL_EPOCH, PEER_EPOCH, datavol_command, peer_command, run_timed, runs_in
from benchmarks.results import Row, ratio_row
from datavol.runs.provenance import cores

FOLDER = results.FOLDER / "gpus"
EPOCHS = 4
SECONDS = 4.0
"""Of an epoch at 224 pixels, roughly."""
PEERS = {
    "bare": "a bare PyTorch loop with the same settings, crop and flip; data on the device",
    "timm": "timm's train.py with --channels-last and bf16 where the GPU has it, by a loop that does the same steps",
    "torchvision": "torchvision's reference train.py, by a loop that does the same steps",
}
NAMES = {"mobilenet_v2": "MobileNetV2", "resnet50": "ResNet50"}


@dataclass(frozen=True)
class Bout:
    """A network at a size of images."""

    model: str
    size: int
    resize: int
    batch_size: int

    @property
    def name(self) -> str:
        """What its rows' names begin with."""
        return f"gpu-{NAMES[self.model].lower()}-{self.size}"

    @property
    def title(self) -> str:
        """What its rows say."""
        return f"{NAMES[self.model]}, {self.size} px, {'arrays' if self.size == 32 else 'JPEG folder'}"


BOUTS = [Bout(model, *sizes) for sizes in ((32, 32, 128), (224, 256, 64)) for model in ("mobilenet_v2", "resnet50")]


def main(arguments: list[str] | None = None) -> None:
    """Measure, keep each row as soon as it is there, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--device", default="cuda", choices=("cpu", "cuda"), help="cpu tries the commands, with --smoke"
    )
    parser.add_argument("--smoke", action="store_true", help="as little as goes through; give --out as well")
    parser.add_argument("--only", nargs="+", choices=[bout.name for bout in BOUTS], metavar="BOUT")
    parser.add_argument("--out", type=Path, help="a folder for results.json and RESULTS.md")
    told = parser.parse_args(arguments)
    if told.out is None and (told.smoke or told.device == "cpu"):
        parser.error("--smoke and --device=cpu measure nothing worth keeping: give --out")
    name = torch.cuda.get_device_name() if told.device == "cuda" else "no GPU"
    out = told.out or FOLDER / re.sub(r"[^a-z0-9]+", "-", name.lower())
    out.mkdir(parents=True, exist_ok=True)
    order = [f"{bout.name}-{peer}" for bout in BOUTS for peer in PEERS]
    with tempfile.TemporaryDirectory(prefix="datavol-bench-") as scratch:
        arena = Arena(Path(scratch), told.device, told.smoke)
        for bout in BOUTS:
            if told.only and bout.name not in told.only:
                continue
            for row in arena.rows(bout):
                row = replace(row, place=row.place | {"machine": f"{name}; {row.place['machine']}"})
                results.record(row, order, out)
                print(f"{name}: {row.name} {row.measured} ({row.spread})", flush=True)
    print((out / "RESULTS.md").read_text())


class Arena:
    """Runs the sides of bouts, on images made for them."""

    def __init__(self, scratch: Path, device: str, smoke: bool) -> None:
        self.scratch, self.device, self.smoke = scratch, device, smoke
        self.bf16 = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        self.workers = max(1, min(16, cores()))
        self.counts = {32: (256, 128), 224: (64, 16)} if smoke else {32: (16384, 2048), 224: (self._images(), 512)}

    def _images(self) -> int:
        """As many as ResNet50 trains on in some seconds: GPUs differ by a factor of fifty."""
        network = torchvision.models.resnet50().to(self.device)
        images = torch.randn(64, 3, 224, 224, device=self.device)
        for steps in (3, 5):  # the first warm up
            torch.cuda.synchronize()
            began = time.perf_counter()
            for _ in range(steps):
                network(images).sum().backward()
            torch.cuda.synchronize()
        rate = steps * len(images) / (time.perf_counter() - began)
        del network, images
        torch.cuda.empty_cache()
        return int(min(128, max(4, SECONDS * rate // 64))) * 64

    def data(self, size: int) -> Path:
        """The images of a size, made when they are first asked for."""
        folder = self.scratch / f"images-{size}"
        if not folder.exists():
            folder.mkdir()
            (self._write_arrays if size == 32 else self._write_files)(folder)
        return folder

    def _write_arrays(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        for part, count in zip(("train", "t10k"), self.counts[32], strict=True):
            write_idx(folder / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (count, 28, 28), dtype=np.uint8))
            write_idx(folder / f"{part}-labels-idx1-ubyte", (np.arange(count) % 10).astype(np.uint8))

    def _write_files(self, folder: Path) -> None:
        """A few photographs, each under several names: making them takes longer than reading them."""
        made = dict(zip(("train", "val"), (min(256, count) for count in self.counts[224]), strict=True))
        write_photographs(folder, made)
        for (part, few), count in zip(made.items(), self.counts[224], strict=True):
            files = sorted((folder / part).rglob("*.jpg"))
            for number in range(few, count):
                os.link(files[number % few], files[number % few].with_name(f"{number:05d}.jpg"))

    def rows(self, bout: Bout) -> Iterator[Row]:
        """Run datavol, then each peer."""
        ours, note = self.datavol(bout)
        for peer, title in PEERS.items():
            theirs = self.peer(bout, peer)
            yield ratio_row(f"{bout.name}-{peer}", bout.title, title, None, ours, theirs, note=note)

    def datavol(self, bout: Bout) -> tuple[list[float], str]:
        """Images per second by the plain recipe and datavol's own defaults, and what they are."""
        kind = "fashion_mnist" if bout.size == 32 else "image_folder"
        sizes = [f"data.image_size={bout.size}", f"data.resize={bout.resize}", f"recipe.batch_size={bout.batch_size}"]
        where = [
            f"trainer={'gpu' if self.device == 'cuda' else 'cpu'}",
            f"data={kind}",
            f"data.root={self.data(bout.size)}",
        ]
        command = datavol_command(*where, f"model={bout.model}", "recipe=plain", *sizes, f"epochs={EPOCHS}")
        place = self.scratch / f"{bout.name}-datavol"
        rates = self._rates(bout, command, DATAVOL_EPOCH, place)
        record = runs_in(place)[0].record
        train, val = self.counts[bout.size]
        chosen = f"precision {record['precision']} and {record['memory_format']}"
        return rates, f"{train} training and {val} validation images, batch {bout.batch_size}; datavol chose {chosen}"

    def peer(self, bout: Bout, peer: str) -> list[float]:
        """Images per second of a peer."""
        fast = ["--channels-last", *(["--bf16"] if self.bf16 else [])] if peer != "torchvision" else []
        sizes = [f"--size={bout.size}", f"--resize={bout.resize}", f"--batch-size={bout.batch_size}"]
        where = [f"--data={self.data(bout.size)}", f"--device={self.device}", f"--workers={self.workers}"]
        command = peer_command(peer, *where, f"--model={bout.model}", *sizes, f"--epochs={EPOCHS}", *fast)
        return self._rates(bout, command, PEER_EPOCH, self.scratch / f"{bout.name}-{peer}")

    def _rates(self, bout: Bout, command: list[str], pattern: str, place: Path) -> list[float]:
        seconds = run_timed(command, pattern, place, self.scratch)
        if len(seconds) != EPOCHS - 1:
            raise RuntimeError(f"{' '.join(command)} did not say when its budget epochs ended")
        return [self.counts[bout.size][0] / one for one in seconds]


if __name__ == "__main__":
    main()
