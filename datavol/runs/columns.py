"""Defines every recorded fact once: name, type, meaning, keys.

The loader of studies, the W&B writer and reader, the audit and the reference page of the docs all read `COLUMNS`. A new
fact is a line here and a value in `datavol.training.record`, which measures it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from typing import Any, Literal

from datavol.config.identity import canonical
from datavol.config.recipe import RecipeConfig
from datavol.config.upgrade import without_added

Json = Mapping[str, Any]
Value = str | int | float | bool | None
Severity = Literal["major", "minor", "note"]

NAN = float("nan")
METRICS = {
    "top1": "share of images whose likeliest class is right",
    "top5": "share of images with the right class among the five likeliest",
    "loss": "mean cross-entropy",
    "margin_correct": "mean confidence margin of correct predictions",
    "margin_incorrect": "mean confidence margin of incorrect predictions",
    "calibration_error": "expected calibration error over 15 bins",
}
"""Metrics of an evaluation, under `val/` and `train/`."""


@dataclass(frozen=True)
class Audit:
    """Describes how the audit reports a difference along a learning curve."""

    words: str  # the subject of its sentence: "the numbers of ranks differ"
    severity: Severity
    remedy: str
    unknown: bool = True  # a record that lacks it differs from those that have it
    axis: bool = False  # counts as varied on purpose where every fraction has the same values of it


@dataclass(frozen=True)
class Column:
    """Describes one recorded fact, a column of `Study.runs`."""

    name: str
    type: type  # str, int, bool, or float, which is NaN where it is not known
    meaning: str
    path: str | None  # keys in run.json, joined by dots; "" for the whole record, None where only the loader knows it
    read: Callable[[Any], Any] = lambda value: value  # turns what lies at the path into the column's value
    optional: bool = False  # a record may lack it
    wandb: str | None = None  # keys in the W&B run's config, joined by dots; None where it is not sent
    since: int = 1  # schema version from which on records have it
    absent: Value = None  # the value where a record may lack it and does
    audit: Audit | None = None  # None where it may differ along a learning curve

    def value(self, record: Json) -> Any:
        """Read the fact from a record.

        Raises:
            LookupError: If the record lacks it and should not.
        """
        assert self.path is not None
        try:
            raw = lookup(record, self.path)
        except LookupError:
            if self.type is float:
                return NAN
            if not self.optional and self.since <= record.get("schema_version", 1):
                raise
            return self.absent
        value = self.read(raw)
        if self.type is float:  # JSON has null for numbers that are not finite
            return NAN if value is None else float(value)
        return value


def lookup(values: Any, path: str) -> Any:
    """Look up a path of keys joined by dots; "" returns everything.

    >>> lookup({"last": {"val/top1": 0.5}}, "last.val/top1")
    0.5
    """
    return reduce(getitem, path.split(".") if path else (), values)


def place(values: dict[str, Any], path: str, value: Any) -> None:
    """Set a value at a path of keys joined by dots."""
    *outer, last = path.split(".")
    for key in outer:
        values = values.setdefault(key, {})
    values[last] = value


def json_text(value: Any) -> str | None:
    """Write as JSON with sorted keys; pass text and null through."""
    return value if value is None or isinstance(value, str) else json.dumps(value, sort_keys=True)


def _weights(weights: Json | str) -> str | None:
    if isinstance(weights, str):  # from W&B, in words already
        return weights
    return json_text({name: value for name, value in weights.items() if name != "file"})  # a path is no identity


def short_side_in_words(short_side: int | None) -> str:
    """Describe the size to which images were shrunk before caching."""
    return f"{short_side} px" if short_side else "as they are"


def _recipe_json(recipe: Json) -> str:
    # without `epochs`, a default that the run's own `epochs` replaces, and without keys that are newer than the record
    settings = without_added(RecipeConfig, recipe)
    return json.dumps({name: settings[name] for name in settings if name not in ("name", "epochs")}, sort_keys=True)


def _recipe_hash(recipe: Json) -> str:
    return hashlib.sha256(_recipe_json(recipe).encode()).hexdigest()[:8]


def _count(values: Any) -> int:
    return values if isinstance(values, int) else len(values)


def _validation_images(record: Json) -> int | None:
    # What the last evaluation counted comes before the data set's number, since damaged images may be left out
    images = record.get("last", {}).get("val/images", record.get("validation_images"))
    return None if images is None else int(images)


def _each(sessions: list[Json], fact: Callable[[Json], str | None]) -> str | None:
    """Join a fact's values over sessions, each once, in order."""
    values = [text for text in map(fact, sessions) if text is not None]
    return " then ".join(dict.fromkeys(values)) or None  # a dict's keys: unique, and in the order of the sessions


