"""Makes one run of a sweep fail or linger; Python imports this file.

`DATAVOL_INJECT=<what>` has an effect only in the processes of the job whose seed is 1; `DATAVOL_INJECTED` is a file
that is written when it happens.
"""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

WHAT = os.environ.get("DATAVOL_INJECT", "")
RANK = int(os.environ.get("LOCAL_RANK", "0"))
STRUCK = {"rank 0": 0, "rank 1": 1, "killed": 0, "not a number": RANK}  # on which rank; the last on all
ITERATION = 20  # in the second budget epoch of 12


def happened() -> None:
    Path(os.environ["DATAVOL_INJECTED"]).touch()


def in_the_job() -> bool:
    in_a_job = "datavol.sweep.entry" in sys.orig_argv
    return in_a_job and json.loads(Path(sys.orig_argv[-1]).read_text())["values"]["seed"] == 1


def wrap(owner: Any, name: str, act: Callable[[Callable[[], Any], Any], Any]) -> None:
    """Replace a public function by `act(call, first argument)`."""
    real = getattr(owner, name)
    setattr(owner, name, lambda *given, **named: act(partial(real, *given, **named), given[0]))


def strike(step: Callable[[], Any], module: Any) -> Any:
    output = step()
    if module.iteration == ITERATION and STRUCK[WHAT] == RANK:
        happened()
        if WHAT == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if WHAT != "not a number":
            raise RuntimeError(f"injected on {WHAT}")
        output["loss"] = output["loss"] * float("nan")
    return output


def fail(*_: Any) -> None:
    happened()
    raise RuntimeError("injected before fit")


def save_without_room(save: Callable[[], Any], _: Any) -> None:
    """Limit files to 100 kB: records fit, checkpoints do not."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    happened()
    save()


def linger(resume: Callable[[], Any], _: Any) -> Any:
    """Tell that a phase is reached, and stay in it a second."""
    happened()
    time.sleep(1)
    return resume()


def linger_late(step: Callable[[], Any], module: Any) -> Any:
    return linger(step, module) if module.iteration == ITERATION else step()


CLASSIFIER, TRAINER = "datavol.training.module:Classifier", "lightning:Trainer"
PATCHES: dict[str, tuple[str, str, Callable[..., Any]]] = {
    **dict.fromkeys(STRUCK, (CLASSIFIER, "training_step", strike)),
    "before fit": ("datavol.training.trainer", "build_module", fail),
    "full disk": (TRAINER, "save_checkpoint", save_without_room),
    "start-up": ("datavol.data.prepare", "prepare_run", linger),
    "training": (CLASSIFIER, "training_step", linger_late),
    "evaluation": (CLASSIFIER, "validation_step", linger),
    "checkpoint": (TRAINER, "save_checkpoint", linger),
}

if WHAT in PATCHES and in_the_job():
    owner, name, act = PATCHES[WHAT]
    wrap(resolve_name(owner), name, act)
