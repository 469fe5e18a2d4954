"""Opens WebDataset shards: tar archives whose members belong together by name, `000012.jpg` and `000012.cls`."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from datavol.cli.text import shown, typed
from datavol.config.data import WebDatasetConfig
from datavol.data.sources.files.file_table import cache_path, data_root, join_names, split_names
from datavol.data.sources.files.image_names import IMAGE_ENDINGS, kind_of
from datavol.data.sources.files.roles import split_role
from datavol.data.sources.rows import Rows, open_rows
from datavol.data.sources.split import Division, Opened
from datavol.data.sources.storage.archives import Archives, open_archives
from datavol.data.sources.storage.kept import Arrays, as_bytes, keep, read_kept
from datavol.errors import ConfigError

LABELS_FORMAT = "datavol shard labels 2"  # count up when labels are read otherwise
TAR = ".tar"
FIELDS = ("label", "class", "cls", "category", "class_name", "label_name")  # of a JSON object, that may be its label


def open_webdataset(data: WebDatasetConfig) -> Opened:
    """Open a folder of shards, parted by their names or by val_fraction."""
    for key, column in (("path", data.columns.path), ("split", data.columns.split)):
        if column is not None:
            raise ConfigError(
                f"data.columns.{key} must be left out with data=webdataset, whose images are found by their endings "
                f"and splits by the names of shards, got {shown(column)}; leave it out"
            )
    root, shards, left_out = _shards(data.root)
    roles = {os.path.relpath(shard, root): role_in(os.path.relpath(shard, root)) for shard in shards}
    unnamed = next((shard for shard, role in roles.items() if role is None), None)
    if unnamed is not None and any(roles.values()):
        raise ConfigError(
            f"shards must all be named for splits, as in train-000000.tar, or none of them, got {shown(unnamed)} among "
            "others that are; rename it"
        )
    cache = os.path.dirname(cache_path(root, data.cache_dir))
    archives = open_archives(root, shards, cache)
    paths, labels, bare = _labelled(archives, data.columns.label, cache)
    left_out += Counter({"samples without an image": bare})
    # By class, then by name whatever the shard, as a folder of the images would be
    order = sorted(range(len(paths)), key=lambda i: (labels[i], _parted(paths[i])[1], paths[i]))
    splits = [roles[_parted(paths[i])[0]] for i in order]
    ordered = [paths[i] for i in order], [labels[i] for i in order]
    rows = Rows(root, "data.root", archives, *ordered, splits, left_out=left_out)
    return open_rows(rows, Division.of(data), data.group)


def _shards(given: str | None) -> tuple[str, list[str], Counter[str]]:
    """List a folder's shards, or take the named one; count other files.

    Returns the folder, the shards and the other files by kind.
    """
    if given is not None and os.path.isfile(shard := os.path.abspath(os.path.expanduser(given))):
        return os.path.dirname(shard), [shard], Counter()
    root = data_root(given)
    files = sorted(str(path) for path in Path(root).rglob("*") if not path.is_dir())
    shards = [path for path in files if path.lower().endswith(TAR)]
    if not shards:
        raise ConfigError(f"data.root must hold shards that end in .tar, got none in {root}; check data.root")
    others = (os.fsencode(os.path.basename(path)) for path in files if not path.lower().endswith(TAR))
    return root, shards, Counter(map(kind_of, others))


def role_in(name: str) -> str | None:
    """Find the one split that a shard's name or folder has.

    >>> [role_in(name) for name in ("imagenet-train-000000.tar", "val/0001.tar", "shard-3.tar")]
    ['train', 'val', None]
    """
    words = re.split(r"[\W\d_]+", name[: -len(TAR)])
    roles = {role for word in words if word and (role := split_role(word))}
    return roles.pop() if len(roles) == 1 else None


def _parted(path: bytes) -> tuple[str, bytes]:
    """Part a member's path into its shard and its name there."""
    end = path.lower().index(f"{TAR}/".encode()) + len(TAR)
    return os.fsdecode(path[:end]), path[end + 1 :]