def _commits(sessions: list[Json]) -> str | None:
    return _each(sessions, lambda one: one["code"]["commit"] or f"datavol {one['versions']['datavol']}")


def _code_changed(sessions: list[Json]) -> bool | None:
    changed = [session["code"]["changed"] for session in sessions]
    return None if None in changed else any(changed)  # None: a session ran outside a git checkout


def _started(sessions: list[Json]) -> str:
    return next(str(one["started"]) for one in sessions if "taken_over" not in one)


def _machines(sessions: list[Json]) -> str | None:
    def describe(session: Json) -> str:
        machine, devices = session["machine"], session["devices"]
        names = ", ".join(f"{devices.count(name)} x {name}" for name in dict.fromkeys(devices))  # "4 x NVIDIA A100"
        return f"{names}; {machine['cpus']} cores; {machine['platform']}"

    return _each(sessions, describe)


def _decoding(record: Json) -> str | None:
    files = "on_damaged" in record["config"]["data"]
    # Records did not have it before the second rule
    return _each(record["sessions"], lambda session: str(session.get("decoding", 1)) if files else None)


def damaged_in_words(damaged: Json) -> str | None:
    """Count damaged images in a sentence, by split and class."""
    parts = []
    for split, name, ending in (("train", "training", "replaced"), ("val", "validation", "left out")):
        found = damaged.get(split, {"count": 0})
        if found["count"]:
            classes = found.get("classes", {}).items()  # which older records do not count
            each = ", ".join(f"{one['damaged']} of {one['of']} of {label}" for label, one in classes)
            images = "image" if found["count"] == 1 else "images"
            parts.append(f"{found['count']:,} damaged {name} {images} {ending}" + (f" ({each})" if each else ""))
    return "; ".join(parts) or None


def _processors(sessions: list[Json]) -> str | None:
    # older versions recorded the architecture alone, which Intel's and AMD's share
    names = [session["machine"]["processor"] for session in sessions]
    return _each(sessions, lambda one: one["machine"]["processor"]) if all(" " in name for name in names) else None


def _last(record: Json, name: str) -> int:
    return int(record.get("last", {}).get(name, 0))


def _evaluations() -> Iterator[Column]:
    """List the columns of the last and of the best evaluation."""
    for name, meaning in METRICS.items():
        yield Column(name, float, f"{meaning}, last evaluation", f"last.val/{name}")
    yield Column("best_budget_epoch", int, "budget epoch of the best evaluation", "best.budget_epoch", optional=True)
    for name, meaning in METRICS.items():
        yield Column(f"best_{name}", float, f"{meaning}, best evaluation", f"best.val/{name}")


