"""Makes one run of a sweep fail, or tells when it is where a test wants it: Python imports this file at its start.

`DATAVOL_INJECT=<what>` has an effect only in the processes of the job whose seed is 1; `DATAVOL_INJECTED` is a file
that is written when it happens.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

WHAT = os.environ.get("DATAVOL_INJECT")
RANK = int(os.environ.get("LOCAL_RANK", "0"))
ITERATION = 20


def happened() -> None:
    Path(os.environ["DATAVOL_INJECTED"]).touch()


def in_the_job() -> bool:
    file = Path(sys.orig_argv[-1])
    return "datavol.sweep.job" in sys.orig_argv and json.loads(file.read_text())["values"]["seed"] == 1


def into_training(module: Any) -> None:
    step = module.Classifier.training_step

    def training_step(self: Any, batch: Any, batch_idx: int) -> Any:
        output = step(self, batch, batch_idx)
        if self.iteration == ITERATION:
            output = strike(output)
        return output

    module.Classifier.training_step = training_step


def strike(output: dict[str, Any]) -> dict[str, Any]:
    if (WHAT == "rank 0" and RANK == 0) or (WHAT == "rank 1" and RANK == 1):
        happened()
        raise RuntimeError(f"injected on {WHAT}")
    if WHAT == "killed" and RANK == 0:
        happened()
        os.kill(os.getpid(), signal.SIGKILL)
    if WHAT == "not a number":
        happened()
        output["loss"] = output["loss"] * float("nan")
    return output


def before_fit(module: Any) -> None:
    def build_module(*_: Any) -> None:
        happened()
        raise RuntimeError("injected before fit")

    module.build_module = build_module


def full_disk(module: Any) -> None:
    """Nothing larger than 100 kB can be written: records fit, checkpoints do not."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    save = module.RunWriter._save

    def _save(self: Any, trainer: Any, name: str) -> None:
        happened()
        save(self, trainer, name)

    module.RunWriter._save = _save


def linger(module: Any, name: str) -> None:
    """Say when a phase is reached, and stay in it for a second at a time, as a slow machine would."""
    target, _, method = name.partition(".")
    owner = getattr(module, target)
    real = getattr(owner, method)

    def slow(*arguments: Any, **named: Any) -> Any:
        happened()
        for _ in range(20):
            time.sleep(0.05)
        return real(*arguments, **named)

    setattr(owner, method, slow)


PATCHES = {
    "before fit": ("datavol.training.trainer", before_fit),
    "full disk": ("datavol.training.callbacks.checkpoints", full_disk),
    "start-up": ("datavol.training.resume", lambda module: (happened(), time.sleep(1))),
    "training": ("datavol.training.module", lambda module: linger(module, "Classifier.training_step")),
    "evaluation": ("datavol.training.module", lambda module: linger(module, "Classifier.validation_step")),
    "checkpoint": ("datavol.training.callbacks.checkpoints", lambda module: linger(module, "RunWriter._save")),
}


class Finder(importlib.abc.MetaPathFinder):
    """Patches one module as soon as it has been imported."""

    def __init__(self, name: str, patch: Any) -> None:
        self.name, self.patch = name, patch

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            run(module)
            self.patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if WHAT and in_the_job():
    sys.meta_path.insert(0, Finder(*PATCHES.get(WHAT, ("datavol.training.module", into_training))))
