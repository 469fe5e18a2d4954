"""Counts the parameters of networks, and the bytes of their checkpoints."""

from datavol.config.model import AnyModel, OwnModelConfig
from datavol.config.run import Config

# of torchvision's networks: parameters without the last layer, and those of the last layer per class
PARAMETERS = {"mobilenet_v2": (2_223_872, 1281), "resnet50": (23_508_032, 2049)}


def known_parameters(model: AnyModel, classes: int) -> int | None:
    """Look up the parameters of torchvision's networks; None for any other."""
    if isinstance(model, OwnModelConfig) or model.name not in PARAMETERS:
        return None
    body, per_class = PARAMETERS[model.name]
    return body + per_class * classes


def count_parameters(model: AnyModel, classes: int) -> int:
    """Count a network's parameters, building it where its size is unknown."""
    known = known_parameters(model, classes)
    if known is not None:
        return known
    from datavol.training.networks.build import meta_network  # late: torch takes seconds, and most plans do without

    return sum(parameter.numel() for parameter in meta_network(model, classes).parameters())


def checkpoint_bytes(config: Config, classes: int) -> int | None:
    """Estimate the bytes of all checkpoints of a run; None if unknown."""
    weights = known_parameters(config.model, classes)
    if weights is None:
        return None
    optimiser = config.recipe.optimiser
    moments = {"sgd": 1 if optimiser.momentum else 0, "adamw": 2}.get(optimiser.name)
    if moments is None:  # of any other, how much it keeps is not known
        return None
    moments += config.recipe.ema.decay is not None
    kept = 2 + (config.epochs if config.checkpoint.keep == "all" else 0)  # last, best, and one per budget epoch
    return weights * 4 * (1 + moments) * kept  # 4 bytes each: single precision, whatever the step computes in