def _labelled(archives: Archives, column: str | None, cache_dir: str) -> tuple[list[bytes], list[str], int]:
    """List images and labels; count the samples without an image.

    They come from the cache if no shard changed.
    """
    facts = [LABELS_FORMAT, archives.place, *archives.parts, str(archives.stamps.tolist()), str(column)]
    name = hashlib.sha256("|".join(facts).encode(errors="surrogateescape")).hexdigest()
    path = os.path.join(cache_dir, f"labels-{name[:32]}.npz")
    kept = read_kept(path, _fits)
    if kept is not None:
        paths, labels = (split_names(kept[part].tobytes()) for part in ("paths", "labels"))
        return paths, [label.decode() for label in labels], int(kept["bare"])
    samples = _samples(archives)
    pairs = list(_read_labels(archives, samples, column))
    blobs = join_names(image for image, _ in pairs), join_names(label.encode() for _, label in pairs)
    bare = len(samples) - len(pairs)
    if archives.settled:
        keep(path, {"paths": as_bytes(blobs[0]), "labels": as_bytes(blobs[1]), "bare": np.array(bare)})
    return [image for image, _ in pairs], [label for _, label in pairs], bare


def _fits(kept: Arrays) -> bool:
    paths, labels = (kept[part].tobytes().count(b"\0") for part in ("paths", "labels"))
    return paths == labels and kept["bare"].shape == ()


Samples = dict[bytes, dict[str, bytes]]  # the members of each, by their endings


def _samples(archives: Archives) -> Samples:
    samples: Samples = {}
    for name in archives.names:
        folder, _, base = name.rpartition(b"/")
        sample, _, ending = base.partition(b".")  # the ending begins at the first dot, as in `1.seg.png`
        members, kind = samples.setdefault(folder + b"/" + sample, {}), os.fsdecode(ending).lower()
        if (other := members.setdefault(kind, name)) != name:
            raise ConfigError(
                f"a sample must have each ending once, got {shown(os.fsdecode(other))} and "
                f"{shown(os.fsdecode(base))} in {archives.place}; leave one in the shards"
            )
    return samples


def _read_labels(archives: Archives, samples: Samples, column: str | None) -> Iterator[tuple[bytes, str]]:
    """Read the label of each sample with an image."""
    held, _, field = (column or "").partition(".")
    for members in samples.values():
        images = [name for ending, name in members.items() if f".{ending}" in IMAGE_ENDINGS]
        if not images:
            continue
        where = f"{shown(os.fsdecode(images[0]))} in {archives.place}"
        if len(images) > 1:
            raise ConfigError(f"a sample must have one image, got {len(images)} of {where}; leave one in the shards")
        holder = held or next((ending for ending in ("cls", "json") if ending in members), "cls")
        if holder not in members:
            beside = sorted(ending for ending, name in members.items() if name != images[0])
            raise ConfigError(
                f"a sample must have its label in a member .cls or .json, got {where} with "
                f"{', '.join(beside) or 'nothing'} beside it; name its ending, as in data.columns.label=cls"
            )
        yield images[0], _label(archives.read(os.fsdecode(members[holder])), field, holder, f"{holder} of {where}")


def _label(content: bytes, field: str, ending: str, where: str) -> str:
    """Read a label: text, a number, or a JSON field."""
    try:
        text = content.decode().strip()
        value = json.loads(text) if ending == "json" else text
        json.dumps(value, ensure_ascii=False).encode()  # JSON may hold halves of letters, which are no text
    except (ValueError, RecursionError):
        raise ConfigError(f"a label must be text in UTF-8, or JSON, got {content[:20]!r} in {where}; mend it") from None
    if isinstance(value, dict):
        known = [name for name in ([field] if field else FIELDS) if name in value]
        if len(known) != 1:
            choice = typed("data.columns.label", f"{ending}.{next(iter(known or value), 'label')}")
            raise ConfigError(
                f"the label must be one field of the JSON object, got {', '.join(map(shown, value)) or 'none'} in "
                f"{where}; try {choice}"
            )
        value = value[known[0]]
    if not isinstance(value, (str, int)) or isinstance(value, bool) or not str(value).strip() or "\0" in str(value):
        raise ConfigError(f"a label must be text or a whole number, got {value!r} in {where}; mend it")
    return str(value).strip()
