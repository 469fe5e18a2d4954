"""Records a result's provenance: versions, commit, machine."""

import os
import platform
import re
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datavol import __version__

PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "timm", "hydra-core", "numpy", "pillow", "simplejpeg")
CGROUP = Path("/sys/fs/cgroup")  # as a container sees its own


def versions() -> dict[str, str]:
    """List the versions of Python and packages that results may depend on."""
    return {"datavol": __version__, "python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def commit() -> dict[str, Any]:
    """Read datavol's git commit and whether files differ; outside a checkout, None."""
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return {"commit": _git("rev-parse", "HEAD"), "changed": None if changed is None else bool(changed)}


def machine() -> dict[str, Any]:
    """Describe the machine that trains the run."""
    return {"platform": platform.platform(), "processor": processor(), "cpus": cores()}


def processor() -> str:
    """Name the processor, with the instructions on which arithmetic depends."""
    try:
        said = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    name = re.search(r"^model name\s*:\s*(.+)$", said, re.MULTILINE)
    flags = sorted(set(re.findall(r"\b(avx2|avx512f|avx512_bf16|amx_bf16)\b", said)))
    return (name[1] if name else platform.machine()) + (f" ({', '.join(flags)})" if flags else "")


@cache
def cores() -> int:
    """Count the CPU cores that this process may use.

    Affinity, a container's quota and SLURM limit them.
    """
    from joblib import cpu_count  # late: it takes a moment

    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(int(cpu_count()), int(slurm)) if slurm.isdecimal() and slurm != "0" else int(cpu_count())


def memory_bytes() -> float:
    """Read how much memory this process may use."""
    limits = [float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # of a container, by version of cgroups
        file = CGROUP / name
        if file.exists() and (said := file.read_text().strip()) != "max":
            limits.append(float(said))
    return min(limits)


def _git(*arguments: str) -> str | None:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():  # installed as a wheel: another repository may lie around it
        return None
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None  # git is not installed, or the checkout is not readable: the record says null
