"""Measure datavol against its peers and write `RESULTS.md`: `python -m benchmarks.bench [--study] [--only ROW ...]`.

Without `--study` throughput and input pipeline (`make bench`), with it sweeps and accuracies (`make bench-study`).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import accuracy_cost, fashion_mnist, pipeline, results, study_time, throughput
from benchmarks.settings import Settings

QUICK = (pipeline, throughput)
STUDY = (study_time, accuracy_cost)
ROWS = [*throughput.names(), *pipeline.names(), *study_time.names(), *accuracy_cost.names()]


def main(arguments: list[str] | None = None) -> None:
    """Measure what is asked for, keeping each row as soon as it is there, and print the table."""
    told = parse(arguments)
    modules = (*QUICK, *STUDY) if told.only else STUDY if told.study else QUICK
    wanted = told.only or [name for module in modules for name in module.names()]
    with tempfile.TemporaryDirectory(prefix="datavol-bench-") as scratch:
        settings = Settings(
            scratch=Path(scratch),
            repeats=1 if told.smoke else told.repeats,
            seeds=2 if told.smoke else told.seeds,
            smoke=told.smoke,
            fashion_mnist=told.fashion_mnist,
            torchvision_checkout=told.torchvision_checkout,
            timm_checkout=told.timm_checkout,
        )
        for module in modules:
            for row in module.measure(wanted, settings):
                results.record(row, ROWS, told.out)
                settings.say(f"{row.name}: {row.measured} (target {row.target or 'none'})")
    print((told.out / "RESULTS.md").read_text())


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", action="store_true", help="sweeps and accuracies instead of throughput and pipeline")
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="ROW", help=f"some rows: {', '.join(ROWS)}")
    parser.add_argument("--repeats", type=int, default=5, help="samples per side of a throughput")
    parser.add_argument("--seeds", type=int, default=3, help="runs per side of an accuracy")
    parser.add_argument("--smoke", action="store_true", help="as little as goes through; give --out as well")
    parser.add_argument("--fashion-mnist", type=Path, default=fashion_mnist.SOURCE, help="folder of the four idx files")
    parser.add_argument("--torchvision-checkout", type=Path, help="drive its train.py on the JPEG folders")
    parser.add_argument("--timm-checkout", type=Path, help="drive its train.py on the JPEG folders")
    parser.add_argument("--out", type=Path, default=results.FOLDER, help="where results.json and RESULTS.md lie")
    told = parser.parse_args(arguments)
    if told.smoke and told.out.resolve() == results.FOLDER.resolve():
        parser.error("--smoke measures nothing worth keeping: give it another --out")
    return told


if __name__ == "__main__":
    main()
