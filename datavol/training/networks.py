"""Networks by name: torchvision's MobileNetV2 and ResNet50 as in the thesis, and anything that timm has."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from datavol.config import Config, ModelConfig
from datavol.errors import ConfigError


def check_image_size(config: Config) -> None:
    """Raise a ConfigError unless the network takes images of the recipe's sizes; nothing is computed."""
    sizes = {"augment": config.recipe.augment.crop_size, "evaluate": config.recipe.evaluate.crop_size}
    with torch.device("meta"):
        network = build_network(config.model, 10, config.recipe.dropout, 0).eval()
        for name, size in sizes.items():
            try:  # networks raise any of these for a size that they do not take
                network(torch.zeros(1, 3, size, size))
            except (
                AssertionError,
                RuntimeError,
                ValueError,
            ) as error:
                first = " ".join(str(error).split())[:100]
                raise ConfigError(
                    f"recipe.{name}.crop_size must be a size that {config.model.name} takes, got {size} ({first}); "
                    "try data.image_size=224"
                ) from None


def build_network(model: ModelConfig, classes: int, dropout: float | None, init_seed: int) -> nn.Module:
    """A network with fresh weights drawn from `init_seed`.

    Args:
        model: Library, name and stem. `small` lets little images through at full size: a first convolution of stride 1,
            and for ResNet50 of 3 x 3 pixels without pooling after it.
        classes: Outputs.
        dropout: Rate before the last layer; None keeps the network's own.
        init_seed: Seeds torch's generators.
    """
    torch.manual_seed(init_seed)
    if model.library == "timm":
        return _timm_network(str(model.name), classes, dropout)
    if model.name == "resnet50":
        return _resnet50(classes, dropout, model.stem == "small")
    return _mobilenet_v2(classes, dropout, model.stem == "small")


def _timm_network(name: str, classes: int, dropout: float | None) -> nn.Module:
    import timm

    options: dict[str, Any] = {} if dropout is None else {"drop_rate": dropout}
    return timm.create_model(name, pretrained=False, num_classes=classes, **options)


def _mobilenet_v2(classes: int, dropout: float | None, small_stem: bool) -> nn.Module:
    from torchvision.models import mobilenet_v2

    network = mobilenet_v2(num_classes=classes, dropout=0.2 if dropout is None else dropout)
    if small_stem:
        network.features[0][0].stride = (1, 1)
    return network


def _resnet50(classes: int, dropout: float | None, small_stem: bool) -> nn.Module:
    from torchvision.models import resnet50

    network = resnet50(num_classes=classes)
    if small_stem:
        network.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        network.maxpool = nn.Identity()
    if dropout:
        network.fc = nn.Sequential(nn.Dropout(dropout), network.fc)
    return network
