"""Looks up keys of the schema and values that work when typed."""

import difflib
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from pydantic import TypeAdapter, ValidationError

from datavol.cli.text import typed
from datavol.config.objects import ObjectConfig
from datavol.config.run import Config
from datavol.config.section import PathText, Section, conf_dir, keys_of, marks

ELSEWHERE = {
    "epochs": ("max_epochs", "num_epochs", "n_epochs", "nb_epochs", "epoch", "num_train_epochs"),
    "recipe.batch_size": ("bs", "batch", "train_batch_size", "per_device_train_batch_size"),
    "recipe.optimiser.name": ("optimizer", "optimiser", "optim", "opt", "recipe.optimizer", "recipe.optimiser"),
    "recipe.optimiser.lr": ("learning_rate", "base_lr", "lr0", "max_lr"),
    "recipe.optimiser.weight_decay": ("wd",),
    "recipe.schedule.name": ("scheduler", "lr_scheduler", "schedule", "sched"),
    "recipe.accumulate": ("accumulate_grad_batches", "gradient_accumulation_steps", "grad_accum_steps", "grad_accum"),
    "recipe.clip_norm": ("gradient_clip_val", "clip_grad", "clip_grad_norm", "max_grad_norm", "grad_clip"),
    "recipe.ema.decay": ("ema", "model_ema", "ema_decay", "model_ema_decay", "recipe.ema"),
    "recipe.augment.auto": ("auto_augment", "autoaugment", "aa", "randaugment"),
    "recipe.freeze": ("freeze_backbone", "freeze_layers", "frozen"),
    "recipe.layer_decay": ("layerwise_lr_decay", "llrd"),
    "trainer.sync_batchnorm": ("sync_bn", "syncbn", "sync_batch_norm"),
    "recipe.dropout": ("drop", "drop_rate"),
    "recipe.label_smoothing": ("smoothing",),
    "trainer.devices": ("gpus", "num_gpus", "n_gpus", "ngpus", "nproc_per_node", "num_devices"),
    "trainer.num_nodes": ("nodes", "nnodes"),
    "trainer.precision": ("amp", "fp16", "bf16", "mixed_precision", "use_amp"),
    "trainer.accelerator": ("device", "cuda"),
    "model.name": ("arch", "backbone", "architecture", "network"),
    "model.weights": ("pretrained", "checkpoint_path", "pretrained_weights", "ckpt_path", "ckpt"),
    "data.root": ("data_dir", "data_path", "path", "dir", "dataset_path", "image_dir"),
    "data.image_size": ("img_size", "imgsz", "input_size", "image_size"),
    "data.workers": ("num_workers", "n_workers"),
    "data.classes": ("num_classes", "n_classes", "nc"),
    "data.val_fraction": ("val_split", "validation_split", "val_size", "valid_size"),
    "data": ("dataset", "datasets"),
    "fraction": ("frac", "subset", "portion", "train_fraction", "data_fraction", "train_size"),
    "seed": ("random_seed", "random_state", "manual_seed"),
    "logger": ("wandb", "use_wandb", "loggers", "no_wandb"),
    "study": ("project", "experiment_name", "exp_name", "exp", "name", "run_name", "output_dir", "out_dir", "save_dir"),
    "sweep.parallel": ("jobs", "n_jobs", "num_jobs", "max_workers"),
}
"""Keys, by what other tools call them; the section in front of a name counts for nothing."""

FAMILIES = {
    **{"vit": "vit_base_patch16_224", "deit": "deit_small_patch16_224", "swin": "swin_tiny_patch4_window7_224"},
    **{"convnext": "convnext_tiny", "efficientnet": "efficientnet_b0", "densenet": "densenet121", "vgg": "vgg16"},
    **{"mobilenet": "mobilenetv3_large_100", "regnet": "regnety_008", "inception": "inception_v3"},
}
"""A network of timm for each family's name; timm itself would take seconds to import."""

INSTEAD = {
    "resume": "leave it out: runs resume by themselves",
    "multirun": "try -m",
    "debug": "try --debug",
    "config_dir": "try --config-dir DIR",
}
"""Names of what datavol does without a key."""

OTHER_NAMES = {name: key for key, names in ELSEWHERE.items() for name in names}


