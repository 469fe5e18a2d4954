"""Runs a command: `datavol run ...` is `python -m datavol.run ...`."""

from __future__ import annotations

import runpy
import sys

from datavol.cli.boundary import cli_errors
from datavol.errors import ConfigError

COMMANDS = {
    "run": "train one run, or with -m a sweep",
    "ask": "answer a question with as few runs as it takes",
    "plan": "say what a sweep would do and take, before it trains",
    "report": "write what a study found as a page, tables and figures",
    "evaluate": "measure kept checkpoints",
    "audit": "find images that the data hold more than once",
    "subset": "print a subset's index list",
    "dashboard": "make a W&B workspace of a study",
}


@cli_errors
def main() -> None:
    """Run the command that the first argument names; without one, list them."""
    command = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if command in ("-h", "--help"):
        print("usage: datavol <command> [arguments]    (the same as python -m datavol.<command>)\n")
        print("\n".join(f"  {name:<10} {what}" for name, what in COMMANDS.items()))
        print("\nof every command: --help, --version, --debug (the traceback of an error)")
        print("in Python: import datavol; datavol.sweep(fraction=[0.05, 0.25]).verdict()")
        return
    if command not in COMMANDS:
        rest = " ".join(["", *sys.argv[1:]]) if "=" in command else ""  # what `datavol` alone took once
        raise ConfigError(f"the command must be one of {', '.join(COMMANDS)}, got '{command}'; try datavol run{rest}")
    del sys.argv[1]
    runpy.run_module(f"datavol.{command}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
