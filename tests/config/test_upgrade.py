"""A key added later changes no hash, and no key of a section without effect makes a record unreadable."""

import json
from pathlib import Path

import pytest

from datavol.config import upgrade as upgrades
from datavol.config.command_line.keys import sections_in
from datavol.config.compose import check, compose
from datavol.config.identity import hashed_values
from datavol.config.objects import ObjectConfig
from datavol.config.recipe import RecipeConfig
from datavol.config.run import Config
from datavol.config.section import NOT_ADDED, Section, key, marks
from datavol.config.upgrade import SCHEMA_VERSION, WITHOUT_EFFECT, upgrade
from datavol.errors import ConfigError

FIRST_KEYS = set(json.loads((Path(__file__).parents[1] / "golden" / "keys_of_version_1.json").read_text()))


@pytest.fixture
def values() -> dict:
    return json.loads(json.dumps(compose([])[0].values))


class Averaging(Section):
    decay: float = key("at least 0", hashed=True, added=0.0)
    every: int = key("at least 1", hashed=True, added=1)


class Longer(RecipeConfig):
    clip: float = key("at least 0", hashed=True, added=0.0)
    averaging: Averaging = key("a section", hashed=True, added={"decay": 0.0, "every": 1})


def test_a_hashed_key_added_with_a_default_changes_no_hash():
    recipe = compose([])[0].config.recipe
    off, on = {"decay": 0.0, "every": 1}, {"decay": 0.9, "every": 1}
    before = hashed_values(recipe)
    assert hashed_values(Longer(**recipe.model_dump(), clip=0.0, averaging=off)) == before
    assert hashed_values(Longer(**recipe.model_dump(), clip=1.0, averaging=off)) == before | {"clip": 1.0}
    changed = hashed_values(Longer(**recipe.model_dump(), clip=0.0, averaging=on))
    assert changed == before | {"averaging": {"decay": 0.9}}


def test_an_older_record_reads_as_what_runs_did_before_a_key_existed():
    recipe = compose([])[0].config.recipe.model_dump(by_alias=True)
    filled = upgrades._with_added(Longer, recipe)
    assert filled == recipe | {"clip": 0.0, "averaging": {"decay": 0.0, "every": 1}}


def keys_without_default(section: type[Section], prefix: str = "") -> set[str]:
    found = set()
    for name, field in section.model_fields.items():
        if marks(field)["added"] is NOT_ADDED:
            found.add(prefix + name)
            # a class of the user's is of no older record
            for inner in (one for one in sections_in(field.annotation) if not issubclass(one, ObjectConfig)):
                found |= keys_without_default(inner, f"{prefix}{name}.")
    return found


def test_every_key_added_since_the_first_release_says_what_its_absence_meant():
    ours = {name for name in keys_without_default(Config) if name.partition(".")[0] not in WITHOUT_EFFECT}
    assert ours <= FIRST_KEYS


@pytest.mark.parametrize("section", WITHOUT_EFFECT)
def test_a_section_without_effect_never_makes_a_record_unreadable(values, section):
    name = check(values).run_name
    spoiled = [{}, {"unknown": 1}, dict.fromkeys(values[section]), {**values[section], "more": [1]}, None, 3]
    for odd in spoiled:
        assert check(upgrade(values | {section: odd})).run_name == name
    assert check(upgrade({key: value for key, value in values.items() if key != section})).run_name == name


def test_what_a_section_without_effect_says_is_kept_where_it_is_valid(values):
    values["sweep"] |= {"parallel": 3, "retries": -1}
    values["plan"]["node"] = {"cores": 5}
    upgraded = check(upgrade(values))
    assert (upgraded.sweep.parallel, upgraded.sweep.retries, upgraded.plan.node.cores) == (3, 0, 5)


@pytest.mark.parametrize("new", ["trainer.devices", "epochs", "data.cards", None])
def test_a_key_is_renamed_moved_or_dropped(values, monkeypatch, new):
    monkeypatch.setattr(upgrades, "RENAMED", {2: {"trainer.cards": new}})
    value = values["trainer"].pop("devices")
    upgraded = upgrade(values | {"trainer": values["trainer"] | {"cards": value}})
    assert "cards" not in upgraded["trainer"]
    places = {"trainer.devices": upgraded["trainer"].get("devices"), "epochs": upgraded["epochs"]}
    assert new is None or (places | {"data.cards": upgraded["data"].get("cards")})[new] == value


def test_a_newer_record_is_refused_in_one_line(values):
    with pytest.raises(ConfigError, match=f"must be of schema version {SCHEMA_VERSION} or older, got 99; install"):
        upgrade(values | {"schema_version": 99})
