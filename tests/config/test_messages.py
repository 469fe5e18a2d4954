"""The words of Hydra and OmegaConf that `config.messages` reads are those of the installed versions."""

import re

import pytest

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
