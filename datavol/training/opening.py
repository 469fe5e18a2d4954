"""Says before a training what was found: data, networks, recipes, precision."""

from collections.abc import Sequence

from datavol.config.model import OwnModelConfig
from datavol.config.run import Config, Run
from datavol.data.prepare import Prepared
from datavol.training.hardware.study_choices import AUTO, known_precision
from datavol.training.networks.pretrained import IMAGENET

LISTED = 3  # lines of what is trained; of further ones the number


def opening(runs: Sequence[Run], prepared: Sequence[Prepared]) -> list[str]:
    """Describe the data sets of runs, then what is trained on them.

    A sweep over fractions and seeds has the lines of one run, as each line comes once.

    Raises:
        ConfigError: If a study's file of choices is damaged.
    """
    data = list(dict.fromkeys(line for one in prepared for line in one.source.lines))
    trained = list(dict.fromkeys(_trained(run, one) for run, one in zip(runs, prepared, strict=True)))
    others = len(trained) - LISTED
    return data + trained[:LISTED] + ([f"and {others} more networks or recipes"] if others > 0 else [])


def _trained(run: Run, prepared: Prepared) -> str:
    """Describe network, first weights, recipe, budget and precision."""
    config, budget = run.config, prepared.budget
    length = f"{budget.iterations:,} iterations" if config.budget == "iterations" else f"{config.epochs} passes"
    precision = known_precision(run) or f"{AUTO}, which the first run settles"
    return (
        f"trains {config.model.name}{_weights(config)}, recipe {config.recipe.name}: {length} of "
        f"{config.recipe.batch_size} images, precision {precision}"
    )


def _weights(config: Config) -> str:
    """Say what training starts from; a user's network may know more of it."""
    if config.start_from is not None:
        return f" from {config.start_from}"
    weights = config.model.weights
    if weights is None:
        return "" if isinstance(config.model, OwnModelConfig) else " from scratch"
    return " from ImageNet weights" if weights == IMAGENET else f" from the weights {weights}"
