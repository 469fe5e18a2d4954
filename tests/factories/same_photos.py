"""Writes the same photographs as folder, table, zip, tar, shards and tables of Arrow."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("bee", "cat", "dog")


def write_folder(root: Path, train: int = 6, val: int = 4, side: int = 40) -> Path:
    """`root/photos/{train,val}/<class>/<number>.jpg`, some of them PNG."""
    rng = np.random.default_rng(0)
    for part, images in (("train", train), ("val", val)):
        for label, name in enumerate(CLASSES):
            folder = root / "photos" / part / name
            folder.mkdir(parents=True)
            for i in range(images):
                pixels = rng.integers(0, 120, (side, side + i, 3), dtype=np.uint8) + np.uint8(60 * label)
                Image.fromarray(pixels).save(folder / f"{i:02d}.{'png' if i % 3 == 2 else 'jpg'}")
    return root / "photos"


def photos_of(folder: Path) -> list[tuple[str, str, Path]]:
    """(split, class, file) of all photographs, by split, class and name."""
    return [(*path.relative_to(folder).parts[:2], path) for path in sorted(folder.glob("*/*/*"))]


def as_folder(folder: Path, to: Path) -> list[str]:
    return ["data=image_folder", f"data.root={folder}"]


def as_table(folder: Path, to: Path) -> list[str]:
    rows = [f"{path},{label},{split}" for split, label, path in photos_of(folder)]
    (to / "labels.csv").write_text("\n".join(["path,label,split", *rows]))
    return ["data=table", f"data.table={to / 'labels.csv'}"]


def as_zip(folder: Path, to: Path) -> list[str]:
    with zipfile.ZipFile(to / "photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for split, label, path in reversed(photos_of(folder)):  # the order of members counts for nothing
            archive.write(path, f"photos/{split}/{label}/{path.name}")
    return ["data=image_folder", f"data.root={to / 'photos.zip'}"]


def as_tar(folder: Path, to: Path) -> list[str]:
    with tarfile.open(to / "photos.tar", "w") as archive:
        archive.add(folder, "./")
    return ["data=image_folder", f"data.root={to / 'photos.tar'}"]


def as_shards(folder: Path, to: Path) -> list[str]:
    for number, (split, label, path) in enumerate(photos_of(folder)):
        with tarfile.open(to / f"{split}-{number % 3:06d}.tar", "a") as shard:
            for name, content in ((path.suffix, path.read_bytes()), (".cls", label.encode())):
                member = tarfile.TarInfo(f"{label}/{path.stem}{name}")
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
    return ["data=webdataset", f"data.root={to}"]


def arrow_tables(folder: Path):
    from datasets import ClassLabel, Dataset, DatasetDict, Features
    from datasets import Image as ImageFeature

    classes = sorted({label for _, label, _ in photos_of(folder)})
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=classes)})
    tables = {}
    for split in ("train", "val"):
        photos = [(label, path) for part, label, path in photos_of(folder) if part == split]
        cells = [{"bytes": path.read_bytes(), "path": path.name} for _, path in photos]
        columns = {"image": cells, "label": [classes.index(label) for label, _ in photos]}
        tables["train" if split == "train" else "validation"] = Dataset.from_dict(columns, features=features)
    return DatasetDict(tables)


def as_arrow(folder: Path, to: Path) -> list[str]:
    arrow_tables(folder).save_to_disk(str(to / "arrow"))
    return ["data=hugging_face", f"data.root={to / 'arrow'}"]


def as_parquet(folder: Path, to: Path) -> list[str]:
    os.makedirs(to / "hub/data")
    for split, table in arrow_tables(folder).items():
        table.to_parquet(str(to / f"hub/data/{split}-00000-of-00001.parquet"))
    return ["data=hugging_face", f"data.root={to / 'hub'}"]


def as_bucket(folder: Path, to: Path) -> list[str]:
    """In fsspec's file system in memory, which forks inherit."""
    import fsspec

    place = f"/{to.name}"
    fsspec.filesystem("memory").put(str(folder), place, recursive=True)
    return ["data=image_folder", f"data.root=memory:/{place}"]


FORMS: dict[str, Callable[[Path, Path], list[str]]] = {
    "folder": as_folder,
    "table": as_table,
    "zip": as_zip,
    "tar": as_tar,
    "shards": as_shards,
    "arrow": as_arrow,
    "parquet": as_parquet,
    "bucket": as_bucket,
}