def sections_in(annotation: Any) -> list[type[Section]]:
    """List the sections that a type annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections_in(part)]


def field_of(path: Sequence[str]) -> tuple[list[type[Section]], Any]:
    """Return the sections that a path ends in, and its field."""
    sections: list[type[Section]] = [Config]
    for depth, part in enumerate(path):
        fields = [keys_of(section)[part] for section in sections if part in keys_of(section)]
        if not fields or depth == len(path) - 1:
            return sections, fields[0] if fields else None
        sections = [inner for field in fields for inner in sections_in(field.annotation)]  # several for a union
    return sections, None


def all_keys(section: type[Section] = Config, prefix: str = "") -> list[str]:
    """List every key of the schema by its path."""
    keys = []
    for name, field in keys_of(section).items():
        inner = sections_in(field.annotation)
        keys += [prefix + name, *(key for one in inner for key in all_keys(one, f"{prefix}{name}."))]
    return keys


def owners_of(key: str) -> list[str]:
    """List a group's choices that have a key which others lack."""
    group, _, name = key.partition(".")
    members = sections_in(Config.model_fields[group].annotation)
    owners = [member for member in members if name in keys_of(member)]
    if len(owners) == len(members) or not name:
        return []
    return [choice for owner in owners for choice in _choices_of(group, owner)]


def _choices_of(group: str, section: type[Section]) -> list[str]:
    """List the choices of a group whose keys a section declares."""
    if issubclass(section, ObjectConfig):
        return ["own"]
    if group == "model":
        return [choice for choice in choices(group) if choice != "own"]
    return list(get_args(keys_of(section)["source" if group == "data" else "name"].annotation))


def meant(name: str, known: Sequence[str]) -> str | None:
    """Find the key that a name of nothing stands for."""
    last = name.rpartition(".")[2].replace("-", "_")
    # What another tool calls it, a key without its section ("lr" for "recipe.optimiser.lr"), then a slip of the fingers
    if key := OTHER_NAMES.get(name) or OTHER_NAMES.get(last):
        return key
    if same_end := [key for key in known if key.endswith(f".{last}")]:
        return same_end[0]
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.7)), None)


def remedy(key: str, got: str | None = None) -> str | None:
    """Write an override of a key that works, near to `got`.

    >>> remedy("fraction", "5%"), remedy("fraction", "[0.1,0.2]"), remedy("trainer.precision", "bf16")
    ('fraction=0.05', '-m fraction=0.1,0.2', 'trainer.precision=bf16-mixed')
    """
    if (conf_dir() / key).is_dir():
        return choice_of(key, got or "")
    if inner := sections_in(_annotation(key)):  # a value was given to a section: one of its keys takes it, or its first
        keys = [f"{key}.{name}" for name in keys_of(inner[0])]
        return next((remedy(one, got) for one in keys if got and takes(one, got)), remedy(keys[0], got))
    if got is not None:
        several = list(dict.fromkeys(_several(got)))
        if several and all(takes(key, one) for one in several):
            return f"{'-m ' * (len(several) > 1)}{key}={','.join(several)}"
        for value in _near(key, got):
            if takes(key, value):
                return shlex.quote(f"{key}={value}")
    common = usual(key)
    return None if common is None else shlex.quote(f"{key}={common}")


def choice_of(group: str, got: str, known: Sequence[str] = ()) -> str:
    """Choose the option of a group nearest to `got`, or its provider."""
    if group == "data" and re.search(r"[/~\\]|\.(csv|tsv|txt)$|^\.", got):
        return data_at(got)
    known = known or choices(group)
    if "own" in known and re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", got):
        return f"{group}=own {group}._target_={got}"
    if group == "trainer" and (got.isdecimal() or got in ("cuda", "mps")):
        return f"trainer.devices={got}" if got.isdecimal() else "trainer=gpu" if got == "cuda" else "trainer=auto"
    if group == "model" and (network := FAMILIES.get(got.lower())):
        return f"model=timm model.name={network}"
    if group == "model" and re.search(r"[\d_]", got) and not difflib.get_close_matches(got.lower(), known, cutoff=0.8):
        return f"model=timm {remedy('model.name', got)}"  # which has a thousand
    return f"{group}={next(iter(difflib.get_close_matches(got.lower(), known, n=1, cutoff=0.4)), known[0])}"


