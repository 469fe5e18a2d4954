"""Audits a data set for images that it holds more than once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from datavol.config.data import DataConfig, FilesConfig
from datavol.data.duplicates.hashes import Hashes
from datavol.data.duplicates.kept import kept_file, kept_table
from datavol.data.duplicates.neighbours import Positions
from datavol.data.duplicates.pairs import IDENTICAL, PAIR, Pairs, find_pairs
from datavol.data.duplicates.reading import hash_splits
from datavol.data.images.pixel_rules import PLAIN, PixelRules, rules_of
from datavol.data.sources.files.file_table import FileSplit
from datavol.data.sources.open import Source
from datavol.data.sources.storage.kept import keep

Mask = NDArray[np.bool_]  # (images,), training images first, then those of validation


@dataclass(frozen=True, eq=False)
class Audited:
    """Holds the pairs of copies among the images of a source.

    Positions count train, then val.
    """

    source: Source
    pairs: Pairs
    damaged: Mask
    excluded: Mask  # images that `data.exclude` leaves out already
    rules: PixelRules = PLAIN  # by which files became pixels

    @cached_property
    def labels(self) -> Positions:
        """Join the labels of train and val (images,)."""
        return np.concatenate([self.source.train.labels, self.source.val.labels])

    @cached_property
    def in_val(self) -> Mask:
        """Flag the validation images."""
        return np.arange(len(self.labels)) >= len(self.source.train.labels)

    @cached_property
    def groups(self) -> Positions:
        """Number the groups of images that pairs connect (images,)."""
        return self.pairs.groups()

    @cached_property
    def disagreeing(self) -> Mask:
        """Flag images of which a copy has another label."""
        return self._differ(self.labels, self.groups)

    def leaked(self, subset: Positions | None = None, identical: bool = False) -> Mask:
        """Flag validation images with a copy in train (or in `subset`).

        With `identical`, only by their file or pixels.
        """
        groups = self.pairs.groups(IDENTICAL) if identical else self.groups
        trained = groups[: len(self.source.train.labels)]
        return self.in_val & np.isin(groups, trained if subset is None else trained[subset])

    def repeated(self, val: bool = False, subset: Positions | None = None) -> int:
        """Count the images of a set that repeat an earlier one there.

        The set is train, `subset` of it, or val.
        """
        groups = self.groups[self.in_val == val]
        groups = groups if subset is None else groups[subset]
        return len(groups) - len(np.unique(groups))

    @cached_property
    def to_leave_out(self) -> Mask:
        """Flag the damaged images, and those without which no two are copies.

        Of a group the first validation image stays, else the first of train; none where labels disagree, since nobody
        knows which is right.
        """
        first_val = np.argsort(~self.in_val, kind="stable")  # validation images first, each in order
        candidates = first_val[~self.excluded[first_val]]
        _, first = np.unique(self.groups[candidates], return_index=True)
        leave = np.ones(len(self.labels), dtype=bool)
        leave[candidates[first]] = False
        return leave | self.disagreeing | self.damaged

    def record(self, subset: Positions) -> dict[str, int]:
        """Describe it as `subset.json` does, for one subset."""
        return {
            "images": len(subset),
            "repeated": self.repeated(subset=subset),
            "validation_images": len(self.source.val.labels),
            "leaked": int(self.leaked(subset).sum()),
            "leaked_identical": int(self.leaked(subset, identical=True).sum()),
            "disagreeing": int(self.disagreeing.sum()),
            "damaged": int(self.damaged.sum()),
        }

    @staticmethod
    def _differ(labels: Positions, groups: Positions) -> Mask:
        # The least and the largest label of each group
        least, most = np.full(len(groups), len(groups)), np.full(len(groups), -1)
        np.minimum.at(least, groups, labels)
        np.maximum.at(most, groups, labels)
        return (least < most)[groups]


def audit_source(source: Source, data: DataConfig, threads: int, excluded: Positions | None = None) -> Audited:
    """Hash every image of train and val once, and pair the copies.

    Hashes and pairs are kept for the next time.

    Args:
        source: The opened data.
        data: Its keys, of which `cache_dir` says where to keep what is found, as for file tables.
        threads: Images decoded at a time.
        excluded: Positions that are not looked for copies.

    Raises:
        ConfigError: If the pixels do not fit their rules.
        RunError: If the disk does not give a file.
    """
    rules, cache_dir = PLAIN, None
    if isinstance(data, FilesConfig) and isinstance(source.train, FileSplit):
        rules, cache_dir = rules_of(data, source.train), data.cache_dir  # as in training
    hashes = hash_splits([source.train, source.val], rules, cache_dir, threads)
    out = np.zeros(len(hashes), dtype=bool)
    if excluded is not None:
        out[excluded] = True
    damaged = (hashes["side"] == 0) & ~out
    return Audited(source, _pairs(hashes, out, cache_dir, threads), damaged, out, rules)


def _pairs(hashes: Hashes, excluded: Mask, cache_dir: str | None, threads: int) -> Pairs:
    """Find pairs, unless they were found before among the same images."""
    looked = hashes.copy()
    looked["side"][excluded] = 0
    looked["stamp"] = 0  # a file that was touched looks as it did
    file = kept_file("pairs", looked.tobytes(), cache_dir)
    table = kept_table(file, PAIR)
    if table is None:
        table = find_pairs(looked, threads).table
        keep(file, {"table": table})
    return Pairs(table, len(hashes))
