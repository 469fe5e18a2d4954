"""Prints a subset's index list: `python -m datavol.subset fraction=0.1 data=imagenet data.root=... > list.txt`.

With -m and several subsets (`-m draw_seed=0,1,2`): what every two of them share, overall and in the class that shares
the most. `plan.images=1281167` draws from a training set that is not here, shaped like ImageNet-1K. With --look: what
was found in the data, and nothing else.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from datavol.cli.boundary import cli_errors
from datavol.cli.console import announce, console
from datavol.cli.text import shown
from datavol.config.command_line.arguments import KeyParser
from datavol.config.compose import compose
from datavol.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from datavol.config.run import Run
    from datavol.data.prepare import Prepared


@cli_errors
def main() -> None:
    """Print a head, then a relative path or index per line."""
    parser = KeyParser(("", "data", "imbalance", "plan"), prog="python -m datavol.subset", description=__doc__)
    parser.add_argument("--indices", action="store_true", help="print indices for files as well")
    parser.add_argument("--look", action="store_true", help="print what was found in the data, and draw nothing")
    parser.add_argument("-m", "--multirun", action="store_true", help="print what several subsets share instead")
    arguments = parser.parse()
    compose(arguments.overrides, multirun=arguments.multirun)  # a mistake is told before the slow imports
    from datavol.training.own_images import compose_own

    runs, chosen = compose_own(arguments.overrides, multirun=arguments.multirun, data_alone=True)
    announce(map(str, chosen))
    if arguments.look:
        _print_found(runs)
        return
    from datavol.data.sources.files.file_table import FileSplit  # after the configuration, as all of data
    from datavol.data.subset_lists import list_line, list_text

    prepared = prepare_subsets(runs)
    source = prepared[0].source
    announce(source.lines)
    if arguments.multirun:
        _print_shared(shared(prepared), source.classes)
        return
    positions = prepared[0].subset.indices.tolist()
    # Indices are their own keys in arrays; a file may be named by digits alone, which `list_line` tells from an index
    by_name = isinstance(source.train, FileSplit) and not arguments.indices
    lines = [list_line(source.train.key(position)) if by_name else str(position) for position in positions]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # whatever the terminal's is: `subset_file` is read so
    sys.stdout.write(list_text(runs[0].config.data.name, source.fingerprint, lines))


def _print_found(runs: list[Run]) -> None:
    from datavol.planning.plan import planned_source  # after the configuration: it opens the data

    for lines in dict.fromkeys(tuple(planned_source(run.config).lines) for run in runs):  # of each data set
        print(*lines, sep="\n")


def shared(prepared: list[Prepared]) -> pd.DataFrame:
    """Compute the images that every two subsets share.

    Raises:
        ConfigError: If there are not two different ones.
    """
    import numpy as np
    import pandas as pd

    from datavol.study.tables.overlap import shared_in_all, shared_per_class, subsets_of

    manifests = pd.DataFrame([one.manifest for one in prepared]).rename(columns={"sha256": "subset_sha256"})
    units = [one.subset.draw_by for one in prepared]
    subsets = subsets_of(manifests.assign(indices=[one.subset.indices for one in prepared], draw_by=units))
    if len(subsets) < 2:
        raise ConfigError(f"-m must be given two subsets or more, got {len(subsets)}; try -m draw_seed=0,1,2")
    lists = dict(zip(subsets["subset"], subsets["indices"], strict=True))
    train = prepared[0].source.train
    pairs = shared_in_all(shared_per_class(lists, train.labels))
    if train.groups is None:
        return pairs
    held = {name: np.unique(train.groups[indices]) for name, indices in lists.items()}
    both = zip(pairs["first"], pairs["second"], strict=True)
    return pairs.assign(common_groups=[len(np.intersect1d(held[first], held[second])) for first, second in both])


def prepare_subsets(runs: list[Run]) -> list[Prepared]:
    """Draw the runs' subsets of one data set, opened once.

    Raises:
        ConfigError: If the runs are of several data sets, or their data do not allow what is asked for.
    """
    from datavol.data.prepare import prepare  # after the configuration: it opens the data
    from datavol.planning.plan import planned_source

    first = runs[0].config
    if any((run.config.data, run.config.plan) != (first.data, first.plan) for run in runs):
        raise ConfigError("-m must be given subsets of one data set, got several; ask for one at a time")
    source = planned_source(first)
    return [prepare(run.config, source) for run in runs]


def _print_shared(pairs: pd.DataFrame, classes: Sequence[str]) -> None:
    from rich.table import Table

    table = Table(title="what the subsets share")
    groups = ("groups shared",) if "common_groups" in pairs else ()
    for name in ("subset", "and", "images", "shared", "%", "% by chance", "most in a class, %", "class", *groups):
        table.add_column(name, justify="left" if name in ("subset", "and") else "right")
    for pair in pairs.to_dict("records"):
        counts = [f"{pair[name]:,}" for name in ("images", "common")]
        shares = [f"{100 * pair[name]:.2f}" for name in ("share", "expected_share", "largest_share")]
        own = [f"{pair['common_groups']:,}"] if groups else []
        table.add_row(pair["first"], pair["second"], *counts, *shares, shown(classes[pair["class"]]), *own)
    terminal = console()
    terminal.print(table)
    terminal.print("of the smaller subset's images (of the class); by chance: two independent draws", soft_wrap=True)


if __name__ == "__main__":
    main()
