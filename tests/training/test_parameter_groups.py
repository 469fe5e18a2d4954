"""Groups of parameters against timm's and torchvision's own."""

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn
from torchvision.models import mobilenet_v2, resnet50, vit_b_16

from datavol.config.compose import compose
from datavol.errors import ConfigError
from datavol.training.optimisation.parameter_groups import freeze, frozen_norms, parameter_groups

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def recipe_of(*overrides: str):
    return compose(["recipe=plain", "recipe.optimiser.weight_decay=0.05", *overrides])[0].config.recipe


def on_meta(build, *arguments) -> nn.Module:
    with torch.device("meta"):
        return build(*arguments)


def described(network: nn.Module, groups) -> dict[str, tuple]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {
        names[id(one)]: (pytest.approx(group.get("lr_scale", 1)), group.get("weight_decay", 0.05))
        for group in groups
        for one in group["params"]
    }


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "test_efficientnet"])
def test_layer_decay_is_timm_s(name):
    network = on_meta(timm.create_model, name)
    ours = parameter_groups(network, recipe_of("recipe.layer_decay=0.7"))
    theirs = param_groups_layer_decay(network, 0.05, layer_decay=0.7, weight_decay_exclude_1d=False)
    assert described(network, ours) == described(network, theirs)


def test_torchvision_s_resnet_has_the_layers_of_timm_s():
    ours, theirs = on_meta(resnet50), on_meta(timm.create_model, "resnet50")
    groups = parameter_groups(ours, recipe_of("recipe.layer_decay=0.5"))
    expected = param_groups_layer_decay(theirs, 0.05, layer_decay=0.5, weight_decay_exclude_1d=False)
    assert described(ours, groups) == described(theirs, expected)


@pytest.mark.parametrize("build", [mobilenet_v2, resnet50, vit_b_16])
def test_norms_and_biases_are_those_of_torchvision_s_reference(build):
    """Its `set_weight_decay` with norm_weight_decay=0 and custom keys for biases, by hand."""
    network = on_meta(build)
    spared = {
        f"{path}.{name}".lstrip(".")
        for path, module in network.named_modules()
        for name, _ in module.named_parameters(recurse=False)
        if isinstance(module, NORMS) or name in ("bias", "in_proj_bias")
    }
    found = described(network, parameter_groups(network, recipe_of("recipe.optimiser.decay=weights")))
    assert {name for name, (_, decay) in found.items() if decay == 0} == spared
    assert set(found) == {name for name, _ in network.named_parameters()}


def test_timm_s_own_norms_are_no_exception():
    network = nn.Sequential(nn.Linear(3, 3), timm.layers.RmsNorm(3), timm.layers.LayerNorm2d(3))
    found = described(network, parameter_groups(network, recipe_of("recipe.optimiser.decay=weights")))
    assert [name for name, (_, decay) in found.items() if decay] == ["0.weight"]


def test_freezing_is_timm_s_and_keeps_the_statistics():
    torch.manual_seed(0)
    ours, theirs = (timm.create_model("test_efficientnet", num_classes=4) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    stages = [name for name, _ in ours.named_children() if name in ("conv_stem", "bn1")]
    freeze(ours, 1)
    timm.utils.freeze(theirs, stages)  # which replaces batch norms by frozen ones
    kept = {name for name, one in ours.named_parameters() if not one.requires_grad}
    assert kept == {name for name, _ in ours.named_parameters() if name.startswith(("conv_stem", "bn1"))}
    for norm in frozen_norms(ours):
        norm.eval()
    images = torch.randn(8, 3, 32, 32)
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)
    changed = {name for name, value in ours.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert not [name for name in changed if name.startswith("bn1")]


@pytest.mark.parametrize(("build", "head"), [(resnet50, "fc."), (mobilenet_v2, "classifier.")])
def test_a_frozen_body_leaves_the_last_layer(build, head):
    network = on_meta(build)
    freeze(network, "body")
    assert all(one.requires_grad == name.startswith(head) for name, one in network.named_parameters())
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert frozen_norms(network) == norms


def test_what_cannot_be_grouped_or_frozen_is_one_line():
    with pytest.raises(
        ConfigError, match=r"^recipe\.layer_decay must be null with Vis[^\n]*try recipe\.layer_decay=null$"
    ):
        parameter_groups(on_meta(vit_b_16), recipe_of("recipe.layer_decay=0.7"))
    with pytest.raises(ConfigError, match=r"^recipe\.freeze must be null with Vis[^\n]*try recipe\.freeze=body$"):
        freeze(on_meta(vit_b_16), 2)
    with pytest.raises(ConfigError, match=r"^recipe\.freeze must be body or at most 5, the stages before the last"):
        freeze(on_meta(resnet50), 6)
