"""Finds and fetches the ImageNet weights of torchvision's and timm's networks."""

import os
import shlex
import socket
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datavol.config.model import ModelConfig
from datavol.errors import ConfigError, flat

IMAGENET = "imagenet"
URLS = {  # those that torchvision calls DEFAULT
    "mobilenet_v2": "https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
}
HUB_FILES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Pretrained:
    """Describes where the ImageNet weights of a network are, or come from."""

    name: str  # of the weights, such as `mobilenetv2_100.ra_in1k`
    cache: Path  # the folder where the library keeps them
    file: Path | None  # None where they are not there yet
    host: str  # from which they come
    command: str  # downloads them


def at_hand(model: Any) -> Pretrained | None:
    """Find a network's cached ImageNet weights; None without any."""
    found = pretrained_of(model)
    return found if found is not None and found.file is not None else None


def pretrained_of(model: Any) -> Pretrained | None:
    """Look a network's ImageNet weights up; None for networks that have none."""
    if not isinstance(model, ModelConfig):
        return None
    return _of_torchvision(str(model.name)) if model.library == "torchvision" else _of_timm(str(model.name))


def weights_file(model: Any) -> Path | None:
    """Return the file that `model.weights` means; None if not here."""
    if model.weights is None:
        return None
    path = Path(str(model.weights)).expanduser()
    if path.is_file() or model.weights != IMAGENET:
        return path if path.is_file() else None
    found = pretrained_of(model)
    return found.file if found else None


def fetch(model: ModelConfig) -> None:
    """Download the ImageNet weights of a network, unless they are here.

    Raises:
        ConfigError: If there are none or the network does not give them, with a command that fetches them.
    """
    found = pretrained_of(model)
    if found is None:
        raise ConfigError(
            f"model.weights must be a file for {model.name}, of which no ImageNet weights are known, got {IMAGENET}; "
            "try model.weights=null recipe=small"
        )
    if found.file is not None:
        return
    try:
        if not urllib.request.getproxies():
            socket.create_connection((found.host, 443), timeout=5).close()  # a download alone may wait for minutes
        _download(model)
    except Exception as error:  # what networks and libraries raise
        raise ConfigError(
            f"model.weights must be weights that are here, got {IMAGENET}, and {found.name} is not in {found.cache} "
            f"and cannot be downloaded ({type(error).__name__}: {flat(error)[:80]}); with a network type: "
            f"{found.command}"
        ) from None


def _download(model: ModelConfig) -> None:
    if model.library == "timm":
        import timm

        timm.create_model(str(model.name), pretrained=True)
        return
    import torch

    url = URLS[str(model.name)]
    _torch_cache().mkdir(parents=True, exist_ok=True)
    torch.hub.download_url_to_file(url, str(_torch_cache() / url.rpartition("/")[2]), url[-12:-4])


def _torch_cache() -> Path:
    """Name the folder of torch.hub, without importing torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TORCH_HOME") or Path(cache) / "torch").expanduser() / "hub" / "checkpoints"


def _of_torchvision(name: str) -> Pretrained:
    return _at_url(f"{name} of torchvision", URLS[name])


def _at_url(name: str, url: str) -> Pretrained:
    file = _torch_cache() / url.rpartition("/")[2]
    command = f"curl -L --create-dirs -o {shlex.quote(str(file))} {url}"
    return Pretrained(name, file.parent, file if file.is_file() else None, url.split("/")[2], command)


def _of_timm(name: str) -> Pretrained | None:
    import timm

    if not timm.is_model(name):  # its own message comes later
        return None
    known = timm.get_pretrained_cfg(name)
    if known is None:
        return None
    full = f"{known.architecture or name}.{known.tag}" if known.tag else name
    if known.hf_hub_id:
        return _on_hub(full, known.hf_hub_id)
    return _at_url(full, known.url) if isinstance(known.url, str) and known.url else None


def _on_hub(name: str, repository: str) -> Pretrained:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.constants import HF_HUB_CACHE

    found = [try_to_load_from_cache(repository, file) for file in HUB_FILES]
    file = next((Path(path) for path in found if isinstance(path, str)), None)
    command = f"hf download {repository} {HUB_FILES[0]}"
    return Pretrained(name, Path(HF_HUB_CACHE), file, "huggingface.co", command)
