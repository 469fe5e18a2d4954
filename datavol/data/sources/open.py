"""Opens the data set of `conf/data` without decoding an image."""

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property

from datavol.config.data import (
    AnyData,
    DigitsConfig,
    HuggingFaceConfig,
    ImageFolderConfig,
    ImageNetConfig,
    OwnDataConfig,
    TableConfig,
    TorchvisionConfig,
    WebDatasetConfig,
)
from datavol.data.sources.arrays import cifar, digits, fashion_mnist
from datavol.data.sources.exclude import exclude
from datavol.data.sources.files.content import content_of
from datavol.data.sources.files.file_table import FileSplit, join_names
from datavol.data.sources.files.found import Found, Sizes
from datavol.data.sources.files.verified import verified_content
from datavol.data.sources.folders.image_folder import open_image_folder
from datavol.data.sources.folders.imagenet import open_imagenet
from datavol.data.sources.groups import Groups, count_groups
from datavol.data.sources.hugging_face import open_hugging_face
from datavol.data.sources.own import open_own
from datavol.data.sources.restrict import restrict
from datavol.data.sources.split import Classes, Division, Opened, Split, hold_out
from datavol.data.sources.tables.table import open_table
from datavol.data.sources.webdataset import open_webdataset


@dataclass(frozen=True, eq=False)
class Source:
    """Holds an opened data set."""

    name: str  # the config's source, such as `digits`
    classes: Classes  # their names, in the order of the labels
    train: Split  # the images that subsets are drawn from
    val: Split  # the images that every run is evaluated on
    fingerprint: str  # sha256 over the class names and both splits' labels and keys (files) or pixels (arrays)
    found: Found = field(default_factory=Found)  # what was taken for what, of files
    groups: Groups | None = None  # of data.group, as train and val have them
    verify: bool = False  # `data.verify`
    cache_dir: str | None = None

    @cached_property
    def sizes(self) -> Sizes:
        """Count the images of each class."""
        return Sizes.of(self.classes, self.train.labels, self.val.labels)

    @property
    def lines(self) -> list[str]:
        """Describe what was found, for `announce`; nothing for labels without images."""
        return self.sizes.lines(self.found) + (self.groups.lines if self.groups else [])

    @cached_property
    def content(self) -> str | None:
        """Hash sizes and sampled bytes of files; None for arrays.

        An array's fingerprint covers its pixels.
        """
        return content_of(self._files) if self._files else None

    @cached_property
    def content_sha256(self) -> str | None:
        """Hash all bytes of all files; None for arrays, and without data.verify."""
        return verified_content(self._files, self.cache_dir) if self._files and self.verify else None

    @property
    def _files(self) -> list[FileSplit]:
        return [split for split in (self.train, self.val) if isinstance(split, FileSplit)]


def open_source(data: AnyData) -> Source:
    """Open the data set that `data` names, trusting file names.

    Raises:
        ConfigError: If the source does not find on disk what it needs.
    """
    # Both splits are of one kind, which the types cannot say
    classes, train, val, found = _open(data)
    classes, train, val = restrict(data, classes, train, val)  # type: ignore[type-var]
    if data.exclude is not None:
        train, val, excluded = exclude(data.exclude, classes, train, val)  # type: ignore[type-var]
        found = replace(found, left_out=found.left_out + Counter({f"listed in {data.exclude}": excluded}))
    content = hashlib.sha256(join_names(map(os.fsencode, classes)) + train.digest() + val.digest())
    groups = None
    if train.groups is not None and val.groups is not None:
        groups = count_groups(str(getattr(data, "group", None) or "groups"), found.groups, train.groups, val.groups)
    verify, cache_dir = getattr(data, "verify", False), getattr(data, "cache_dir", None)
    return Source(data.source, classes, train, val, content.hexdigest(), found, groups, verify, cache_dir)


def _open(data: AnyData) -> Opened:
    match data:
        case DigitsConfig():
            classes, whole = digits()
            division = Division(data.val_fraction, data.split_seed)
            return classes, *hold_out(whole, division), Found(data.source, val=str(division))
        case TorchvisionConfig(source="fashion_mnist"):
            return *fashion_mnist(data.root, data.download), Found(data.source)
        case TorchvisionConfig():
            return *cifar(data.source, data.root, data.download), Found(data.source)
        case ImageNetConfig():
            return open_imagenet(data)
        case ImageFolderConfig():
            return open_image_folder(data)
        case TableConfig():
            return open_table(data)
        case WebDatasetConfig():
            return open_webdataset(data)
        case HuggingFaceConfig():
            return open_hugging_face(data)
        case OwnDataConfig():
            return open_own(data)
    raise TypeError(f"a source without a reader: {data!r}")
