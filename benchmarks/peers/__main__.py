"""The peers, each a process of its own: `python -m benchmarks.peers torchvision|timm|bare --data FOLDER ...`.

`torchvision` and `timm` are loops that do the same steps as torchvision's reference train.py and timm's train.py at
their defaults, put together from those libraries' own parts; `bare` is the shortest loop in plain PyTorch that does
what a run of datavol does. Each prints a line when an epoch ends, evaluation included; its starter takes the time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.peers.bare_loop import bare_loop
from benchmarks.peers.job import MODELS
from benchmarks.peers.timm_loop import timm_loop
from benchmarks.peers.torchvision_loop import torchvision_loop

PEERS = {"bare": bare_loop, "timm": timm_loop, "torchvision": torchvision_loop}


def arguments() -> argparse.Namespace:
    """What the peers are told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=sorted(PEERS))
    parser.add_argument("--data", type=Path, required=True, help="idx files, or a folder with train/ and val/")
    parser.add_argument("--model", default="mobilenet_v2", choices=MODELS)
    parser.add_argument("--size", type=int, default=224, help="side of a training and of an evaluation crop, in pixels")
    parser.add_argument("--resize", type=int, default=256, help="short side before an evaluation's crop, in pixels")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--warm-up", type=int, help="batches of each epoch but the last; all if not given")
    parser.add_argument("--fraction", type=float, default=1.0, help="of the training images, in memory only")
    parser.add_argument("--lr", type=float, default=0.1, help="torchvision and bare")
    parser.add_argument("--weight-decay", type=float, default=1e-4, help="torchvision")
    parser.add_argument("--lr-step-size", type=int, default=30, help="torchvision")
    parser.add_argument("--lr-gamma", type=float, default=0.1, help="torchvision")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--workers", type=int, default=2, help="torchvision and timm")
    parser.add_argument("--channels-last", action="store_true", help="timm and bare")
    parser.add_argument("--bf16", action="store_true", help="timm and bare: autocast to bfloat16")
    return parser.parse_args()


if __name__ == "__main__":
    told = arguments()
    PEERS[told.peer](told)
