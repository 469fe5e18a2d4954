"""Classes of the user's, by their names in a configuration."""

import hashlib
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from datavol.config import user_code
from datavol.config.compose import check, compose, override
from datavol.config.objects import build_object
from datavol.config.upgrade import upgrade
from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder

NET = """
from torch import nn
class Net(nn.Linear):
    def __init__(self, width=3, num_classes=2):
        super().__init__(1, 2)
"""


@pytest.fixture
def module(elsewhere: Path, monkeypatch):
    """Writes modules into the current folder, which is forgotten afterwards."""
    written: list[str] = []

    def write(name: str, text: str) -> None:
        (elsewhere / f"{name}.py").write_text(text)
        written.append(name)
        forget()

    def forget() -> None:
        for name in written:
            sys.modules.pop(name, None)
        user_code._module_of.cache_clear()
        user_code._code_of_module.cache_clear()

    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file written twice in a second is compiled twice
    yield write
    forget()


def own(*overrides: str):
    return compose(["model=own", "model._target_=nets_of_a_user.Net", *overrides])[0]


def test_a_network_is_named_by_class_and_arguments_and_known_by_its_source(module):
    module("nets_of_a_user", NET)
    run = own()
    assert run.config.model.name == "Net"
    assert run.config.code == {"nets_of_a_user": hashlib.sha256(NET.encode()).hexdigest()[:12]}
    assert own("+model.width=4").config.model.name == "Net(width=4)"
    assert own("+model.width=4", "model.name=wide").config.run_name.startswith("wide-100pct-seed0-")
    hashes = {own(*more).config.run_hash for more in ([], ["+model.width=4"], ["+model.width=5"])}
    module("nets_of_a_user", NET + "# changed\n")
    assert own().config.run_hash not in hashes
    assert len(hashes) == 3


def test_a_class_that_exits_is_one_line_with_its_place(module):
    module("nets_of_a_user", "def net(): raise SystemExit(0)\n")
    with pytest.raises(ConfigError, match=r"model must be built by nets_of_a_user.net, got SystemExit: 0 \(.*:1\)"):
        build_object("model", "nets_of_a_user.net", {})


def test_a_module_that_leaves_the_folder_is_brought_back(module, elsewhere):
    module("nets_of_a_user", f"import os\nos.chdir('/')\n{NET}")
    own()
    assert Path.cwd() == elsewhere


def test_what_a_module_takes_from_another_is_known_by_the_other(module):
    module("nets_of_a_user", NET)
    module("all_nets_of_a_user", "from nets_of_a_user import Net\n")
    run = compose(["model=own", "model._target_=all_nets_of_a_user.Net"])[0]
    assert list(run.config.code) == ["nets_of_a_user"]


def test_imports_and_callbacks_enter_the_hash_and_metrics_and_loggers_do_not(module):
    module("nets_of_a_user", NET)
    plain = compose([])[0].config.run_hash
    metric = ["+metrics.mine._target_=nets_of_a_user.Net"]
    logger = ["logger=own", "logger._target_=nets_of_a_user.Net"]
    assert {compose(one)[0].config.run_hash for one in (metric, logger)} == {plain}
    others = [
        compose(one)[0].config.run_hash
        for one in (["imports=[nets_of_a_user]"], ["+callbacks.a._target_=nets_of_a_user.Net"])
    ]
    assert len({plain, *others}) == 3


def test_a_record_is_read_without_the_code_that_it_names(module, elsewhere):
    module("nets_of_a_user", NET)
    run = own("+callbacks.a._target_=nets_of_a_user.Net", "logger=own")
    (elsewhere / "nets_of_a_user.py").unlink()
    sys.modules.pop("nets_of_a_user")
    again = check(upgrade(run.values | {"schema_version": 2}))
    assert (again.run_hash, again.model) == (run.config.run_hash, run.config.model)
    assert override(run.values, ["trainer=cpu"]).run_hash == again.run_hash
    folder = RunFolder(elsewhere / "studies" / "x")
    assert folder.record == {}


