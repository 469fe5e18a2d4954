"""The words of Hydra and OmegaConf that `config.command_line.messages` reads are those of the installed versions."""

import re
import shlex
from os.path import expanduser

import pytest

from datavol.cli.text import typed
from datavol.config.command_line.keys import all_keys, remedy, takes
from datavol.config.compose import compose
from datavol.errors import ConfigError

WORDED = {
    "fraction=0.1,0.2": "fraction must be one value without -m, got fraction=0.1,0.2; try -m fraction=0.1,0.2",
    "fraction=[": "an override must be written name=value, got 'fraction=['",
    "fraction=${nope}": "fraction must refer to a key or variable that exists, got: Interpolation key 'nope'",
    "seed=range(3)": "seed must be one value without -m, got seed=range(3); try -m 'seed=range(3)'",
    "+fraction=0.2": "fraction must be written without +, as conf/ has it, got +fraction=0.2; try fraction=0.2",
    "model=resnet51": "model must be one of mobilenet_v2, own, resnet50, timm, got 'resnet51'; try model=resnet50",
    "experiment=thesis/nope": "experiment must be one of ",
    "hydra/sweeper=mine": "hydra/sweeper must be one that is installed, got 'mine'; leave hydra/sweeper out",
    "fractoin=0.5": "fractoin must be a key of conf/, got an unknown one; try fraction=0.5",
    "trainer.devces=2": "trainer.devces must be a key of conf/, got an unknown one; try trainer.devices=2",
    "+colour=red": "colour must be a key of conf/, got an unknown one; --help lists the keys",
    "~colour": "colour must be a key of conf/, got an unknown one; --help lists the keys",
    "model=null": "model must be one of mobilenet_v2, own, resnet50, timm, got 'null'; try model=mobilenet_v2",
    "logger=false": "logger must be one of csv, own, wandb, got 'false'; try logger=csv",
    "trainer=2": "trainer must be one of auto, cpu, ddp, gpu, got '2'; try trainer.devices=2",
    "=3": "an override must be written name=value, got '=3'",
}


@pytest.mark.parametrize("override", WORDED)
def test_a_mistake_that_hydra_finds_is_worded_by_name_rule_value_remedy(override):
    with pytest.raises(ConfigError, match=f"^{re.escape(WORDED[override])}") as raised:
        compose([override])
    assert "\n" not in str(raised.value)


NEAR = {
    ("fraction", "25pct"): "fraction=0.25",
    ("fraction", "5"): "fraction=0.05",
    ("fraction", "0,5"): "fraction=0.5",
    ("fraction", "nan"): "fraction=0.25",
    ("fraction", "[0.5,0.5]"): "fraction=0.5",
    ("epochs", "1e3"): "epochs=90",
    ("trainer.precision", "16"): "trainer.precision=16-mixed",
    ("trainer.precision", "bf16"): "trainer.precision=bf16-mixed",
    ("logger.mode", "off"): "logger.mode=offline",
    ("imbalance", "long_tail"): "imbalance.profile=long_tail",
    ("recipe.optimiser", None): "recipe.optimiser.name=sgd",
    ("data.root", "/a (1)/ü"): "'data.root=\"/a (1)/ü\"'",
    ("data.root", 'say "a"'): '\'data.root="say \\"a\\""\'',
    ("data", "./photos"): "data=image_folder data.root=./photos",
    ("study", "null"): "study=my_study",
}


@pytest.mark.parametrize(("key", "got"), NEAR)
def test_a_remedy_is_near_to_what_was_given_and_fits(key, got):
    assert remedy(key, got) == NEAR[key, got]


def test_every_key_has_a_remedy_that_it_takes():
    for key in dict.fromkeys(all_keys()):
        name, _, value = shlex.split(remedy(key))[0].partition("=")
        assert "." not in key or takes(name, value), key


PATHS = ["~/x", "/x/ü", "/archive (1)", "/x/a=b", "a,b", "/x y", "/$x", "/it's", '/a"b', "/a#b", "/a[1]", "/a&b",
         "C:\\x", "/x/${y}", "/a\\", "/a\\'b", "/猫/{1}", "12", "true", "null", "-x", "/a;b!`c`"]  # fmt: skip


UNQUOTED = ["/x y", "/$x", "C:\\x", "/a\\", "null", "-x"]  # which Hydra takes as they are


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_answered_with_the_form_to_type_which_works(path):
    """The shell takes the outer quotes off, Hydra the inner ones."""
    override = typed("data.root", path)
    assert compose(["data=image_folder", *shlex.split(override)])[0].config.data.root == expanduser(path)
    if path in UNQUOTED:
        assert compose(["data=image_folder", f"data.root={path}"])[0].config.data.root == (
            None if path == "null" else path
        )
    else:
        with pytest.raises(ConfigError, match="must refer" if path == "/x/${y}" else re.escape(override)):
            compose(["data=image_folder", f"data.root={path}"])


@pytest.mark.parametrize(
    ("value", "name"), [("true", "true"), ("null", "null"), ("01", "01"), ("1.0", "1.0"), ('"No"', "No")]
)
def test_classes_are_names_whatever_hydra_reads(value, name):
    assert compose([f"data.classes=[x,{value}]"])[0].config.data.classes == ["x", name]