def data_at(path: str) -> str:
    """Write the overrides for data that lie at a path."""
    if path.lower().endswith((".csv", ".tsv", ".txt")):
        return f"data=table {typed('data.table', path)}"
    return f"data=image_folder {typed('data.root', path)}"


def takes_text(key: str) -> bool:
    """Return whether a key takes any text, such as a path."""
    return bool({str, PathText} & _types(key))


def takes_path(key: str) -> bool:
    """Return whether a key takes a file or a folder."""
    return PathText in _types(key)


def _types(key: str) -> set[Any]:
    """List the types of a key's field, unions taken apart."""
    field = field_of(key.split("."))[1]
    return set() if field is None else {field.annotation, *get_args(field.annotation)}


def choices(group: str, more: Sequence[Path] = ()) -> list[str]:
    """List what `conf/` and further folders have in a group."""
    folders = [folder / group for folder in (conf_dir(), *more)]
    files = ((folder, file) for folder in folders for file in folder.rglob("*.yaml"))
    return sorted({file.relative_to(folder).with_suffix("").as_posix() for folder, file in files})


def usual(key: str) -> str | None:
    """Return a value that a key takes; None if none is known."""
    field = field_of(key.split("."))[1]
    options = _options(field.annotation)
    return marks(field)["remedy"] or (options[0] if options else None)


def takes(key: str, text: str) -> bool:
    """Return whether a key takes a value, as typed."""
    field = field_of(key.split("."))[1]
    try:
        override = OverridesParser.create().parse_override(f"{key}={text}")
        if override.is_sweep_override():
            return False
        parts = (field.annotation, *field.metadata, key)
        limited: Any = Annotated[parts]
        TypeAdapter(limited, config=Section.model_config).validate_python(override.value())
    except (HydraException, ValidationError, ValueError):
        return False
    return True


def _annotation(key: str) -> Any:
    return field_of(key.split("."))[1].annotation


def _options(annotation: Any) -> list[str]:
    """List the words that a type takes."""
    if get_origin(annotation) is Literal:
        return [str(option) for option in get_args(annotation)]
    if annotation is bool:
        return ["false", "true"]
    if annotation is type(None):
        return ["null"]
    return [option for part in get_args(annotation) for option in _options(part)]


def _several(got: str) -> list[str]:
    """Split `0.1,0.2`, `[0.1,0.2]`, `0.1;0.2` or `0-4`; none of one value."""
    if (ends := re.fullmatch(r"(\d+)(?:-|:|\.\.)(\d+)", got.strip())) and 0 < int(ends[2]) - int(ends[1]) < 20:
        return [str(one) for one in range(int(ends[1]), int(ends[2]) + 1)]
    values = [value.strip() for value in re.split("[,;]", got.strip("[]()"))]
    return values if len(values) > 1 and all(values) else []


def _near(key: str, got: str) -> Iterator[str]:
    """Guess what a value was meant to be, the likeliest first."""
    bare = re.sub(r"""^(["'])(.*)\1$""", r"\2", got.strip().lstrip("="))
    yield bare
    yield bare.rstrip(", ;")
    if re.fullmatch(r"\d+,\d+", bare):  # a decimal comma
        yield bare.replace(",", ".")
    if number := re.fullmatch(r"(\d+(?:\.\d+)?) ?(%|pct|percent)?", bare):
        per_cent = number[2] or ("." not in bare and key == "fraction")
        yield f"{float(number[1]) / 100:.10g}" if per_cent else f"{float(number[1]):.0f}"
    if ratio := re.fullmatch(r"(\d+)/([1-9]\d*)", bare):
        yield f"{int(ratio[1]) / int(ratio[2]):.6g}"
    if several := _several(bare):
        yield f"[{','.join(several)}]"
    words = _options(_annotation(key))
    yield {"all": "auto", "-1": "auto"}.get(bare, bare)
    start = re.sub(r"^(fp|float)(?=\d)", "", bare)  # fp16
    yield from [word for word in words if start and word.startswith(start)]
    yield from difflib.get_close_matches(bare.lower(), words, n=1)
    if bare not in ("", "null", "true", "false"):  # a path or a name with letters that Hydra does not take bare
        yield shlex.split(typed(key, bare))[0].partition("=")[2]
