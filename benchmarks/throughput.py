"""Images per second over a whole budget epoch of datavol and of the trainers that one would take instead.

Every sample is a fresh process whose last budget epoch is timed, from the end of the evaluation before it to that of
its own: training, evaluation, a checkpoint and whatever lies between. What comes before warms up: an epoch of datavol,
and one of a peer that is cut short, or two where its workers stay and settle only in the second. datavol and its peers
take turns. The samples of datavol are runs of one study, which settles its arithmetic once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.checkouts import timm_command, torchvision_command
from benchmarks.fashion_mnist import write_share
from benchmarks.photographs import write_photographs
from benchmarks.processes import DATAVOL_EPOCH, PEER_EPOCH, datavol_command, peer_command, run_timed, runs_in
from benchmarks.results import Row, ratio_row
from benchmarks.settings import Settings

TORCHVISION = "torchvision's reference train.py, by a loop that does the same steps"
TIMM = "timm's train.py at the fastest of its flags, by a loop that does the same steps"
WARM_UP = 1
"""Batches of each of a peer's epochs but the last, which is timed."""
EPOCHS = {"timm": 3}
"""Of a peer, 2 if it is not named: where workers stay, the second still copies memory for those of validation."""
BARE = "a bare PyTorch loop"
TIMM_FLAGS = (("--channels-last",), ("--channels-last", "--bf16"))


@dataclass(frozen=True)
class Bout:
    """One network on one kind of images, and the ratios it should reach.

    Attributes:
        name: What its rows' names begin with.
        title: What its rows' titles begin with.
        model: The network.
        size: Side of a crop in pixels.
        resize: Short side before an evaluation's crop in pixels.
        batch_size: Of training and evaluation.
        counts: Training and validation images of a sample: whole batches, so that all train on equally many.
        targets: By peer.
    """

    name: str
    title: str
    model: str
    size: int
    resize: int
    batch_size: int
    counts: tuple[int, int]
    targets: dict[str, float]


BOUTS = (
    Bout("mobilenet32", "MobileNetV2, 32 px, Fashion-MNIST", "mobilenet_v2", 32, 32, 128, (3840, 640),
         {"torchvision": 3.0, "timm": 1.1, "bare": 0.97}),
    Bout("mobilenet224", "MobileNetV2, 224 px, JPEG folder", "mobilenet_v2", 224, 256, 16, (96, 16),
         {"torchvision": 1.5, "timm": 0.98}),
    Bout("resnet224", "ResNet50, 224 px, JPEG folder", "resnet50", 224, 256, 16, (48, 16),
         {"torchvision": 2.3, "timm": 0.98}),
)  # fmt: skip


def names() -> list[str]:
    """The rows."""
    rows = [f"{bout.name}-{peer}" for peer in ("torchvision", "timm") for bout in BOUTS]
    return [*rows, "mobilenet32-bare"]


def measure(wanted: Collection[str], settings: Settings) -> Iterator[Row]:
    """Measure the rows that are wanted, network by network."""
    for bout in BOUTS:
        peers = [name.partition("-")[2] for name in names() if name in wanted and name.startswith(f"{bout.name}-")]
        if peers:
            yield from _bout(bout, peers, settings)


def _bout(bout: Bout, peers: list[str], settings: Settings) -> Iterator[Row]:
    contest = Contest(bout, settings)
    flags: dict[str, tuple[str, ...]] = {}
    samples: dict[str, list[float]] = {name: [] for name in ("datavol", *peers)}
    for _ in range(settings.repeats):
        samples["datavol"].append(contest.datavol())
        for peer in peers:
            if peer == "timm" and peer not in flags:
                rate, flags[peer] = contest.fastest_timm()
            else:
                rate = contest.peer(peer, *flags.get(peer, ()))
            samples[peer].append(rate)
        settings.say(f"{bout.name}: " + ", ".join(f"{name} {values[-1]:.1f}" for name, values in samples.items()))
    for peer in peers:
        yield _row(bout, peer, samples["datavol"], samples[peer], contest, flags)


