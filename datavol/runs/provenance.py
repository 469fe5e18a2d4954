"""What a result needs beside it: versions, commit, machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datavol import __version__

PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "timm", "hydra-core", "numpy", "pillow")


def versions() -> dict[str, str]:
    """Python's version and those of the packages that a number may depend on."""
    return {"datavol": __version__, "python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def commit() -> dict[str, Any]:
    """The git commit of datavol itself and whether its files differ from it; nulls where it is no git checkout."""
    head = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return {"commit": head, "changed": None if changed is None else bool(changed)}


def machine() -> dict[str, Any]:
    """Where the run is trained."""
    return {"platform": platform.platform(), "processor": platform.machine(), "cpus": cores()}


def cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _git(*arguments: str) -> str | None:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None  # git is not installed, or the checkout is not readable: the record says null
    return answer.stdout.strip()
