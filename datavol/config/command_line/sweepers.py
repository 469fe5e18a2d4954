"""Knows Hydra's sweepers: which list their jobs, and which make them up."""

from hydra.core.override_parser.types import IntervalSweep, Override, Transformer
from omegaconf import DictConfig

from datavol.errors import ConfigError

HIGHER = {"top1": "maximize", "top5": "maximize", "loss": "minimize", "calibration_error": "minimize"}
"""Directions in which metrics are better."""


def splits_as_hydra(config: DictConfig) -> bool:
    """Return whether the sweeper takes all combinations, as Hydra's own does."""
    target = str(config.hydra.sweeper.get("_target_"))
    return target.endswith((".DatavolSweeper", ".BasicSweeper"))


def one_of(override: Override) -> str:
    """Write an override with one of the values that it sweeps over.

    >>> from hydra.core.override_parser.overrides_parser import OverridesParser
    >>> [one_of(OverridesParser.create().parse_override(text)) for text in ("a=interval(0.1,1)", "b=x,y", "c=1")]
    ['a=0.1', 'b=x', 'c=1']
    """
    if not override.is_sweep_override():
        return str(override.input_line)
    value = override.value()
    first = value.start if isinstance(value, IntervalSweep) else next(override.sweep_iterator(Transformer.encode))
    return f"{override.get_key_element()}={first}"


def check_sweeper(config: DictConfig) -> None:
    """Raise a ConfigError if a sweeper lacks an objective or minimises accuracy."""
    launcher = str(config.hydra.launcher.get("_target_"))
    if not splits_as_hydra(config) and not launcher.startswith("hydra_plugins.datavol_launcher."):
        raise ConfigError(
            "hydra/launcher must be datavol or one of SLURM's beside a sweeper that makes its jobs up, got "
            f"{launcher}; leave hydra/launcher out"
        )
    direction = config.hydra.sweeper.get("direction")  # Optuna's, which is an enumeration, or text
    asked, objective = getattr(direction, "name", direction), str(config.get("objective"))
    better = HIGHER.get(objective.rpartition("/")[2])
    if isinstance(asked, str) and better is not None and asked != better:
        raise ConfigError(
            f"hydra.sweeper.direction must be {better} for objective={objective}, got {asked}; "
            f"try hydra.sweeper.direction={better}"
        )
