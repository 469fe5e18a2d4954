"""Weights are found in files of any common kind; what is not taken is told, and what is no weights is one line."""

import argparse
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet50

from datavol.config.model import ModelConfig
from datavol.errors import ConfigError
from datavol.training.networks.build import build_network
from datavol.training.networks.weights import fit_weights


def network(classes: int = 3, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    return nn.Sequential(
        OrderedDict(body=body, pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc=nn.Linear(4, classes))
    )


THEIRS = network(seed=1).state_dict()
BODY = {name: value for name, value in THEIRS.items() if name.startswith("body")}


def behind(prefix: str) -> dict:
    return {f"{prefix}{name}": value for name, value in THEIRS.items()}


FILES = {
    "bare": (THEIRS, "tensors of FILE"),
    "of DDP": (behind("module."), "(under module.)"),
    "compiled": (behind("_orig_mod."), "(under _orig_mod.)"),
    "both": (behind("module._orig_mod."), "(under module._orig_mod.)"),
    "in a checkpoint": ({"model": THEIRS, "epoch": 3, "optimizer": {}}, "(under model)"),
    "averaged": (
        {"model_ema": behind("module.") | {"n_averaged": torch.tensor(1)}},
        "module.); 1 of the file left out",
    ),
    "of Lightning": ({"state_dict": behind("net.") | {"loss.weight": torch.ones(2)}}, "(under state_dict, net.)"),
    "of datavol with dropout": (BODY | {"fc.1.weight": THEIRS["fc.weight"], "fc.1.bias": THEIRS["fc.bias"]}, "tensors"),
    "from before a counter": ({n: v for n, v in THEIRS.items() if "tracked" not in n}, "8 tensors"),
}


@pytest.mark.parametrize(("content", "told"), FILES.values(), ids=FILES)
def test_the_same_weights_are_found_under_any_common_wrapping(content, told, tmp_path):
    torch.save(content, tmp_path / "weights.pth")
    ours = network()
    fitted, weights = fit_weights(ours, tmp_path / "weights.pth")
    ours.load_state_dict(weights)
    torch.testing.assert_close(ours.state_dict(), THEIRS)
    assert told.replace("FILE", str(tmp_path / "weights.pth")) in str(fitted)
    assert fitted.fresh == ()


def test_safetensors_are_weights_as_well(tmp_path):
    save_file(THEIRS, tmp_path / "weights.safetensors")
    torch.testing.assert_close(fit_weights(network(), tmp_path / "weights.safetensors")[1], dict(THEIRS))


HEADS = {
    "of other classes": network(classes=7).state_dict(),
    "absent": BODY,
    "a projector": BODY | {"fc.0.weight": torch.ones(4, 4), "fc.2.weight": torch.ones(9, 4)},
}


@pytest.mark.parametrize("content", HEADS.values(), ids=HEADS)
def test_a_last_layer_that_does_not_fit_stays_fresh_which_is_told_and_recorded(content, tmp_path):
    torch.save(content, tmp_path / "weights.pth")
    ours = network(seed=5)
    fitted, weights = fit_weights(ours, tmp_path / "weights.pth")
    assert fitted.facts["fresh"] == ["fc.weight", "fc.bias"]
    assert "fc.weight, fc.bias start anew" in str(fitted)
    torch.testing.assert_close(weights["fc.weight"], ours.state_dict()["fc.weight"])
    torch.testing.assert_close(weights["body.0.weight"], content["body.0.weight"])


def test_torchvision_s_resnet50_is_fine_tuned_with_dropout(tmp_path):
    theirs = resnet50(num_classes=10)
    torch.save(theirs.state_dict(), tmp_path / "resnet50.pth")
    config = ModelConfig(
        library="torchvision", name="resnet50", stem="standard", weights=str(tmp_path / "resnet50.pth")
    )
    ours = build_network(config, 10, 0.2, 0)
    torch.testing.assert_close(ours.fc[1].weight, theirs.fc.weight)
    assert ours.fc[0].p == 0.2


def cut(file: Path) -> None:
    torch.save(THEIRS, file)
    file.write_bytes(file.read_bytes()[:900])


NO_WEIGHTS = {
    "a page": ("x.pth", lambda file: file.write_text("<!DOCTYPE html>"), "must be a file of weights alone"),
    "a page called safetensors": ("x.safetensors", lambda file: file.write_text("<!DOCTYPE html>"), "weights alone"),
    "nothing": ("x.pth", lambda file: file.write_bytes(b""), "must be a file of weights alone"),
    "cut": ("x.pth", cut, "must be a file of weights alone"),
    "objects": (
        "x.pth",
        lambda file: torch.save({"model": THEIRS, "args": argparse.Namespace()}, file),
        "weights alone",
    ),
    "a list": ("x.pth", lambda file: torch.save([1], file), "must be a file of weights alone"),
    "an optimiser": ("x.pth", lambda file: torch.save({"optimizer": {}, "epoch": 3}, file), "with optimizer, epoch"),
    "another network": (
        "x.pth",
        lambda file: torch.save({"conv.weight": torch.ones(1)}, file),
        "differs in body.0.weight",
    ),
    "a longer one": ("x.pth", lambda file: torch.save(THEIRS | {"more": torch.ones(1)}, file), "differs in more"),
    "a wider one": (
        "x.pth",
        lambda file: torch.save(THEIRS | {"body.0.weight": torch.ones(8, 3, 1, 1)}, file),
        "differs in body.0.weight",
    ),
    "two": (
        "x.pth",
        lambda file: torch.save(behind("student.") | behind("teacher."), file),
        "student.* and teacher.*",
    ),
}


@pytest.mark.parametrize(("name", "write", "told"), NO_WEIGHTS.values(), ids=NO_WEIGHTS)
def test_what_is_no_weights_of_the_network_is_one_line(name, write, told, tmp_path):
    write(tmp_path / name)
    with pytest.raises(ConfigError) as refused:
        fit_weights(network(), tmp_path / name)
    line = str(refused.value)
    assert line.startswith("model.weights must ")
    assert told in line
    assert "; try model.weights=null, or " in line
    assert "\n" not in line
