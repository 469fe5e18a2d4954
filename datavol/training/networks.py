"""Builds networks of torchvision, as in the thesis, and of timm."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from datavol.config.model import ModelConfig
from datavol.config.run import Config
from datavol.errors import ConfigError, flat
from datavol.training.resume import read_checkpoint


def check_image_size(config: Config) -> None:
    """Raise a ConfigError unless the network takes the recipe's image sizes."""
    sizes = {"augment": config.recipe.augment.crop_size, "evaluate": config.recipe.evaluate.crop_size}
    with torch.device("meta"):  # tensors have shapes and no data, so nothing is computed
        network = build_network(config.model, 10, config.recipe.dropout, 0).eval()
        for name, size in sizes.items():
            try:
                network(torch.zeros(1, 3, size, size))
            except (AssertionError, RuntimeError, ValueError) as error:  # networks differ in what they raise
                first = flat(error)[:100]
                raise ConfigError(
                    f"recipe.{name}.crop_size must be a size that {config.model.name} takes, got {size} ({first}); "
                    "try data.image_size=224"
                ) from None


def check_single_images(config: Config, devices: int) -> None:
    """Raise a ConfigError if the network cannot be trained on one image at a time."""
    size = config.recipe.augment.crop_size
    untrained = config.model.model_copy(update={"weights": None})
    with torch.device("meta"):
        network = build_network(untrained, 10, config.recipe.dropout, 0).train()
        try:
            network(torch.zeros(1, 3, size, size))
        except ValueError:  # batch norm of one number per channel: its deviation is nought
            raise ConfigError(
                f"recipe.batch_size must give each device 2 images or more, over which {config.model.name} normalises, "
                f"got {config.recipe.batch_size} on {devices}; try recipe.batch_size={2 * devices}"
            ) from None


def build_network(model: ModelConfig, classes: int, dropout: float | None, init_seed: int) -> nn.Module:
    """Build a network with random weights, or those of `model.weights`.

    A `small` stem keeps small images large: the first convolution has stride 1, and ResNet50's has 3 x 3 pixels and no
    pooling after it. `dropout` is the rate before the last layer; None keeps the network's own.
    """
    torch.manual_seed(init_seed)
    if model.library == "timm":
        network = _timm_network(model, classes, dropout)
    else:
        build = _resnet50 if model.name == "resnet50" else _mobilenet_v2
        network = build(classes, dropout, model.stem == "small")
    if model.weights is not None and not _is_tag(model):
        _load(network, Path(model.weights))
    return network


def check_weights(model: ModelConfig) -> None:
    """Raise a ConfigError unless `model.weights` is a file or timm's tag."""
    if model.weights is None or Path(model.weights).is_file():
        return
    if model.library != "timm":
        raise ConfigError(f"model.weights must be a file, got {model.weights}; check the path")
    import timm

    if not timm.is_model_pretrained(f"{model.name}.{model.weights}"):
        tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{model.name}.*")]
        raise ConfigError(
            f"model.weights must be a file or a tag that timm has for {model.name} ({', '.join(tags) or 'none'}), "
            f"got {model.weights}; check the path"
        )


def _is_tag(model: ModelConfig) -> bool:
    return model.library == "timm" and not Path(str(model.weights)).is_file()


def _load(network: nn.Module, path: Path) -> None:
    """Load weights, except into a last layer with other classes."""
    content = read_checkpoint(path)
    # a Lightning checkpoint keeps them under `state_dict`, named by the module's attribute; torchvision's files do not
    theirs = {name.removeprefix("network."): value for name, value in content.get("state_dict", content).items()}
    ours = network.state_dict()
    other = [name for name in ours if name in theirs and theirs[name].shape != ours[name].shape]
    last = list(ours)[-2:]  # weight and bias of the classifier: the only layer that fine-tuning may replace
    unmatched = sorted(set(ours) ^ set(theirs))
    if unmatched or not set(other) <= set(last):
        raise ConfigError(
            f"model.weights must be of the configured network, got {path}, which differs in {(unmatched or other)[0]}; "
            "choose its model=..."
        )
    network.load_state_dict({**theirs, **{name: ours[name] for name in other}})


def _timm_network(model: ModelConfig, classes: int, dropout: float | None) -> nn.Module:
    import timm

    options: dict[str, Any] = {} if dropout is None else {"drop_rate": dropout}
    tagged = model.weights is not None and _is_tag(model)  # then timm downloads them, and replaces the last layer
    name = f"{model.name}.{model.weights}" if tagged else str(model.name)
    return timm.create_model(name, pretrained=tagged, num_classes=classes, **options)


def _mobilenet_v2(classes: int, dropout: float | None, small_stem: bool) -> nn.Module:
    from torchvision.models import mobilenet_v2

    network = mobilenet_v2(num_classes=classes, dropout=0.2 if dropout is None else dropout)
    if small_stem:
        network.features[0][0].stride = (1, 1)  # instead of (2, 2)
    return network


def _resnet50(classes: int, dropout: float | None, small_stem: bool) -> nn.Module:
    from torchvision.models import resnet50

    network = resnet50(num_classes=classes)
    if small_stem:  # instead of 7 x 7 with stride 2 and a pooling of stride 2; initialised as torchvision does
        network.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        network.maxpool = nn.Identity()
    if dropout:
        network.fc = nn.Sequential(nn.Dropout(dropout), network.fc)
    return network
