"""What `run.json` says as one flat row; the columns are described in `datavol.study.load.study`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from datavol.errors import ConfigError

Fact = str | int | float | bool | None
Json = Mapping[str, Any]

METRICS = ("top1", "top5", "loss", "margin_correct", "margin_incorrect", "calibration_error")
NAN = float("nan")

WHOLE = (
    *("full_size", "classes", "validation_images", "images", "seed", "draw_seed", "init_seed", "order_seed"),
    *("epochs", "iterations", "batch_size", "budget_epoch", "iteration", "evaluations", "world_size", "threads"),
    "best_budget_epoch",
)
"""The columns of whole numbers."""

REAL = ("fraction", "seconds_train", "seconds_val", *METRICS, *(f"best_{name}" for name in METRICS))
"""The columns of real numbers."""

UNKNOWN = ("reason", "parent", "threads", "best_budget_epoch", "commit", "code_changed", "ended")
"""The columns that a run may lack."""

COLUMNS = (
    *("run", "folder", "study", "hash", "state", "reason", "model", "model_settings"),
    *("recipe", "recipe_hash", "recipe_json"),
    *("data", "fingerprint", "full_size", "classes", "validation_images"),
    *("draw", "fraction", "images", "subset_sha256"),
    *("seed", "draw_seed", "init_seed", "order_seed", "parent"),
    *("budget", "epochs", "iterations", "batch_size", "budget_epoch", "iteration", "evaluations"),
    *("precision", "world_size", "threads", "memory_format", "short_side"),
    *("commit", "code_changed", "versions", "machine"),
    *("started", "ended", "seconds_train", "seconds_val"),
    *METRICS,
    "best_budget_epoch",
    *(f"best_{name}" for name in METRICS),
)


def run_row(record: Json) -> dict[str, Fact]:
    """A record as a row.

    Raises:
        ConfigError: If it is empty, or is not what datavol writes.
    """
    if not record:
        raise ConfigError("run.json is missing: the run never started, or its folder was copied in part")
    if record.get("state") not in ("running", "finished", "failed"):
        raise ConfigError(f"run.json must have a state that datavol writes, got {record.get('state')!r}")
    try:
        row = _asked(record) | _subset(record) | _place(record) | _measured(record)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise ConfigError(
            f"run.json must be a whole record, got one that is not: {type(error).__name__} {error}"
        ) from None
    _check(row)
    return row


def _check(row: dict[str, Fact]) -> None:
    """Raise a ConfigError unless every fact is of its kind, so that one odd record cannot spoil the frame of all."""
    for name, value in row.items():
        if value is None and name in UNKNOWN:
            continue
        kind = int if name in WHOLE else float if name in REAL else bool if name == "code_changed" else str
        if type(value) is not kind or (kind is int and not 0 <= value < 2**63):  # type: ignore[operator]
            raise ConfigError(f"run.json must hold a fact of type {kind.__name__} for {name}, got {value!r}")
    if not (0 < row["fraction"] <= 1 and 0 < row["images"] <= row["full_size"]):  # type: ignore[operator]
        raise ConfigError(f"run.json must hold a subset of the full set, got {row['images']} of {row['full_size']}")
    if row["state"] == "finished" and not 0 <= row["top1"] <= 1:  # type: ignore[operator]
        raise ConfigError(f"run.json must hold the last top-1 of a finished run, got {row['top1']}")


def _asked(record: Json) -> dict[str, Fact]:
    config, budget = record["config"], record["budget"]
    named = ("seed", "init_seed", "order_seed", "budget", "epochs")
    return {
        "study": record["study"],
        "hash": record["hash"],
        "state": record["state"],
        "reason": record["reason"],
        "parent": _text(record.get("parent")),
        "data": config["data"]["name"],
        "iterations": budget["iterations"],
        **sections(config["model"], config["recipe"]),
        **{name: config[name] for name in named},
    }


def sections(model: Json, recipe: Json) -> dict[str, Fact]:
    """The columns of the network and the recipe. `recipe.epochs` is left out: a run's own `epochs` is what counts."""
    settings = _text({name: value for name, value in recipe.items() if name not in ("name", "epochs")})
    assert settings is not None
    return {
        "model": model["name"],
        "model_settings": _text(model),
        "recipe": recipe["name"],
        "recipe_hash": hashlib.sha256(settings.encode()).hexdigest()[:8],
        "recipe_json": settings,
        "batch_size": recipe["batch_size"],
    }


def _subset(record: Json) -> dict[str, Fact]:
    subset, last = record["subset"], record.get("last", {})
    return {
        "fingerprint": subset["fingerprint"],
        "full_size": subset["full_size"],
        "classes": len(record["classes"]),
        "validation_images": int(last.get("val/images", record["validation_images"])),
        "draw": subset["draw"],
        "draw_seed": subset["draw_seed"],
        "fraction": float(subset["fraction"]),
        "images": subset["size"],
        "subset_sha256": subset["sha256"],
    }


def _place(record: Json) -> dict[str, Fact]:
    sessions = record["sessions"]
    changed = [session["code"]["changed"] for session in sessions]
    return {
        "precision": str(record["precision"]),
        "world_size": record["world_size"],
        "threads": record.get("threads"),
        "memory_format": record["memory_format"],
        "short_side": shrunk_to(record.get("short_side")),
        "commit": _each(sessions, _code),
        "code_changed": None if None in changed else any(changed),
        "versions": _each(sessions, lambda session: _text(session["versions"])),
        "machine": _each(sessions, _machine),
        "started": sessions[0]["started"],
        "ended": record.get("ended"),
    }


def shrunk_to(short_side: int | None) -> str:
    """Whether a run's images were shrunk first, in words."""
    return f"{short_side} px" if short_side else "as they are"


def _code(session: Json) -> str:
    return session["code"]["commit"] or f"datavol {session['versions']['datavol']}"


def _machine(session: Json) -> str:
    machine, devices = session["machine"], session["devices"]
    names = ", ".join(f"{devices.count(name)} x {name}" for name in dict.fromkeys(devices))
    return f"{names}; {machine['cpus']} cores; {machine['platform']}"


def _measured(record: Json) -> dict[str, Fact]:
    seconds = record.get("seconds", {})
    return {
        "seconds_train": number(seconds.get("train")),
        "seconds_val": number(seconds.get("val")),
        **evaluations(record.get("last", {}), record.get("best", {})),
    }


def evaluations(last: Json, best: Json) -> dict[str, Fact]:
    """The columns of the last and the best evaluation, from rows of `metrics.csv`; empty before the first."""
    return {
        "budget_epoch": int(last.get("budget_epoch", 0)),
        "iteration": int(last.get("iteration", 0)),
        **{name: number(last.get(f"val/{name}")) for name in METRICS},
        "best_budget_epoch": best.get("budget_epoch"),
        **{f"best_{name}": number(best.get(f"val/{name}")) for name in METRICS},
    }


def number(value: float | None) -> float:
    """A number; null, which is what JSON has for it, as NaN."""
    return NAN if value is None else float(value)


def _each(sessions: list[Json], told: Callable[[Json], str | None]) -> str | None:
    """What sessions say, each once, in their order."""
    said = [text for text in map(told, sessions) if text is not None]
    return " then ".join(dict.fromkeys(said)) or None


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)
