"""Finds images that the data hold more than once: `python -m datavol.audit data=image_folder data.root=...`.

Train and val are looked through for the same files, the same pixels, and pictures that are alike: saved anew, resized,
brightened, cropped by a little, mirrored or upside down. What was found goes to audits/<data>: pairs (duplicates.csv),
pictures (duplicates.html), numbers (audit.json), and a list for data.exclude (leave_out.txt).
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from datavol.cli.boundary import cli_errors, path_of
from datavol.cli.console import announce
from datavol.cli.text import per_cent, typed
from datavol.config.command_line.arguments import KeyParser
from datavol.config.compose import compose

if TYPE_CHECKING:
    from datavol.config.run import Run
    from datavol.data.duplicates.audited import Audited
    from datavol.data.subsets import Subset


@cli_errors
def main() -> None:
    """Print the findings; write pairs, pictures and the images to leave out."""
    parser = KeyParser(("", "data"), prog="python -m datavol.audit", description=__doc__)
    parser.add_argument("-m", "--multirun", action="store_true", help="tell of several subsets what is new in each")
    parser.add_argument("--out", type=path_of, help="the folder to write into; by default audits/<data.name>")
    arguments = parser.parse()
    compose(arguments.overrides, multirun=arguments.multirun)  # a mistake is told before the slow imports
    from datavol.training.own_images import compose_own, overrides_in

    runs, chosen = compose_own(arguments.overrides, multirun=arguments.multirun, data_alone=True)
    announce(map(str, chosen))
    sys.argv += overrides_in(chosen)  # which the audit's page tells
    from datavol.data.duplicates.findings import findings
    from datavol.data.duplicates.pages import write_audit
    from datavol.data.sources.exclude import nothing_left
    from datavol.data.sources.files.found import plural
    from datavol.runs.files import check_writable

    named = arguments.out or Path("audits", runs[0].config.data.name)
    check_writable(named)
    start = monotonic()
    found, subsets = audit_runs(runs)
    folder = arguments.out or own_folder(named, found.source.fingerprint)
    for said in findings(found):
        print(said)
    images = len(found.labels) - int(found.excluded.sum())
    pairs = len(found.pairs.table)
    print(f"{plural(pairs, 'pair')} of copies among {images:,} images, found in {monotonic() - start:.0f} s")
    for line in _news(found, subsets):
        print(line)
    write_audit(found, folder, " ".join(["python -m datavol.audit", *map(shlex.quote, sys.argv[1:])]))
    if pairs:
        print(f"pictures: {folder / 'duplicates.html'}")
    kept = ~found.to_leave_out
    if what := nothing_left(found.source.classes, found.labels[kept & ~found.in_val], int(kept[found.in_val].sum())):
        print(f"{folder / 'leave_out.txt'} leaves {what}; look at the pictures, and take lines out before you use it")
    elif (leave := int((found.to_leave_out & ~found.excluded).sum())) > 0:
        typed_list = typed("data.exclude", str(folder / "leave_out.txt"))
        others = [text for text in arguments.overrides if not text.startswith("data.exclude=")]
        line = " ".join(["python -m datavol.run", *["-m"] * arguments.multirun, *map(shlex.quote, others), typed_list])
        which = "no two are copies and none is damaged" if found.damaged.any() else "no two are copies"
        print(f"without {leave:,} of them {which}; look at the pictures, then type: {line}")


def own_folder(named: Path, fingerprint: str) -> Path:
    """Choose a folder that holds no audit of other data."""
    from datavol.runs.files import read_json

    before = named / "audit.json"
    same = not before.exists() or read_json(before).get("fingerprint") == fingerprint
    return named if same else named.with_name(f"{named.name}-{fingerprint[:8]}")


def audit_runs(runs: list[Run]) -> tuple[Audited, list[Subset]]:
    """Audit the data of runs, and draw their subsets from the same.

    Raises:
        ConfigError: If the runs are of several data sets, or their data do not allow what is asked for.
        RunError: If the disk does not give a file.
    """
    from datavol.data.duplicates.audited import audit_source
    from datavol.data.prepare import subset_of
    from datavol.data.sources.exclude import excluded_positions
    from datavol.data.sources.open import open_source
    from datavol.errors import ConfigError
    from datavol.runs.provenance import cores

    data = runs[0].config.data
    if any(run.config.data != data for run in runs):
        raise ConfigError("-m must be given subsets of one data set, got several; audit one at a time")
    # With what is excluded already, so that images keep their names and a new list holds the old one
    source = open_source(data.model_copy(update={"exclude": None}))
    excluded = None if data.exclude is None else excluded_positions(data.exclude, source.train, source.val)  # type: ignore[type-var]
    whole = source if excluded is None else open_source(data)
    announce(whole.lines)
    subsets = [subset_of(run.config, whole) for run in runs]
    return audit_source(source, data, cores(), excluded), subsets


def _news(found: Audited, subsets: list[Subset]) -> Iterator[str]:
    """Say for each smaller subset how many of its images are new.

    The line also counts the validation images that are in the subset. The full set gets none.
    """
    import numpy as np

    there = np.flatnonzero(~found.in_val & ~found.excluded)  # the training images that subsets are drawn from
    for subset in subsets:
        images, positions = len(subset), there[subset.indices]
        if images == len(there):
            continue
        new, leaked = images - found.repeated(subset=positions), int(found.leaked(positions).sum())
        name = f"fraction {subset.fraction:g}, draw_seed {subset.draw_seed}"
        yield f"{name}: {new:,} of {images:,} images ({per_cent(new / images)}) are new, {leaked:,} of val are in it"


if __name__ == "__main__":
    main()