AGAIN = "train those runs again"
COLUMNS: tuple[Column, ...] = (
    Column("run", str, "name of the run's folder", None),
    Column("folder", str, "path of the run's folder", None),
    Column("study", str, "name of the study", "study", wandb="study"),
    Column("hash", str, "eight digits of the hash of the scientific configuration", "hash", wandb="hash"),
    Column("state", str, "`finished`, `running`, `failed`, `incomplete` (lacks other folds), `copied`, `superseded` or "
           "`unreadable`", "state"),
    Column("reason", str, "why the run is in that state", "reason", optional=True),
    Column("model", str, "name of the network", "config.model.name", wandb="model.name"),
    Column("model_settings", str, "all keys of the network, as JSON", "config.model", json_text, wandb="model",
           audit=Audit("settings of the network", "major", "train all with the same model.*")),
    Column("recipe", str, "name of the recipe", "config.recipe.name", wandb="recipe.name"),
    Column("recipe_hash", str, "eight digits of the hash of `recipe_json`", "config.recipe", _recipe_hash),
    Column("recipe_json", str, "all keys of the recipe but name and epochs, as JSON", "config.recipe", _recipe_json,
           wandb="recipe",
           audit=Audit("recipes of one name", "major", "train all by one, or give each a recipe.name", axis=True)),
    Column("data", str, "name of the data set", "config.data.name", wandb="data.name"),
    Column("fingerprint", str, "hash of classes, labels, and names or pixels of the data set", "subset.fingerprint",
           audit=Audit("the data (fingerprints)", "major", f"bring one version of the data back, and {AGAIN}")),
    Column("found", str, "where images of files lay, what was left out and noted, as JSON", "subset.found", json_text,
           optional=True),
    Column("duplicates", str, "images that are there more than once, in the subset and in val, as JSON",
           "subset.duplicates", json_text, optional=True),
    Column("groups", str, "rule of data.group, groups in train and val, and those in both, as JSON", "subset.groups",
           lambda groups: json_text({name: value for name, value in groups.items() if name != "drawn"}), optional=True),
    Column("grouped_by", str, "what belongs together, as `data.group` says it", "subset.groups.by", optional=True,
           audit=Audit("what belongs together (data.group)", "minor", "train all with one data.group")),
    Column("folds", int, "`data.folds`: in how many parts every image is validated on once", "folds.of", optional=True,
           wandb="folds.of", audit=Audit("data.folds", "major", "train all with one data.folds")),
    Column("fold", int, "which of them the run was validated on", "folds.fold", optional=True, wandb="folds.fold"),
    Column("folds_hash", str, "hash of the scientific configuration but for `data.fold`", "folds.hash", optional=True,
           wandb="folds.hash"),
    Column("full_size", int, "images of the full training set", "subset.full_size", wandb="full_size"),
    Column("classes", int, "number of classes", "classes", _count, wandb="classes"),
    Column("validation_images", int, "images that an evaluation counts", "", _validation_images,
           audit=Audit("the numbers of validation images", "minor", "look for damaged images in run.json")),
    Column("guess_top1", float, "top-1 of always guessing the commonest class of those images", "guess.val/top1"),
    Column("guess_top5", float, "the same of top-5 and the five commonest; from five classes on", "guess.val/top5"),
    Column("listed_images", int, "images of the validation set, damaged ones too", "validation_images", optional=True),
    Column("damaged", str, "damaged images by split and class, in words", "damaged", damaged_in_words, optional=True),
    Column("content", str, "hash of sizes and sampled bytes of the data's files", "sessions",
           lambda sessions: _each(sessions, lambda session: session.get("content")), optional=True,
           audit=Audit("the contents of files under the same names", "major",
                       f"bring one version of the data back, and {AGAIN}", unknown=False)),
    Column("decoding", str, "version of the rules by which files become pixels", "", _decoding, optional=True,
           audit=Audit("the rules by which files become pixels", "minor", f"see own_images in the docs, or {AGAIN}")),
    Column("pixel_range", str, "what pixels of more than 8 bits are taken to range over", "sessions",
           lambda sessions: _each(sessions, lambda session: session.get("pixel_range") or None), optional=True,
           audit=Audit("the ranges of pixels of more than 8 bits", "major", AGAIN)),
    Column("weights_sha256", str, "hash of the file of `model.weights`", "weights_sha256", optional=True,
           audit=Audit("the files of model.weights", "major", f"bring one file back, and {AGAIN}", unknown=False)),
    Column("draw", str, "`independent`, `nested`, `disjoint`, or `listed` for a list", "subset.draw", wandb="draw"),
    Column("draw_by", str, "what the fraction counts: `items` (images), or whole `groups`", "subset.draw_by",
           optional=True, absent="items", wandb="draw_by"),
    Column("drawn_groups", int, "groups of the subset", "subset.groups.drawn", optional=True, wandb="groups"),
    Column("fraction", float, "share of the full training set", "subset.fraction", canonical, wandb="fraction"),
    Column("images", int, "images of the subset", "subset.size", wandb="size"),
    Column("subset_sha256", str, "hash of the subset's index list", "subset.sha256"),
    Column("seed", int, "seed that sets the three others unless they are given", "config.seed", wandb="seed"),
    Column("draw_seed", int, "seed of the subset's draw", "subset.draw_seed", wandb="draw_seed"),
    Column("init_seed", int, "seed of the network's first weights", "config.init_seed", wandb="init_seed"),
    Column("order_seed", int, "seed of order, augmentation and dropout", "config.order_seed", wandb="order_seed"),
    Column("parent", str, "checkpoint of another run that this one started from, as JSON", "parent", json_text,
           optional=True, audit=Audit("the checkpoints that runs went on from", "minor",
                                      "count no run beside the one it went on from")),
    Column("trunk", str, "shorter run whose first budget epochs this one took over, as JSON", "trunk", json_text,
           optional=True),
    Column("trunk_seconds", float, "seconds of training and evaluation that were taken over with it", "trunk",
           lambda trunk: trunk and sum(trunk["seconds"].values())),
    Column("weights", str, "what was taken of a file of weights, as JSON", "weights", _weights, optional=True,
           wandb="weights"),
    Column("budget", str, "`iterations` or `epochs`", "config.budget", wandb="budget"),
    Column("epochs", int, "budget epochs asked for", "config.epochs", wandb="epochs"),
    Column("iterations", int, "iterations of the whole run", "budget.iterations",
           audit=Audit("iterations", "major", "train all with the same epochs and recipe.batch_size", axis=True)),
    Column("batch_size", int, "images of a global batch", "config.recipe.batch_size"),
    Column("budget_epoch", int, "budget epochs done at the last evaluation", "", lambda r: _last(r, "budget_epoch")),
    Column("iteration", int, "iterations done at the last evaluation", "", lambda r: _last(r, "iteration")),
    Column("evaluations", int, "rows of `metrics.csv`", None,
           audit=Audit("the numbers of evaluations", "major", "train all with the same epochs", axis=True)),
    Column("precision", str, "arithmetic, such as `32` or `bf16-mixed`", "precision", str,
           wandb="trainer.precision",
           audit=Audit("precisions", "major", f"{AGAIN} with one trainer.precision")),
    Column("world_size", int, "number of ranks", "world_size", wandb="world_size",
           audit=Audit("the numbers of ranks", "major", f"{AGAIN} with one trainer.devices")),
    Column("threads", int, "CPU threads of each rank", "threads", optional=True,
           audit=Audit("CPU threads", "minor", "set trainer.threads")),
    Column("memory_format", str, "`channels_last` or `contiguous`", "memory_format",
           wandb="trainer.memory_format", audit=Audit("memory formats", "minor", "set trainer.memory_format")),
    Column("short_side", str, "pixels that images are shrunk to before they are cached", "short_side",
           short_side_in_words, optional=True, absent=short_side_in_words(None), wandb="data.short_side",
           audit=Audit("short sides that images are shrunk to", "major", f"{AGAIN} with one data.short_side")),
    Column("commit", str, "git commit of datavol, or its version", "sessions", _commits, optional=True,
           audit=Audit("the code's commits", "major", f"check one commit out, and {AGAIN}")),
    Column("code_changed", bool, "whether files differed from the commit", "sessions", _code_changed, optional=True),
    Column("own_code", str, "hashes of the user's modules that took part, as JSON", "config.code",
           lambda code: json_text(code) if code else None, optional=True, wandb="code",
           audit=Audit("sources of your own classes", "major", f"bring one version of them back, and {AGAIN}")),
    Column("versions", str, "versions of libraries, as JSON", "sessions",
           lambda sessions: _each(sessions, lambda session: json_text(session["versions"])),
           audit=Audit("versions of libraries", "minor", "use one environment for a study")),
    Column("machine", str, "devices, cores and platform", "sessions", _machines),
    Column("processor", str, "processor, and its instructions that matter to arithmetic", "sessions", _processors,
           optional=True, audit=Audit("processors", "minor", "train a study on one kind of machine")),
    Column("started", str, "time of the first start (ISO 8601, UTC)", "sessions", _started),
    Column("ended", str, "time of the end (ISO 8601, UTC)", "ended", optional=True),
    Column("seconds_train", float, "seconds of training, all budget epochs, a trunk's too", "seconds.train"),
    Column("seconds_val", float, "seconds of evaluation, all budget epochs, a trunk's too", "seconds.val"),
    *_evaluations(),
)  # fmt: skip
"""Facts of a run, in the order of the columns of `Study.runs`."""

EPOCH_COLUMNS = {
    "budget_epoch": "budget epochs done",
    "iteration": "iterations (optimiser steps) done",
    "images_seen": "training images seen, repeats counted",
    "lr": "learning rate of the budget epoch's last iteration",
    "<split>/images": "images counted",
    **{f"<split>/{name}": meaning for name, meaning in METRICS.items()},
    "seconds/<split>": "seconds of training, or of evaluation",
    "images_per_second": "training images per second",
}
"""Columns of `metrics.csv`, a row per budget epoch; `<split>` is `train`, `val`, or `train/clean_` as a prefix."""

WHOLE_EPOCH_COLUMNS = ("budget_epoch", "iteration", "images_seen")
FIRST_EPOCH_COLUMNS = (*WHOLE_EPOCH_COLUMNS, "lr")
