"""A subset's index list as text: `python -m datavol.subset fraction=0.1 data=imagenet data.root=... > list.txt`."""

from __future__ import annotations

import sys

from datavol.command import Parser, one_line
from datavol.composition import compose


@one_line
def main() -> None:
    """Print one relative path (files) or index (arrays) per line; `subset_file=...` reads such a list."""
    parser = Parser(prog="python -m datavol.subset", description=__doc__)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="as for python -m datavol.run")
    parser.add_argument("--indices", action="store_true", help="print indices for files as well")
    arguments = parser.parse_args()
    run = compose(arguments.overrides)[0]
    from datavol.data.preparation import prepare  # after the configuration: it opens the data

    prepared = prepare(run.config)
    train = prepared.source.train
    lines = map(str if arguments.indices else train.key, prepared.subset.indices.tolist())
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
