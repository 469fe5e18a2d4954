import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2, resnet50

from datavol.config.model import ModelConfig
from datavol.errors import ConfigError
from datavol.training.networks.build import build_network, check_network, check_weights_exist


def model(name: str, library: str = "torchvision", stem: str = "standard", weights: str | None = None) -> ModelConfig:
    return ModelConfig(library=library, name=name, stem=stem, weights=weights)


@pytest.mark.parametrize(("name", "theirs"), [("mobilenet_v2", mobilenet_v2), ("resnet50", resnet50)])
def test_the_thesis_s_networks_are_torchvision_s(name, theirs):
    ours = build_network(model(name), 10, None, 3)
    torch.manual_seed(3)
    reference = theirs(num_classes=10)
    assert list(ours.state_dict()) == list(reference.state_dict())
    torch.testing.assert_close(ours.state_dict(), reference.state_dict(), rtol=0, atol=0)


def test_the_initial_weights_depend_on_init_seed_alone():
    def weights(init_seed: int) -> torch.Tensor:
        return build_network(model("mobilenet_v2"), 10, None, init_seed).state_dict()["classifier.1.weight"]

    first = weights(0)
    torch.manual_seed(99)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet50"])
def test_a_small_stem_keeps_little_images_large(name):
    sizes = {}
    for stem in ("standard", "small"):
        network = build_network(model(name, stem=stem), 10, None, 0).eval()
        last = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)][-1]
        last.register_forward_hook(lambda _, __, output, stem=stem: sizes.update({stem: output.shape[-1]}))
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 10)
    assert sizes["small"] == sizes["standard"] * (2 if name == "mobilenet_v2" else 4)


def test_dropout_is_the_network_s_own_unless_given():
    def rates(network: nn.Module) -> list[float]:
        return [module.p for module in network.modules() if isinstance(module, nn.Dropout)]

    assert rates(build_network(model("mobilenet_v2"), 10, None, 0)) == [0.2]
    assert rates(build_network(model("mobilenet_v2"), 10, 0.0, 0)) == [0.0]
    assert rates(build_network(model("resnet50"), 10, None, 0)) == []
    assert rates(build_network(model("resnet50"), 10, 0.5, 0)) == [0.5]


def test_any_network_of_timm():
    network = build_network(model("convnext_atto", "timm"), 7, None, 0)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


def test_weights_are_taken_up_and_a_last_layer_of_other_classes_stays_fresh(tmp_path):
    theirs = build_network(model("mobilenet_v2"), 7, None, 1)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    loaded = model("mobilenet_v2", weights=str(tmp_path / "weights.pth"))
    ours, fresh = build_network(loaded, 10, None, 3), build_network(model("mobilenet_v2"), 10, None, 3)
    last = {name: value for name, value in fresh.state_dict().items() if name.startswith("classifier")}
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict() | last, rtol=0, atol=0)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(build_network(model("resnet50"), 10, None, 1).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match=r"model\.weights must be of the configured network"):
        build_network(model("mobilenet_v2", weights=str(tmp_path / "weights.pth")), 10, None, 3)


def test_weights_that_are_not_there_are_refused_before_anything_is_built():
    with pytest.raises(ConfigError, match=r"model\.weights must be a file, got nowhere"):
        check_weights_exist(model("resnet50", weights="nowhere"))
    with pytest.raises(ConfigError, match=r"a tag that timm has for convnext_atto \(.*d2_in1k"):
        check_weights_exist(model("convnext_atto", "timm", weights="nothing"))
    check_weights_exist(model("convnext_atto", "timm", weights="d2_in1k"))


class Odd(nn.Module):
    """A network of timm's registry with one oddity."""

    def __init__(self, num_classes: int = 10, output: str = "logits", drop_rate: float = 0.0) -> None:
        super().__init__()
        self.head, self.output, self.drop_rate = nn.Linear(3, num_classes), output, drop_rate

    def forward(self, images: torch.Tensor) -> object:
        logits = self.head(images.mean((2, 3)))
        return {"logits": logits, "features": images, "pair": (logits, logits)}[self.output]


def raising(**_: object) -> nn.Module:
    raise KeyError("depth\nmissing")


def without_rate(num_classes: int = 10) -> nn.Module:
    return Odd(num_classes)


ODD = {
    "features": (
        lambda **options: Odd(**options, output="features"),
        "must be a network that gives one number per class",
    ),
    "pair": (
        lambda **options: Odd(**options, output="pair"),
        "with a tuple for 10 classes; try model.name=densenet121",
    ),
    "raising": (
        raising,
        "must be a network that timm can build, got odd (KeyError: 'depth\\nmissing'); try model.name=",
    ),
    "deaf": (
        lambda drop_rate, **options: Odd(**options),
        "recipe.dropout must be null with odd, which has no such rate to set, got 0.3; try recipe.dropout=null",
    ),
    "no rate": (without_rate, "recipe.dropout must be null with odd, which has no such rate to set, got 0.3; try"),
}


@pytest.mark.parametrize(("build", "told"), ODD.values(), ids=ODD)
def test_a_network_that_does_not_do_is_one_line_with_its_name(build, told, tiny, monkeypatch):
    monkeypatch.setattr("timm.create_model", lambda name, pretrained, **options: build(**options))
    run = tiny("model=timm", "model.name=odd", "recipe.dropout=0.3")
    with pytest.raises(ConfigError) as refused:
        check_network(run.config)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_network_without_a_rate_goes_with_a_recipe_without_dropout(monkeypatch):
    monkeypatch.setattr("timm.create_model", lambda name, pretrained, **options: without_rate(**options))
    assert build_network(model("odd", "timm"), 10, 0.0, 0).head.out_features == 10
