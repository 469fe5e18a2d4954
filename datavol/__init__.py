"""Measures how much training data is enough, and what more would buy.

    import datavol

    study = datavol.sweep(model=["resnet50", "mobilenet_v2"], fraction=[0.05, 0.125, 0.25])
    print(study.verdict())

Names are imported when they are first used: `import datavol` itself takes milliseconds, and reading and answering never
import torch. Accuracies and fractions are shares of 1 everywhere.
"""

import os
import signal
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from datavol.api import Study as Study
    from datavol.api import Verdicts as Verdicts
    from datavol.api import ask as ask
    from datavol.api import draw_subset as draw_subset
    from datavol.api import load_points as load_points
    from datavol.api import load_study as load_study
    from datavol.api import run as run
    from datavol.api import sweep as sweep
    from datavol.data.subsets import Subset as Subset
    from datavol.errors import ConfigError as ConfigError
    from datavol.errors import InsufficientData as InsufficientData
    from datavol.errors import RunError as RunError
    from datavol.runs.folder import RunFolder as RunFolder
    from datavol.study.curves.learning_curve import LearningCurve as LearningCurve
    from datavol.study.curves.learning_curve import fit_learning_curve as fit_learning_curve
    from datavol.study.questions.answers import Answer as Answer
    from datavol.study.questions.answers import answers as answers
    from datavol.study.questions.verdict import Verdict as Verdict

__version__ = "0.1.0"

_PLACES = {
    **dict.fromkeys(("Study", "Verdicts", "draw_subset", "load_points", "load_study"), "api"),
    **dict.fromkeys(("ConfigError", "InsufficientData", "RunError"), "errors"),
    **dict.fromkeys(("LearningCurve", "fit_learning_curve"), "study.curves.learning_curve"),
    **dict.fromkeys(("Answer", "answers"), "study.questions.answers"),
    **{"Verdict": "study.questions.verdict", "RunFolder": "runs.folder", "Subset": "data.subsets"},
}
"""Module of each public name but `run`, `sweep` and `ask`, which are modules that can be called."""

__all__ = [  # noqa: RUF022 (in the order of use)
    "run", "sweep", "ask", "load_study", "load_points", "Study", "answers", "Answer", "Verdict", "Verdicts",
    "fit_learning_curve", "LearningCurve", "draw_subset", "Subset", "RunFolder",
    "ConfigError", "RunError", "InsufficientData",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name in ("run", "sweep", "ask"):
        return import_module(f"datavol.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'datavol' has no attribute '{name}'")
    return getattr(import_module(f"datavol.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class CallableModule(ModuleType):
    """Lets a module be called: as `datavol.run(...)`, beside `python -m datavol.run`."""

    @property
    def __wrapped__(self) -> Any:
        """Return the function of the module's name, whose signature `help` shows."""
        return getattr(import_module("datavol.api"), self.__name__.rpartition(".")[2])

    def __call__(self, *overrides: str, **keys: Any) -> Any:
        """Call the function of the module's name."""
        return self.__wrapped__(*overrides, **keys)


def interrupted(number: int, frame: object) -> NoReturn:
    """End a command that Ctrl-C stops while it imports, without a traceback."""
    os.write(2, b"datavol: interrupted\n")
    os._exit(130)  # nothing has been written yet


# `python -m datavol.run` imports this package first, and what takes a second after it; `cli.boundary` takes over then
_is_command = any(argument.startswith("datavol.") for argument in sys.orig_argv[1:4])
if _is_command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as behind a shell's &
    signal.signal(signal.SIGINT, interrupted)