@pytest.mark.parametrize(
    ("text", "target", "said"),
    [
        (NET, "Nett", "model._target_ must be in nets_of_a_user .*, got Nett; try model._target_=nets_of_a_user.Net"),
        ("import nothing_of_this_name", "Net", r"got nets_of_a_user \(ModuleNotFoundError: .*nets_of_a_user.py:1\)"),
        ("def net(:\n", "net", r"nets_of_a_user \(SyntaxError: .*nets_of_a_user.py:1\); mend it"),
        ("import sys\nsys.exit(0)\n", "x", r"\(SystemExit: 0, .*nets_of_a_user.py:2\)"),
        ("x = 1\n1 / 0\n", "x", r"\(ZeroDivisionError: division by zero, .*nets_of_a_user.py:2\)"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line_with_its_place(module, text, target, said):
    module("nets_of_a_user", text)
    with pytest.raises(ConfigError, match=said) as caught:
        compose(["model=own", f"model._target_=nets_of_a_user.{target}"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model=own"], "must be given with model=own, got nothing; try model._target_=my_module.MyClass"),
        (["data=own"], "data._target_ must be given with data=own, got nothing; try data._target_=my_module.MyClass"),
        (["model=own", "model._target_=net_of_a_user.Net"], "got net_of_a_user; try model._target_=nets_of_a_user.Net"),
        (["model=own", "model._target_=qqq.Net"], "got qqq; start from the folder that holds it, or install it"),
        (["model=own", "model._target_=Net"], "a class by its module, got Net; try model._target_=my_module.Net"),
        (["model=own", "model._target_=nets_of_a_user:Net"], "try model._target_=nets_of_a_user.Net"),
        (["model=own", "model._target_=nets_of_a_user"], "try model._target_=nets_of_a_user.MyClass"),
        (["+model._target_=nets_of_a_user.Net"], "try model=own model._target_=nets_of_a_user.Net"),
        (["model._target_=nets_of_a_user.Net"], "try model=own model._target_=nets_of_a_user.Net"),
        (["model=nets_of_a_user.Net"], "try model=own model._target_=nets_of_a_user.Net"),
        (["model=own", "model._target_=nets_of_a_user.Net", "model.width=3"], "got it without; try [+]model.width=3"),
        (["callbacks.a._target_=nets_of_a_user.Net"], "try [+]callbacks.a._target_=nets_of_a_user.Net"),
        (["+metrics.f1=_target_:a.B", "+metrics.f1=task:c"], r"try '\+metrics.f1=\{_target_:a.B,task:c\}'"),
        (["+metrics.f1=3"], r"metrics must be names, each with a _target_ \(f1 has none\)"),
        (["+metrics.f1=a.B"], r"try '\+metrics=\{f1:\{_target_:a.B\}\}'"),
        (["+metrics.f-1._target_=a.B"], r"metrics must be names of letters, digits and _ \(f-1 is none\)"),
        (["imports=[net_of_a_user]"], r"imports must be a module .*; try 'imports=\[nets_of_a_user\]'"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_what_to_type(module, overrides, said):
    module("nets_of_a_user", NET)
    with pytest.raises(ConfigError, match=said):
        compose(overrides)


def test_a_short_name_is_one_that_an_installed_package_offers(module, monkeypatch):
    module("nets_of_a_user", NET)
    offered = EntryPoints([EntryPoint("wide", "nets_of_a_user:Net", "datavol.networks")])
    monkeypatch.setattr(user_code, "entry_points", lambda group: offered.select(group=group))
    user_code._offered.cache_clear()
    try:
        config = compose(["model=own", "model._target_=wide", "+model.width=7"])[0].config
        assert config.model.name == "wide(width=7)"
        assert list(config.code) == ["nets_of_a_user"]
        assert type(build_object("model", "wide", {})).__name__ == "Net"
        with pytest.raises(ConfigError, match=r"one of wide, got wode; try model._target_=wide$"):
            compose(["model=own", "model._target_=wode"])
    finally:
        user_code._offered.cache_clear()


def test_arguments_are_plain_lists_and_dictionaries_and_inner_objects_are_built(module):
    module("nets_of_a_user", "def same(**given): return given\ndef two(): return 2\n")
    built = build_object(
        "model", "nets_of_a_user.same", {"a": [1, {"b": 2}], "c": {"_target_": "nets_of_a_user.two"}}, d=4
    )
    assert built == {"a": [1, {"b": 2}], "c": 2, "d": 4}
    assert type(built["a"]) is list
    assert type(built["a"][1]) is dict


def test_what_is_offered_is_left_out_where_it_is_not_taken_and_does_not_replace_what_is_given(module):
    module("nets_of_a_user", "def taking(a, b=2): return a, b\ndef by_place(a, /, b): return a, b\n")
    assert build_object("model", "nets_of_a_user.by_place", {"_args_": [1]}, a=5, b=3) == (1, 3)
    assert build_object("model", "nets_of_a_user.taking", {"a": 1}, a=5, b=3, c=4) == (1, 3)
