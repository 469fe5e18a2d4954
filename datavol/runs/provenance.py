"""Records a result's provenance: versions, commit, machine."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datavol import __version__

PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "timm", "hydra-core", "numpy", "pillow")


def versions() -> dict[str, str]:
    """List the versions of Python and packages that results may depend on."""
    return {"datavol": __version__, "python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def commit() -> dict[str, Any]:
    """Read datavol's git commit and whether files differ; outside a checkout, None."""
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return {"commit": _git("rev-parse", "HEAD"), "changed": None if changed is None else bool(changed)}


def machine() -> dict[str, Any]:
    """Describe the machine that trains the run."""
    return {"platform": platform.platform(), "processor": platform.machine(), "cpus": cores()}


def cores() -> int:
    """Count the CPU cores that this process may use."""
    # SLURM and containers restrict a process to some cores; only Linux tells which
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _git(*arguments: str) -> str | None:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():  # installed as a wheel: another repository may lie around it
        return None
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None  # git is not installed, or the checkout is not readable: the record says null
