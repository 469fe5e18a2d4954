"""Counts the parameters of networks, and the bytes of their checkpoints."""

from __future__ import annotations

from datavol.config import Config, ModelConfig

PARAMETERS = {"mobilenet_v2": (2_223_872, 1281), "resnet50": (23_508_032, 2049)}
"""Parameters of the networks of torchvision: without a last layer, and of it per class."""


def known_parameters(model: ModelConfig, classes: int) -> int | None:
    """Look up the parameters of a network of torchvision; None for any other, which must be built to be counted."""
    if model.name not in PARAMETERS:
        return None
    body, per_class = PARAMETERS[model.name]
    return body + per_class * classes


def count_parameters(model: ModelConfig, classes: int) -> int:
    """Count the parameters of any network, building it where its size is not known."""
    known = known_parameters(model, classes)
    if known is not None:
        return known
    import torch  # late: a network of timm must be built to be counted

    from datavol.training.networks import build_network

    with torch.device("meta"):
        network = build_network(model.model_copy(update={"weights": None}), classes, None, 0)
    return sum(parameter.numel() for parameter in network.parameters())


def checkpoint_bytes(config: Config, classes: int) -> int | None:
    """Estimate the bytes of all kept checkpoints: weights and the optimiser's moments, in single precision."""
    weights = known_parameters(config.model, classes)
    if weights is None:
        return None
    moments = {"sgd": 1 if config.recipe.optimiser.momentum else 0, "adamw": 2}[config.recipe.optimiser.name]
    kept = 2 + (config.epochs if config.checkpoint.keep == "all" else 0)
    return weights * 4 * (1 + moments) * kept
