"""Play adaptive studies in worlds of measured curves, and write what they took and how often they were wrong.

python -m benchmarks.asking                # into benchmarks/ASKING.md; five minutes of one core
python -m benchmarks.asking --thresholds   # the table that datavol/study/looks/thresholds.py reads; a minute
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.asking_measures import at_the_boundary, doublings, shares, targets
from benchmarks.asking_page import HEAD, boundary_section, cost_section, curves_section, growth_section
from benchmarks.asking_thresholds import write as write_thresholds
from benchmarks.asking_worlds import World, every_world

PAGE = Path(__file__).parent / "ASKING.md"


def measure(worlds: list[World], plays: int, slow: int, repeats: int, curves: int) -> str:
    """Play everything; a section of the page is printed as soon as it is known.

    Args:
        worlds: The worlds.
        plays: Studies at the boundary, of each design and noise.
        slow: Studies of a slow design.
        repeats: Studies of every case as it is.
        curves: Studies of doubling, and of a target.
    """
    began, sections = time.process_time(), [HEAD]

    def add(section: str) -> None:
        print(section, flush=True)
        sections.append(section)

    add(boundary_section(at_the_boundary(worlds, plays, slow)))
    add(cost_section(shares(worlds, repeats, slow)))
    add(curves_section(doublings(worlds, curves), targets(worlds, curves)))
    add(growth_section())
    add(f"{len(worlds)} worlds; {(time.process_time() - began) / 60:.1f} minutes of one core.\n")
    return "\n".join(sections)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, play, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thresholds", action="store_true", help="simulate the table of thresholds instead")
    parser.add_argument("--quick", action="store_true", help="few studies in few worlds, which tell nothing")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page")
    options = parser.parse_args(arguments)
    if options.thresholds:
        write_thresholds()
        return
    if options.quick and options.out == PAGE:
        parser.error("--quick must not write over the results; name another file, --out FILE")
    worlds = every_world()
    if options.quick:  # the first world that is left has short runs
        page = measure(worlds[2::12], plays=4, slow=1, repeats=1, curves=2)
    else:
        page = measure(worlds, plays=400, slow=40, repeats=1, curves=40)
    options.out.write_text(page)


if __name__ == "__main__":
    main()
