"""W&B's sweeps: the files that are shipped, and agents that propose configurations. No network."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from factories.small_runs import SMALL, TINY_NETWORK
from factories.wandb_file import WandbFile, read_wandb_file
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from datavol.cli.agents import as_overrides
from datavol.config.compose import compose, parse
from datavol.errors import ConfigError
from datavol.runs.folder import runs_of
from datavol.tracking.training_run import check_agents_proposal

SWEEPS = sorted((Path(__file__).parents[2] / "examples" / "wandb_sweeps").glob("*.yaml"))
SIZES = [text.partition("=") for text in [*SMALL, *TINY_NETWORK, "epochs=2", "trainer.threads=1"]]
PROPOSED: dict[str, Any] = {name: value for name, _, value in SIZES}
PROPOSED |= {"fraction": 0.25, "recipe": {"optimiser": {"lr": 0.05}}, "model.weights": None}


def agents_arguments(parameters: dict[str, Any], command: list[str]) -> list[str]:
    """What a W&B agent puts behind `-m datavol.run`, by its own functions."""
    proposal = create_sweep_command_args({"args": {name: {"value": value} for name, value in parameters.items()}})
    filled = [proposal.get(part.strip("${}"), [part]) if part.startswith("$") else [part] for part in command]
    flat = [text for part in filled for text in part]
    return flat[flat.index("-m") + 2 :]


def first_of(parameter: dict[str, Any]) -> Any:
    """A value that W&B would propose."""
    return parameter.get("value", parameter.get("values", [parameter.get("min")])[0])


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_what_an_agent_proposes_by_a_shipped_file_is_a_run(file):
    sweep = yaml.safe_load(file.read_text())
    assert sweep["metric"] == {"name": "val/top1", "goal": "maximize"}
    proposal = {name: first_of(parameter) for name, parameter in sweep["parameters"].items()}
    arguments = parse(agents_arguments(proposal, create_sweep_command(sweep["command"])))
    (run,) = compose(arguments.overrides)
    for name, value in proposal.items():
        section: Any = run.values
        for part in name.split("."):
            section = section[part]
        assert section["name"] == value if isinstance(section, dict) else section == value


def test_hydras_own_options_stay_and_none_is_null():
    line = ["-m", "--cfg=job", "--model.weights=None", "--study=a b", "--data@x=y", "-x=1", "fraction=1"]
    assert as_overrides(line) == [
        "-m",
        "--cfg=job",
        "model.weights=null",
        "study=a b",
        "data@x=y",
        "-x=1",
        "fraction=1",
    ]


def test_several_runs_are_no_proposal(monkeypatch):
    runs = compose(["seed=0,1", "logger=wandb"], multirun=True)
    check_agents_proposal([run.config for run in runs])
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_RUN_ID", "agents1")
    with pytest.raises(ConfigError, match="proposal must be one run, got 2; leave -m out"):
        check_agents_proposal([run.config for run in runs])


def propose(command: Any, place: Path, monkeypatch: pytest.MonkeyPatch, run_id: str) -> tuple[WandbFile, str]:
    """Propose a configuration as an agent does, and read what its run got."""
    parameters = place / "wandb" / "sweep-sweep1" / f"config-{run_id}.yaml"
    parameters.parent.mkdir(parents=True, exist_ok=True)
    held = {name: {"value": value} for name, value in {**PROPOSED, "model": "timm"}.items()}
    parameters.write_text(yaml.safe_dump({"wandb_version": 1, **held}))
    environment = {"SWEEP_ID": "sweep1", "RUN_ID": run_id, "SWEEP_PARAM_PATH": str(parameters), "PROJECT": "theirs"}
    for name, value in environment.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("WANDB_MODE", "offline")
    answer = command("run", *(f"--{name}={value}" for name, value in PROPOSED.items()))
    assert answer.returncode == 0, answer.stderr
    (file,) = place.glob(f"studies/digits/*/wandb/offline-run-*/run-{run_id}.wandb")
    return read_wandb_file(file), answer.stdout


def test_a_configuration_that_is_proposed_twice_has_its_data_in_both_runs(command, elsewhere, monkeypatch):
    first, _ = propose(command, elsewhere, monkeypatch, "agents1")
    second, said = propose(command, elsewhere, monkeypatch, "agents2")
    (folder,) = runs_of(elsewhere / "studies/digits")
    assert folder.record["wandb_id"] == "agents1"
    assert said.splitlines()[0].endswith("is finished already")
    assert said.splitlines()[-1].startswith("record: ")  # the agent types the next command
    for file, run_id in ((first, "agents1"), (second, "agents2")):
        assert (file.run.run_id, file.run.sweep_id, file.run.project) == (run_id, "sweep1", "theirs")
        rows = [row for row in file.rows if "budget_epoch" in row]
        assert [row["val/top1"] for row in rows] == [row["val/top1"] for row in folder.rows]
        assert file.summary["val/top1"] == folder.record["last"]["val/top1"]
        assert file.summary["best/val/top1"] == folder.record["best"]["val/top1"]
        assert (file.config["model"], file.config["model_settings"]["name"]) == ("timm", "test_efficientnet")
        assert file.config["recipe"] == folder.values["recipe"]
        assert file.config["recipe.batch_size"] == "128"
        assert folder.values["recipe"]["optimiser"]["lr"] == 0.05
        assert file.exit_code == 0
