"""Starts a sweep's job, tied to it: `python -m datavol.sweep.entry <file>`."""

from datavol.cli.lifeline import die_with_parent

if __name__ == "__main__":
    die_with_parent()  # before the imports, which take seconds, in which the sweep may be killed
    from datavol.sweep.job import main

    main()
