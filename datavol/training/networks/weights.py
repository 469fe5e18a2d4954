"""Fits files of weights to networks, whoever wrote them."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from datavol.errors import ConfigError, flat
from datavol.training.resume import read_checkpoint

WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "network", "net", "model_ema", "state_dict_ema")
"""Keys under which training libraries keep a network's weights, the likeliest first."""

KEY = "model.weights"
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Fitted:
    """Describes which weights of a file a network takes."""

    file: str
    under: str  # the key and the prefix that lead to the weights, such as `model` or `state_dict, module.`
    taken: int  # tensors
    left_out: int  # the file's tensors that the network has no use for
    fresh: tuple[str, ...]  # the network's tensors that the file does not give: of the last layer alone

    def __str__(self) -> str:
        text = f"model.weights: {self.taken} tensors of {self.file}"
        if self.under:
            text += f" (under {self.under})"
        if self.left_out:
            text += f"; {self.left_out} of the file left out"
        if self.fresh:
            text += f"; {', '.join(self.fresh)} start anew (the file has none for these classes)"
        return text

    @property
    def facts(self) -> dict[str, Any]:
        """Return what the record keeps."""
        return asdict(self) | {"fresh": list(self.fresh)}


def fit_weights(network: nn.Module, path: Path, name: str = KEY) -> tuple[Fitted, dict[str, Tensor]]:
    """Fit a file's weights to a network; its last layer may differ.

    A last layer of other classes is left out. `name` is what the messages call the file.

    Returns:
        What was found, and the weights by the network's names.

    Raises:
        ConfigError: If it holds no weights, or those of another network.
    """
    try:
        return _fit(network, path)
    except _Unfit as error:
        remedy = f"; try {KEY}=null, or {error.remedy}" if name == KEY else f"; {error.remedy}"
        raise ConfigError(f"{name} must {error.rule}, got {path}{error.found}{remedy}") from None


class _Unfit(Exception):
    """Reports why a file's weights do not fit; `fit_weights` words the line."""

    def __init__(self, rule: str, found: str, remedy: str) -> None:
        super().__init__(rule)
        self.rule, self.found, self.remedy = rule, found, remedy


def _fit(network: nn.Module, path: Path) -> tuple[Fitted, dict[str, Tensor]]:
    key, theirs = _unwrapped(_read(path))
    ours, head = network.state_dict(), _classifier(network)
    # datavol's ResNet50 with dropout has its last layer behind the dropout, as fc.1; torchvision's has it as fc
    theirs = {re.sub(r"(^|\.)fc\.1\.(weight|bias)$", r"\1fc.\2", name): value for name, value in theirs.items()}
    prefix = _prefix(theirs, ours)
    within = {name.removeprefix(prefix): value for name, value in theirs.items() if name.startswith(prefix)}
    fits = {name: within[name] for name in ours if name in within and within[name].shape == ours[name].shape}
    last = {name for name in ours if name.startswith(head)}
    if not last <= set(fits):  # weight and bias belong together
        fits = {name: value for name, value in fits.items() if name not in last}
    # Files older than this counter lack it; without momentum=None nothing reads it
    missing = [name for name in ours if name not in fits and name not in last and not name.endswith("batches_tracked")]
    unknown = [name for name in within if name not in ours and not name.startswith(head)]
    if missing or unknown:
        raise _of_another((missing or unknown)[0])
    under = ", ".join(part for part in (key, prefix) if part)
    fresh = tuple(name for name in ours if name in last and name not in fits)
    fitted = Fitted(str(path), under, len(fits), len(theirs) - len(fits), fresh)
    return fitted, {**ours, **fits}


def _read(path: Path) -> Mapping[str, Any]:
    """Read a file of weights as plain tensors, never as code."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return read_checkpoint(path)
    except Exception as error:  # whatever a damaged file makes its decoder raise
        reason = "more than weights, or damaged" if isinstance(error, ConfigError) else flat(error)[:100]
        raise _Unfit(
            "be a file of weights alone (.safetensors, or torch.save of a state_dict)",
            f" ({reason})",
            "save its network.state_dict()",
        ) from None


def _unwrapped(content: Mapping[str, Any]) -> tuple[str, dict[str, Tensor]]:
    """Find the weights in a checkpoint: the key, and what lies there."""
    keys = []
    while not any(isinstance(value, Tensor) for value in content.values()):
        key = next((name for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if key is None:
            found = ", ".join(map(str, content))[:100] or "nothing"
            raise _Unfit("hold weights by name", f" with {found}", "save its network.state_dict()")
        keys.append(key)
        content = content[key]
    return ", ".join(keys), {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _prefix(theirs: Tensors, ours: Tensors) -> str:
    """Find what a wrapper (DDP, torch.compile, Lightning) put before the names."""
    cuts = ((name[:at], name[at:]) for name in theirs for at in [0, *(dot.end() for dot in re.finditer(r"\.", name))])
    counts = Counter(prefix for prefix, rest in cuts if rest in ours).most_common(2)
    if not counts:
        raise _of_another(next(iter(ours)))
    if len(counts) == 2 and counts[0][1] == counts[1][1] > 1:
        found = f" with {counts[0][0]}* and {counts[1][0]}*"
        raise _Unfit("hold one network", found, "save the state_dict of one of them")
    return counts[0][0]


def last_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Find the last layer or, in some networks, both."""
    get = getattr(network, "get_classifier", None)  # timm's networks have it
    last = get() if get else [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    heads = last if isinstance(last, (tuple, list)) else (last,)
    return {name: module for name, module in network.named_modules() if any(module is head for head in heads)}


def _classifier(network: nn.Module) -> tuple[str, ...]:
    """List the prefixes of the last layer, which depends on the classes."""
    return tuple(f"{name}." for name in last_layers(network))


def _of_another(name: str) -> _Unfit:
    return _Unfit("be of the configured network", f", which differs in {name}", "choose its model=...")
