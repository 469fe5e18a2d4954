import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datavol.config.command_line.keys import sections_in
from datavol.config.compose import compose, override, recipe_for
from datavol.config.identity import canonical
from datavol.config.run import Config
from datavol.config.section import Section, conf_dir, marks
from datavol.errors import ConfigError

NEEDED = {
    "data=image_folder": "data.root=x",
    "data=imagenet": "data.root=x",
    "data=own": "data._target_=torch.nn.Identity",
    "data=table": "data.table=x",
    "model=own": "model._target_=torch.nn.Identity",
    "model=timm": "model.name=densenet121",
}
CHOICES = [
    "{}={}".format(*file.relative_to(conf_dir()).with_suffix("").as_posix().split("/", 1))
    for file in sorted(conf_dir().rglob("*.yaml"))
    # not the bases, which are no choices; tests/sweep/test_slurm_logic.py has the launchers
    if file.relative_to(conf_dir()).parts[0] not in ("config.yaml", "base", "hydra")
]


def sections(section: type[Section] = Config) -> set[type[Section]]:
    inner = [found for field in section.model_fields.values() for found in sections_in(field.annotation)]
    return {section}.union(*(sections(found) for found in inner))


@pytest.mark.parametrize("section", sorted(sections(), key=lambda section: section.__name__))
def test_every_key_is_marked_and_has_a_rule(section):
    for field in section.model_fields.values():
        assert isinstance(marks(field)["hashed"], bool)
        assert field.description


@pytest.mark.parametrize("choice", CHOICES)
def test_every_shipped_choice_composes(choice):
    extra = [NEEDED[choice]] if choice in NEEDED else []
    assert compose([choice, *extra], multirun=True)


@pytest.mark.parametrize("file", sorted((conf_dir() / "experiment").rglob("*.yaml")))
def test_every_experiment_says_question_command_cost_and_score(file: Path):
    head = "\n".join(re.findall(r"^# (.*)", file.read_text(), re.MULTILINE))
    assert "?" in head.partition("Command:")[0]
    name = file.relative_to(conf_dir() / "experiment").with_suffix("").as_posix()
    command = re.search(r"^Command: +(.*)", head, re.MULTILINE)[1]
    assert f" experiment={name} " in command
    assert ("datavol.run -m" in command) == ("sweeper:" in file.read_text())
    assert re.search(r"^Cost: +\S", head, re.MULTILINE)
    assert re.search(r"^Score: +\S|^Not yet run here", head, re.MULTILINE)


def test_the_recipe_follows_data_and_model_unless_it_is_given():
    assert compose(["data=imagenet", "data.root=x", "model=resnet50"])[0].config.recipe.name == "thesis_resnet50"
    assert compose(["data=imagenet", "data.root=x"])[0].config.recipe.name == "thesis_mobilenet_v2"
    assert compose([])[0].config.recipe.name == "small"
    assert compose(["recipe=plain"])[0].config.recipe.name == "plain"
    assert recipe_for("table", "timm") == "plain"


def test_the_three_seeds_follow_seed_unless_given_also_when_it_is_0():
    config = compose(["seed=3", "order_seed=0"])[0].config
    assert (config.draw_seed, config.init_seed, config.order_seed) == (3, 3, 0)


UNHASHED = ["data.workers=2", "trainer.devices=2", "study=x", "logger=csv", "check_every=7", "checkpoint.keep=all",
            "trainer.threads=1", "trainer.memory_format=contiguous", "data.name=x", "evaluate_train=true", "epochs=4",
            "trainer=cpu", "fraction=1", "seed=0"]  # fmt: skip
HASHED = ["fraction=0.5", "seed=1", "draw_seed=1", "init_seed=1", "order_seed=1", "draw=nested", "epochs=7",
          "budget=epochs", "model=resnet50", "model.stem=small", "recipe=plain", "recipe.optimiser.lr=0.1",
          "data.split_seed=1", "trainer.precision=bf16-mixed"]  # fmt: skip


@pytest.mark.parametrize("change", UNHASHED)
def test_what_does_not_change_the_science_keeps_the_hash(change):
    assert compose([change])[0].config.run_hash == compose([])[0].config.run_hash


def test_what_changes_the_science_changes_the_hash():
    hashes = {compose([change])[0].config.run_hash for change in [*HASHED, "seed=0"]}
    assert len(hashes) == len(HASHED) + 1


def test_a_fraction_is_the_decimal_that_it_stands_for():
    """A range adds floats up, and 0.1 + 0.2 misses 0.3 in the last place."""
    ranged = compose(["fraction=range(0.1,0.4,0.1)"], multirun=True)
    typed = [compose([f"fraction={text}"])[0] for text in ("0.1", "0.2", "0.3", "0.4")]
    assert [run.config.run_name for run in ranged] == [run.config.run_name for run in typed]
    assert [run.values["fraction"] for run in ranged] == [0.1, 0.2, 0.3, 0.4]
    for spellings in (("0.1", "1e-1", ".1", "0.10"), ("1", "1.0", "10e-1", "0.9999999999999999")):
        assert len({compose([f"fraction={text}"])[0].config.run_hash for text in spellings}) == 1


@pytest.mark.parametrize("typed", [1 / 3, 0.123456789012345, 5e-324, 0.05, 0.125, 1e-12, 1e22])
def test_what_is_no_sum_of_short_decimals_stays(typed):
    assert canonical(typed) == typed


@given(st.integers(1, 10**9), st.integers(0, 12), st.integers(1, 9))
def test_sums_of_decimals_are_decimals(digits, power, terms):
    one = Decimal(digits).scaleb(-power)
    assert canonical(sum([float(one)] * terms)) == float(terms * one)


def test_the_folder_is_readable_and_ends_in_the_hash():
    run = compose(["fraction=0.125", "seed=2", "data=fashion_mnist", "study=pilot"])[0]
    assert run.folder == Path("studies/pilot") / f"mobilenet_v2-12.5pct-seed2-{run.config.run_hash}"
    assert re.fullmatch(r"[0-9a-f]{8}", run.config.run_hash)


def test_a_sweep_gives_every_run_its_own_data_recipe_and_folder():
    runs = compose(["data=digits,fashion_mnist", "model=resnet50,mobilenet_v2", "fraction=0.05,0.25"], multirun=True)
    assert len({run.folder for run in runs}) == 8
    assert {run.folder.parent.name for run in runs} == {"digits", "fashion_mnist"}


def test_values_survive_a_file_and_overrides_of_a_finished_configuration():
    run = compose([])[0]
    values = json.loads(json.dumps(run.values))
    assert override(values, []) == run.config
    changed = override(values, ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"])
    assert (changed.trainer.accelerator, changed.trainer.devices, changed.run_hash) == ("cpu", 2, run.config.run_hash)
    with pytest.raises(ConfigError, match=r"try trainer\.devices=2"):
        override(values, ["trainer.devces=2"])
