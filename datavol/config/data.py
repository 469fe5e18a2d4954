"""Declares the keys of `conf/data/`."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from datavol.config.objects import ObjectConfig
from datavol.config.section import PathText, Section, Share, Text, at_least, key
from datavol.errors import ConfigError


def _class_name(value: Any) -> str:
    """Restore a class's name that Hydra read as null, boolean or number."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _pixel_range(value: Any) -> Any:
    """Read `[0, 4095]` as 12 bits: a range has one name."""
    if isinstance(value, (list, tuple)):
        known = [one for one in value if isinstance(one, (int, float)) and not isinstance(one, bool)]
        numbers = list(filter(math.isfinite, known))
        if len(value) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1]:
            raise ValueError("auto, the bits of pixels from 8 to 31, or [low,high]", "[0,4095]")
        bits = int(numbers[1]).bit_length()
        return bits if numbers[0] == 0 and numbers[1] == 2**bits - 1 and 8 <= bits <= 31 else tuple(map(float, value))
    if isinstance(value, int) and not (8 <= value <= 31 and not isinstance(value, bool)):
        raise ValueError("auto, the bits of pixels from 8 to 31, or [low,high]", "12")
    return value


def _named_colour(value: Any) -> Any:
    """Name white and black, so that a colour has one name."""
    named = {(255, 255, 255): "white", (0, 0, 0): "black"}
    return named.get(tuple(value), value) if isinstance(value, (list, tuple)) else value


Level = Annotated[int, Field(ge=0, le=255)]
Colour = Annotated[tuple[Level, Level, Level], Field(strict=False)]  # from a list, as YAML has
Channels = Annotated[tuple[float, ...], Field(strict=False, min_length=3, max_length=3)]  # from a list, as YAML has


class DataConfig(Section):
    """Declares the keys of every source."""

    name: str = key("a name for tables and the study", hashed=False, remedy="mine")
    image_size: int = key("the natural side of an image in pixels, at least 8", hashed=True, ge=8, remedy="32")
    resize: int = key(
        "the short side before the central crop of an evaluation in pixels, at least 8", hashed=True, ge=8, remedy="32"
    )
    mean: Channels = key("three channel means in [0, 1]", hashed=True, remedy="[0.485,0.456,0.406]")
    std: Channels = key("three channel deviations above 0", hashed=True, remedy="[0.229,0.224,0.225]")
    flip: Share = key("a probability from 0 to 1", hashed=True, remedy="0.5")
    crop_scale: float = key(
        "the smallest area of a random crop, above 0 and at most 1", hashed=True, gt=0, le=1, remedy="0.08"
    )
    classes: int | list[Annotated[str, BeforeValidator(_class_name)]] | None = key(
        "null (all), a number of classes or a list of names, at least 2", hashed=True, remedy="10"
    )
    images: int | None = key(
        "null (all) or how many training images serve as the full set, at least 1", hashed=True, ge=1, remedy="12000"
    )
    narrow_seed: int = key("a whole number of at least 0", hashed=True, ge=0, remedy="0")
    partition_seed: int = key("a whole number of at least 0", hashed=True, ge=0, remedy="0")
    exclude: PathText | None = key(
        "a text file with a line per image to leave out, such as train/cat/1.png, or null", hashed=True, added=None
    )
    audit: bool | Literal["auto"] = key("auto, true or false", hashed=False, remedy="auto", added="auto")
    workers: Annotated[int | Literal["auto"], at_least(0, "auto or at least 0", "auto")] = key(
        "auto or a whole number of at least 0", hashed=False, remedy="auto"
    )

    @model_validator(mode="after")
    def _check(self) -> DataConfig:
        few = self.classes if isinstance(self.classes, int) else len(set(self.classes or ("all", "of them")))
        if few < 2:
            raise ConfigError(
                f"data.classes must be null or at least 2 classes, got {self.classes}; try data.classes=10"
            )
        if min(self.std) <= 0:
            raise ConfigError(
                f"data.std must be three deviations above 0, got {list(self.std)}; try 'data.std=[0.229,0.224,0.225]'"
            )
        return self


class ImbalanceConfig(Section):
    """Declares how unequal a subset's classes are made."""

    profile: Literal["none", "long_tail", "step"] = key("none, long_tail or step", hashed=True, remedy="long_tail")
    ratio: float = key("the fullest class to the rarest, at least 1", hashed=True, ge=1, remedy="10")
    seed: int = key("a whole number of at least 0", hashed=True, ge=0, remedy="0")


VAL_FRACTION: dict[str, Any] = {"gt": 0, "lt": 1, "remedy": "0.2"}


class DigitsConfig(DataConfig):
    source: Literal["digits"] = key("digits", hashed=True)
    val_fraction: float = key("a share above 0 and below 1", hashed=True, **VAL_FRACTION)
    split_seed: int = key("a whole number of at least 0", hashed=True, ge=0, remedy="0")


