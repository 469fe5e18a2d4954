"""Builds networks of torchvision, as in the thesis, and of timm."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from datavol.config.model import AnyModel, ModelConfig, OwnModelConfig
from datavol.config.objects import build_object
from datavol.config.run import Config
from datavol.errors import ConfigError, flat
from datavol.training.networks.pretrained import IMAGENET, fetch, weights_file
from datavol.training.networks.weights import Fitted, fit_weights


def check_network(config: Config) -> None:
    """Raise a ConfigError unless the network builds and takes the images.

    It must give one number per class for both of the recipe's image sizes.
    """
    sizes = {"augment": config.recipe.augment.crop_size, "evaluate": config.recipe.evaluate.crop_size}
    model, classes = config.model, 10
    with torch.device("meta"):
        network = meta_network(model, classes, config.recipe.dropout).eval()
        for name, size in sizes.items():
            try:
                output = network(torch.zeros(1, 3, size, size))
            except Exception as error:  # networks differ in what they raise
                first = flat(error)[:100]
                raise ConfigError(
                    f"recipe.{name}.crop_size must be a size that {model.name} takes, got {size} ({first}); "
                    f"try {_natural_size(network, size)}"
                ) from None
            shape = tuple(getattr(output, "shape", ()))
            if shape != (1, classes):
                got = f"an output of shape {shape}" if shape else f"a {type(output).__name__}"
                raise ConfigError(
                    f"model.name must be a network that gives one number per class, got {model.name} with {got} for "
                    f"{classes} classes; try model.name=densenet121"
                )


def check_own_network(config: Config, classes: int) -> None:
    """Raise a ConfigError unless the user's network gives one number per class.

    It is built once and sees two blank images of each size, as some networks cannot do without data.
    """
    model = config.model
    network = build_network(model, classes, config.recipe.dropout, config.init_seed).eval()
    if lazy := [key for key, one in network.named_parameters() if isinstance(one, UninitializedParameter)]:
        raise ConfigError(
            f"model._target_ must be a network whose layers have their sizes, got {model.name} with lazy {lazy[0]}; "
            "call it once in its constructor, on torch.zeros(2, 3, 64, 64)"
        )
    for size in dict.fromkeys((config.recipe.augment.crop_size, config.recipe.evaluate.crop_size)):
        images = f"images of shape (2, 3, {size}, {size})"
        try:
            with torch.no_grad():
                output = network(torch.zeros(2, 3, size, size))
        except (Exception, SystemExit) as error:  # networks differ in what they raise
            raise ConfigError(
                f"model._target_ must be a network that takes {images}, got {model.name} with {type(error).__name__}: "
                f"{flat(error)[:200]}; mend it, or try data.image_size=..."
            ) from error
        is_tensor = isinstance(output, torch.Tensor)
        if not is_tensor or output.shape != (2, classes) or not output.is_floating_point():
            got = f"shape {tuple(output.shape)}" if is_tensor else f"a {type(output).__name__}"
            got += f", {output.dtype}," if is_tensor and not output.is_floating_point() else ""
            raise ConfigError(
                f"model._target_ must be a network that gives logits of shape (2, {classes}) for {images}, got {got} "
                f"of {model.name}; its class takes the number of classes as num_classes"
            )
    if not any(one.requires_grad for one in network.parameters()):
        raise ConfigError(
            f"model._target_ must be a network with parameters to train, got {model.name} without; "
            "requires_grad=True trains one"
        )


def _natural_size(network: nn.Module, size: int) -> str:
    """Suggest the image size that timm built a network for.

    If the images have it already, twice that.
    """
    natural = getattr(network, "pretrained_cfg", {}).get("input_size", (3, 224, 224))[-1]
    return f"data.image_size={natural} data.resize={natural}" if natural != size else f"data.image_size={2 * size}"


def check_single_images(config: Config, parts: int) -> None:
    """Raise a ConfigError if the network cannot train on single images.

    `parts` are those of a batch: devices, times micro-batches.
    """
    size = config.recipe.augment.crop_size
    network = meta_network(config.model, 10, config.recipe.dropout).train()
    with torch.device("meta"):
        try:
            network(torch.zeros(1, 3, size, size))
        except ValueError:  # batch norm of one number per channel: its deviation is nought
            raise ConfigError(
                f"recipe.batch_size must give each device 2 images or more, over which {config.model.name} normalises, "
                f"got {config.recipe.batch_size} on {parts}; try recipe.batch_size={2 * parts}"
            ) from None


def build_network(model: AnyModel, classes: int, dropout: float | None, init_seed: int) -> nn.Module:
    """Build a network with random weights, or those of `model.weights`.

    A `small` stem keeps small images large: the first convolution has stride 1, and ResNet50's has 3 x 3 pixels and no
    pooling after it. `dropout` is the rate before the last layer; None keeps the network's own.
    """
    torch.manual_seed(init_seed)
    if isinstance(model, OwnModelConfig):
        network = _own_network(model, classes, dropout)
    elif model.library == "timm":
        network = _timm_network(model, classes, dropout)
    else:
        build = _resnet50 if model.name == "resnet50" else _mobilenet_v2
        network = build(classes, dropout, model.stem == "small")
    if model.weights is not None and not _is_tag(model):
        network.load_state_dict(fit_weights(network, _file(model))[1])
    if dropout and isinstance(model, ModelConfig) and (model.library, model.name) == ("torchvision", "resnet50"):
        # whose own has none; last, so that weights find `fc`
        network.fc = nn.Sequential(nn.Dropout(dropout), network.get_submodule("fc"))
    return network


def meta_network(model: AnyModel, classes: int, dropout: float | None = None) -> nn.Module:
    """Build a network whose tensors have shapes and no data."""
    # a user's network may compute with data while it is built
    with torch.device("cpu" if isinstance(model, OwnModelConfig) else "meta"):
        return build_network(model.model_copy(update={"weights": None}), classes, dropout, 0).to("meta")


def taken_weights(config: Config, classes: int) -> Fitted | None:
    """Fit a file of weights to the network; None without one.

    Raises:
        ConfigError: If `model.weights` is neither a file of the network's weights nor a tag of timm's.
    """
    model = config.model
    if model.weights is None:
        return None
    check_weights_exist(model)
    if _is_tag(model):
        return None
    return fit_weights(meta_network(model, classes), _file(model))[0]


def check_weights_exist(model: AnyModel) -> None:
    """Raise a ConfigError unless `model.weights` is a file or timm's tag."""
    if model.weights is None or _file(model).is_file():
        return
    if isinstance(model, ModelConfig) and model.weights == IMAGENET:
        fetch(model)
        return
    if isinstance(model, OwnModelConfig) or model.library != "timm" or _file(model).is_dir():
        kind = "the folder " if _file(model).is_dir() else ""
        raise ConfigError(
            f"model.weights must be a file, got {kind}{model.weights}; try model.weights=null{_offer(model)}"
        )
    import timm

    if not timm.is_model_pretrained(f"{model.name}.{model.weights}"):
        tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{model.name}.*")]
        raise ConfigError(
            f"model.weights must be a file or a tag that timm has for {model.name} ({', '.join(tags) or 'none'}), "
            f"got {model.weights}; try model.weights={tags[0] if tags else 'null'}"
        )


