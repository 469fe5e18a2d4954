"""The words of Hydra and OmegaConf that `config.messages` reads are those of the installed versions."""

import re
import shlex

import pytest

from datavol.cli.text import typed
from datavol.config.compose import compose
from datavol.errors import ConfigError

WORDED = {
    "fraction=0.1,0.2": "fraction must be one value without -m, got fraction=0.1,0.2; try -m fraction=0.1,0.2",
    "fraction=[": "an override must be written name=value, got 'fraction=['",
    "fraction=${nope}": "fraction must refer to a key or variable that exists, got: Interpolation key 'nope'",
    "model=resnet51": "model must be one of mobilenet_v2, resnet50, timm, got 'resnet51'; try model=resnet50",
    "experiment=thesis/nope": "experiment must be one of ",
    "fractoin=0.5": "fractoin must be a key of conf/, got an unknown one; did you mean fraction?",
    "trainer.devces=2": "trainer.devces must be a key of conf/, got an unknown one; did you mean trainer.devices?",
    "+colour=red": "colour must be a key of conf/, got an unknown one; --help lists the keys",
    "~colour": "colour must be a key of conf/, got an unknown one; --help lists the keys",
    "model=null": "the configuration must compose, got: ",
}


@pytest.mark.parametrize("override", WORDED)
def test_a_mistake_that_hydra_finds_is_worded_by_name_rule_value_remedy(override):
    with pytest.raises(ConfigError, match=f"^{re.escape(WORDED[override])}") as raised:
        compose([override])
    assert "\n" not in str(raised.value)


PATHS = ["~/x", "/x/ü", "/archive (1)", "/x/a=b", "a,b", "/x y", "/$x", "/it's", '/a"b', "/a#b", "/a[1]", "/a&b",
         "C:\\x", "/x/${y}", "/a\\", "/a\\'b", "/猫/{1}", "12", "true", "null", "-x", "/a;b!`c`"]  # fmt: skip


UNQUOTED = ["/x y", "/$x", "C:\\x", "/a\\", "null", "-x"]  # which Hydra takes as they are


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_answered_with_the_form_to_type_which_works(path):
    """The shell takes the outer quotes off, Hydra the inner ones."""
    override = typed("data.root", path)
    assert compose(["data=image_folder", *shlex.split(override)])[0].config.data.root == path
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
