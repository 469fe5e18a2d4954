"""Audits whether a study's subsets keep what their draws promise."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datavol.errors import ConfigError
from datavol.study.audit.findings import Finding, run_names
from datavol.study.load.kept import readable_subsets
from datavol.study.tables.overlap import Counts, class_counts, common_images, index_lists, most_images, subsets_of

FALSE_ALARM = 1e-6  # largest probability per data set that honest draws are reported for their overlap


def audit_subsets(finished: pd.DataFrame) -> Iterator[Finding]:
    """Audit the subsets below the full set, data set by data set."""
    below = finished[finished["fraction"] < 1]
    unknown = below[below["fingerprint"].isna() | below["folder"].isna()]
    if len(unknown):
        what = "the subsets could not be looked at: these records hold none"
        yield Finding("minor", "subsets", what, run_names(unknown), "load the study's folder instead")
    for _, runs in below.drop(unknown.index).groupby("fingerprint"):
        try:
            subsets = subsets_of(readable_subsets(runs))
            counts, lists = class_counts(subsets), index_lists(subsets)
        except ConfigError as error:
            what = f"the subsets could not be looked at: {error}"
            yield Finding("minor", "subsets", what, run_names(runs), "give the study's folder, whole")
            continue
        yield from _missing_classes(subsets, counts)
        yield from _equal(subsets)
        if len(subsets) > 1:
            common = common_images(lists, int(subsets["full_size"].iloc[0]))
            yield from _overlaps(subsets, common, counts)


def _missing_classes(subsets: pd.DataFrame, counts: Counts) -> Iterator[Finding]:
    absent = counts == 0  # (subsets, classes)
    missing = absent.any(axis=1)
    if missing.any():
        most = int(absent.sum(axis=1).max())
        what = f"{most} of {counts.shape[1]} classes have no training image, which makes the task an easier one"
        yield Finding("major", "classes", what, run_names(subsets[missing]), "take a larger fraction")


def _equal(subsets: pd.DataFrame) -> Iterator[Finding]:
    for _, equal in subsets.groupby("subset_sha256"):
        if len(equal) > 1:
            what = f"equal subsets claim to be different draws: {'; '.join(equal['subset'])}"
            yield Finding("major", "equal_subsets", what, run_names(equal), "train again with another draw_seed")


def _overlaps(subsets: pd.DataFrame, common: Counts, counts: Counts) -> Iterator[Finding]:
    # Dividing by the number of pairs (Bonferroni) bounds the probability of any false alarm among them.
    pairs = len(subsets) * (len(subsets) - 1) / 2
    promised = _both(subsets, "disjoint") & _equal_in(subsets, "draw_by")
    most = np.where(promised, 0, most_images(subsets, counts, FALSE_ALARM / pairs))
    for i, j in np.argwhere(np.triu((common > most) & _judged(subsets), 1)):  # above the diagonal: each pair once
        first, second = subsets.loc[i], subsets.loc[j]
        what = (
            f"subsets '{first['subset']}' and '{second['subset']}' share {common[i, j]:,} images, more than the "
            f"{most[i, j]:,} that {first['draw']} draws allow"
        )
        yield Finding("major", "overlap", what, (first["run"], second["run"]), "draw again with another draw_seed")


def _both(subsets: pd.DataFrame, draw: str) -> NDArray[np.bool_]:
    of_kind = (subsets["draw"] == draw).to_numpy()
    return np.outer(of_kind, of_kind)


def _equal_in(subsets: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    values, _ = pd.factorize(subsets[column])
    return np.equal.outer(values, values)


def _judged(subsets: pd.DataFrame) -> NDArray[np.bool_]:
    """Mask the pairs whose draws promise an overlap, shape (subsets, subsets).

    Leaves out imported lists, and equal subsets, which have a finding of their own.
    """
    listed = (subsets["draw"] == "listed").to_numpy()
    # Nested draws of one seed contain each other; blocks of one permutation at several fractions intersect.
    by_design = _both(subsets, "nested") & _equal_in(subsets, "draw_seed")
    by_design |= _both(subsets, "disjoint") & ~_equal_in(subsets, "fraction")
    by_design &= _equal_in(subsets, "draw_by")
    return ~(by_design | listed[:, None] | listed[None, :] | _equal_in(subsets, "subset_sha256"))