def _offer(model: AnyModel) -> str:
    """Offer ImageNet's weights where another word names them."""
    asked = str(model.weights).lower()
    by_word = asked in ("default", "pretrained", "true") or asked.startswith("imagenet")
    return f", or model.weights={IMAGENET}" if by_word and isinstance(model, ModelConfig) else ""


def _file(model: AnyModel) -> Path:
    known = weights_file(model) if isinstance(model, ModelConfig) else None
    return known or Path(str(model.weights)).expanduser()


def _is_tag(model: AnyModel) -> bool:
    by_file = _file(model).is_file() and model.weights != IMAGENET
    return isinstance(model, ModelConfig) and model.library == "timm" and not by_file


def _own_network(model: OwnModelConfig, classes: int, dropout: float | None) -> nn.Module:
    """Build a user's network with `num_classes` and `dropout` where taken."""
    offered: dict[str, Any] = {"num_classes": classes} | ({} if dropout is None else {"dropout": dropout})
    network = build_object("model", model.target, model.options, **offered)
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"model._target_ must give a torch.nn.Module, got a {type(network).__name__} of {model.target}; "
            "name a network's class"
        )
    _check_dropout(network, str(model.name), dropout)
    return network


def _timm_network(model: ModelConfig, classes: int, dropout: float | None) -> nn.Module:
    import timm

    tagged = model.weights is not None and _is_tag(model)  # then timm downloads them, and replaces the last layer
    name = f"{model.name}.{model.weights}" if tagged and model.weights != IMAGENET else str(model.name)
    options: dict[str, Any] = {} if dropout is None else {"drop_rate": dropout}
    if model.weights == IMAGENET and (file := weights_file(model)):  # the cached file, so that no network is asked
        options["pretrained_cfg_overlay"] = {"file": str(file)}
    try:
        try:
            network: nn.Module = timm.create_model(name, pretrained=tagged, num_classes=classes, **options)
        except TypeError as error:  # not every network has a rate to set
            if "drop_rate" not in str(error):
                raise
            options.pop("drop_rate")
            network = timm.create_model(name, pretrained=tagged, num_classes=classes, **options)
    except Exception as error:  # a constructor or a download may raise anything
        raise ConfigError(
            f"model.name must be a network that timm can build, got {name} ({type(error).__name__}: "
            f"{flat(error)[:100]}); try {'model.weights=null' if tagged else 'model.name=densenet121'}"
        ) from None
    _check_dropout(network, name, dropout)
    return network


def _check_dropout(network: nn.Module, name: str, dropout: float | None) -> None:
    """Raise a ConfigError unless a network has the recipe's dropout."""
    rates = _dropout_rates(network)
    if dropout is not None and dropout not in rates and (dropout or any(rates)):
        raise ConfigError(
            f"recipe.dropout must be null with {name}, which has no such rate to set, got {dropout:g}; "
            "try recipe.dropout=null"
        )


def _dropout_rates(network: nn.Module) -> set[float]:
    """Collect a network's rates of dropout, from layers and from numbers."""
    found = [getattr(module, "drop_rate", None) for module in network.modules()]
    found += [module.p for module in network.modules() if isinstance(module, nn.Dropout)]
    return {rate for rate in found if isinstance(rate, float)}


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
    return network