class TorchvisionConfig(DataConfig):
    source: Literal["fashion_mnist", "cifar10", "cifar100"] = key("a data set of torchvision", hashed=True)
    root: PathText | None = key("a folder", hashed=False, remedy="/path/to/files")
    download: bool = key("true or false", hashed=False, remedy="true")


class FilesConfig(DataConfig):
    """Declares the keys of every source of image files."""

    root: PathText | None = key("a folder", hashed=False, remedy="/path/to/images")
    on_damaged: Literal["stop", "replace"] = key("stop or replace", hashed=True, remedy="stop")
    short_side: Annotated[int | Literal["auto"] | None, at_least(8, "auto, null or at least 8 pixels", "256")] = key(
        "auto, null (images as they are) or at least 8 pixels", hashed=True, remedy="256"
    )
    group: str | None = key(
        "null, folder, a column of the table or a regular expression on the path",
        hashed=True,
        added=None,
        min_length=1,
        remedy="folder",
    )
    exif: Literal["apply", "ignore"] = key("apply or ignore", hashed=True, added="apply", remedy="ignore")
    range: Annotated[int | tuple[float, float] | Literal["auto"], BeforeValidator(_pixel_range)] = key(
        "auto, the bits of pixels from 8 to 31, or [low,high]", hashed=True, added="auto", remedy="12"
    )
    alpha: Annotated[Literal["white", "black", "drop"] | Colour, BeforeValidator(_named_colour)] = key(
        "white, black, a colour such as [128,128,128], or drop", hashed=True, added="white", remedy="drop"
    )
    verify: bool = key("true or false", hashed=False, added=False, remedy="true")
    cache: Literal["auto", "off", "ram", "disk"] = key("auto, off, ram or disk", hashed=False, remedy="disk")
    cache_gb: float = key("gigabytes above 0", hashed=False, gt=0, remedy="100")
    cache_dir: PathText | None = key("a folder", hashed=False)


class ImageNetConfig(FilesConfig):
    source: Literal["imagenet"] = key("imagenet", hashed=True)
    val_solution: PathText | None = key("Kaggle's LOC_val_solution.csv", hashed=False)


class DividedConfig(FilesConfig):
    """Declares the division into train and val of undivided data."""

    val_fraction: float | None = key("a share above 0 and below 1, or null", hashed=True, **VAL_FRACTION)
    split_seed: int = key("a whole number of at least 0", hashed=True, ge=0, remedy="0")
    folds: int | None = key(
        "null, or in how many parts every image is validated on once, at least 2",
        hashed=True,
        added=None,
        ge=2,
        remedy="5",
    )
    fold: int = key("which of data.folds is validated on, from 0", hashed=True, added=0, ge=0, remedy="0")

    @model_validator(mode="after")
    def _check_folds(self) -> DividedConfig:
        if self.folds is not None and self.val_fraction is not None:
            raise ConfigError(
                f"data.val_fraction must be null with data.folds, got {self.val_fraction:g}; leave one of them out"
            )
        if self.fold >= (self.folds or 1):
            rule = f"below data.folds ({self.folds})" if self.folds else "0 without data.folds"
            raise ConfigError(f"data.fold must be {rule}, got {self.fold}; try data.fold=0")
        return self


class ImageFolderConfig(DividedConfig):
    source: Literal["image_folder"] = key("image_folder", hashed=True)
    train: PathText | None = key("a folder in data.root", hashed=True, added=None, remedy="train")
    val: PathText | None = key("a folder in data.root", hashed=True, added=None, remedy="val")


class ColumnsConfig(Section):
    """Declares which columns of a table hold paths, labels and splits.

    Columns are given by their names, or by numbers from 1.
    """

    path: Text | None = key("a column of paths", hashed=True, added=None, remedy="image")
    label: Text | None = key("a column of labels", hashed=True, added=None, remedy="breed")
    split: Text | None = key("a column of splits", hashed=True, added=None, remedy="fold")


class TableConfig(DividedConfig):
    source: Literal["table"] = key("table", hashed=True)
    table: PathText | None = key("a CSV file with the columns path, label and split", hashed=False)
    columns: ColumnsConfig = key("the columns of a table", hashed=True, added={})
    encoding: str | None = key("null (found out) or an encoding of Python's", hashed=False, added=None, remedy="cp1252")


class WebDatasetConfig(DividedConfig):
    source: Literal["webdataset"] = key("webdataset", hashed=True)
    columns: ColumnsConfig = key("what the columns are called", hashed=True, added={})


class HuggingFaceConfig(DividedConfig):
    source: Literal["hugging_face"] = key("hugging_face", hashed=True)
    columns: ColumnsConfig = key("what the columns are called", hashed=True, added={})


class OwnDataConfig(DividedConfig, ObjectConfig):
    """Declares a user's data set; further keys are its class's arguments."""

    source: Literal["own"] = key("own", hashed=True)


AnyData = Annotated[
    DigitsConfig
    | TorchvisionConfig
    | ImageNetConfig
    | ImageFolderConfig
    | TableConfig
    | WebDatasetConfig
    | HuggingFaceConfig
    | OwnDataConfig,
    Field(discriminator="source"),
]
