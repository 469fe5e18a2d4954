"""What defaults that change arithmetic or pixels cost in accuracy: the same seeds with them and without.

bfloat16 on a share of Fashion-MNIST; the packed cache, whose images have been resized once, on made-up photographs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from benchmarks.photographs import write_photographs
from benchmarks.processes import DATAVOL_EPOCH, datavol_command, run_timed, runs_in
from benchmarks.results import Row, accuracy_row
from benchmarks.settings import Settings
from benchmarks.study_time import PACKED

IMAGES, EPOCHS = 12000, 3
PHOTOGRAPHS, PHOTOGRAPH_EPOCHS = {"train": 1000, "val": 1000}, 14
ROUGHNESS = (1.15, 1.7)
"""Further apart than the default, which a run of this budget may not learn: its seeds then differ by points."""


def names() -> list[str]:
    """The rows."""
    return ["bf16-accuracy", "cache-accuracy"]


def measure(wanted: Collection[str], settings: Settings) -> Iterator[Row]:
    """Measure the rows that are wanted."""
    if "bf16-accuracy" in wanted:
        yield _bf16(settings)
    if "cache-accuracy" in wanted:
        yield _cache(settings)


def _bf16(settings: Settings) -> Row:
    images, epochs = (256, 1) if settings.smoke else (IMAGES, EPOCHS)
    shared = (
        "data=fashion_mnist",
        f"data.root={settings.fashion_mnist}",
        f"data.images={images}",
        "model=mobilenet_v2",
        "recipe.batch_size=128",
        f"epochs={epochs}",
    )
    ours = top1("bf16", (*shared, "trainer.precision=bf16-mixed"), settings)
    theirs = top1("fp32", (*shared, "trainer.precision=32"), settings)
    note = f"MobileNetV2, {images:,} training images, {epochs} budget epochs, seeds {_seeds(settings)}"
    title = "top-1 on Fashion-MNIST, trainer.precision=bf16-mixed"
    return accuracy_row("bf16-accuracy", title, "trainer.precision=32", ours, theirs, note)


def _cache(settings: Settings) -> Row:
    counts, epochs = ({"train": 40, "val": 20}, 1) if settings.smoke else (PHOTOGRAPHS, PHOTOGRAPH_EPOCHS)
    root = write_photographs(settings.scratch / "textures", counts, roughness=ROUGHNESS)
    shared = (
        "data=image_folder",
        f"data.root={root}",
        "data.image_size=64",
        "data.resize=72",
        "model=mobilenet_v2",
        "recipe=small",
        "trainer.precision=32",  # or each side might choose its own
        "trainer.memory_format=channels_last",
        f"epochs={epochs}",
    )
    ours = top1("cached", (*shared, "data.cache=disk"), settings)
    theirs = top1("uncached", (*shared, "data.cache=off"), settings)
    note = (
        f"MobileNetV2 at 64 px, {counts['train']} training and {counts['val']} validation images of ten classes "
        f"(amplitudes of 1 / frequency^{ROUGHNESS[0]} and ^{ROUGHNESS[1]}, five tints), {epochs} budget epochs, "
        f"seeds {_seeds(settings)}"
    )
    return accuracy_row(
        "cache-accuracy", "top-1 on made-up photographs, data.cache=disk", "data.cache=off", ours, theirs, note
    )


def top1(name: str, overrides: tuple[str, ...], settings: Settings) -> list[float]:
    """The last top-1 of each seed in per cent, by a sweep over seeds."""
    place = settings.scratch / name
    command = datavol_command(*overrides, f"seed={_seeds(settings)}", PACKED, sweep=True)
    run_timed(command, DATAVOL_EPOCH, place, settings.scratch)
    runs = sorted((run.record for run in runs_in(place)), key=lambda record: record["config"]["seed"])
    values = [100 * record["last"]["val/top1"] for record in runs]
    settings.say(f"{name}: " + ", ".join(f"{value:.2f}" for value in values))
    return values


def _seeds(settings: Settings) -> str:
    return ",".join(map(str, range(settings.seeds)))
