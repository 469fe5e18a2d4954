"""Reads what a study has chosen for `auto`, without importing torch."""

from pathlib import Path
from typing import Any

from datavol.config.model import ModelConfig, OwnModelConfig
from datavol.config.run import Config, Run
from datavol.errors import ConfigError
from datavol.runs.files import read_json

FILE = "autotune.json"
OLD_FILE = "settled.json"  # of older versions: still read, no longer written
AUTO = "auto"
STEP_KEYS = ("precision", "memory_format", "compile", "cudnn_benchmark")


def chosen_entries(study: Path) -> dict[str, dict[str, Any]]:
    """Read a study's choices; of both files the newer one counts.

    Raises:
        ConfigError: If a file is damaged.
    """
    files = [study / name for name in (OLD_FILE, FILE)]
    remedy = "bring it back, or move it away, and the study's next run chooses anew"
    entries: dict[str, dict[str, Any]] = {}
    for file in files:
        found = read_json(file, remedy) if file.exists() else {}
        if not all(isinstance(entry, dict) for entry in found.values()):
            raise ConfigError(f"{file} must be a whole file that datavol wrote, got an entry that is none; {remedy}")
        entries |= found
    return entries


def step_options_of(config: Config) -> dict[str, Any]:
    """List what decides the arithmetic of a training step."""
    return {name: getattr(config.trainer, name) for name in STEP_KEYS}


def entry_name(config: Config) -> str:
    """Name an entry by network, image size and keys other than `auto`."""
    model = config.model
    library = "" if isinstance(model, OwnModelConfig) else model.library
    name = f"{model.name} of timm" if library == "timm" else str(model.name)
    if isinstance(model, ModelConfig) and model.stem == "small":
        name += " with a small stem"
    fixed = [f"{name}={value}" for name, value in step_options_of(config).items() if value != AUTO]
    return ", ".join([name, f"{config.recipe.augment.crop_size} px", *fixed])


def known_precision(run: Run) -> str | None:
    """Return a run's precision; None for `auto` where its study has not chosen."""
    if run.config.trainer.precision != AUTO:
        return run.config.trainer.precision
    entry = chosen_entries(run.folder.parent).get(entry_name(run.config), {})
    return entry.get("precision")