def _row(
    bout: Bout, peer: str, ours: list[float], theirs: list[float], contest: Contest, flags: dict[str, tuple[str, ...]]
) -> Row:
    name, target = f"{bout.name}-{peer}", bout.targets.get(peer)
    train, val = contest.counts
    chosen = "precision {} and {}".format(*contest.chosen)
    note = f"{train} training and {val} validation images, batch {bout.batch_size}; datavol chose {chosen}"
    if peer == "torchvision":
        return ratio_row(name, bout.title, contest.torchvision_title, target, ours, theirs, note=note)
    if peer == "timm":
        note += f"; timm is fastest with {' '.join(flags['timm']).replace('--bf16', '--amp --amp-dtype bfloat16')} here"
        return ratio_row(name, bout.title, contest.timm_title, target, ours, theirs, note=note)
    note += "; what is missing to 1: Lightning, metrics, callbacks, logging and checkpoints"
    title = f"{BARE} with the same settings, crop and flip; data in memory"
    return ratio_row(name, f"{bout.title}, whole run", title, target, ours, theirs, note=note)


class Contest:
    """The samples of one bout, on images made for it."""

    def __init__(self, bout: Bout, settings: Settings) -> None:
        self.bout, self.settings = bout, settings
        self.counts = (2 * bout.batch_size, 16) if settings.smoke else bout.counts
        self.scratch = settings.scratch
        self.data = self._images(settings.scratch / bout.name)
        self.started = 0
        self.chosen: tuple[str, str] = ("", "")
        of_files = bout.size == 224
        self.torchvision_checkout = settings.torchvision_checkout if of_files else None
        self.timm_checkout = settings.timm_checkout if of_files else None
        self.torchvision_title = "torchvision's reference train.py" if self.torchvision_checkout else TORCHVISION
        self.timm_title = "timm's train.py at the fastest of its flags" if self.timm_checkout else TIMM

    def _images(self, folder: Path) -> Path:
        train, val = self.counts
        if self.bout.size == 32:
            return write_share(self.settings.fashion_mnist, folder, train, val)
        return write_photographs(folder, {"train": train, "val": val})

    def datavol(self) -> float:
        """Images per second of datavol's own defaults, by the plain recipe: crop and flip."""
        data = "fashion_mnist" if self.bout.size == 32 else "image_folder"
        command = datavol_command(
            f"data={data}",
            f"data.root={self.data}",
            f"model={self.bout.model}",
            "recipe=plain",
            f"recipe.batch_size={self.bout.batch_size}",
            "epochs=2",
            f"init_seed={self.started}",
        )
        place = self.scratch / f"{self.bout.name}-datavol"
        rate = self._run(command, DATAVOL_EPOCH, place)
        record = runs_in(place)[0].record
        self.chosen = (str(record["precision"]), str(record["memory_format"]))
        return rate

    def peer(self, peer: str, *flags: str) -> float:
        """Images per second of a peer."""
        bout = self.bout
        told = (self.data, bout.model, bout.batch_size)
        if peer == "torchvision" and self.torchvision_checkout:
            return self._run(*torchvision_command(self.torchvision_checkout, *told))
        if peer == "timm" and self.timm_checkout:
            return self._run(*timm_command(self.timm_checkout, *told, flags))
        if peer == "bare":
            flags = self._chosen_flags()
        sizes = [f"--size={bout.size}", f"--resize={bout.resize}", f"--batch-size={bout.batch_size}"]
        what = [f"--data={self.data}", f"--model={bout.model}", *sizes, f"--warm-up={WARM_UP}"]
        what.append(f"--epochs={EPOCHS.get(peer, 2)}")
        command = peer_command(peer, *what, *flags)
        return self._run(command, PEER_EPOCH)

    def fastest_timm(self) -> tuple[float, tuple[str, ...]]:
        """The fastest of a sample with each of timm's flags, and those flags."""
        return max((self.peer("timm", *flags), flags) for flags in TIMM_FLAGS)

    def _chosen_flags(self) -> tuple[str, ...]:
        precision, memory_format = self.chosen
        if precision not in ("32", "bf16-mixed"):
            raise RuntimeError(f"the bare loop knows the precisions 32 and bf16-mixed, but datavol chose {precision}")
        flags = {"--bf16": precision == "bf16-mixed", "--channels-last": memory_format == "channels_last"}
        return tuple(flag for flag, set_ in flags.items() if set_)

    def _run(self, command: list[str], pattern: str, place: Path | None = None) -> float:
        """A sample, by default in a folder of its own."""
        self.started += 1
        place = place or self.scratch / f"{self.bout.name}-{self.started:03d}"
        seconds = run_timed(command, pattern, place, self.scratch)
        if not seconds:
            raise RuntimeError(f"{' '.join(command)} did not say when its budget epochs ended")
        return self.counts[0] / seconds[-1]
