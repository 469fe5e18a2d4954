"""Audits the data of a study once before it trains, where that costs little."""

from collections.abc import Sequence
from dataclasses import replace

from datavol.config.run import Run
from datavol.data.duplicates.audited import Audited, audit_source
from datavol.data.duplicates.findings import findings
from datavol.data.prepare import Prepared
from datavol.data.sources.files.file_table import FileSplit
from datavol.data.sources.open import Source
from datavol.runs.provenance import cores
from datavol.runs.randomness import permutation

MOST_IMAGES, MOST_BYTES = 100_000, 1e9
"""Up to which `data.audit=auto` looks: some ten thousand photographs, or Fashion-MNIST; about a minute of two cores."""
SAMPLE = 64  # files whose sizes tell those of all


def audit_prepared(runs: Sequence[Run], prepared: Sequence[Prepared]) -> tuple[list[Prepared], list[str]]:
    """Audit the data of checked runs, each data set once.

    Returns:
        The prepared data with what was found, and lines that say so.

    Raises:
        RunError: If the disk does not give a file.
    """
    lines: list[str] = []
    audits: dict[int, Audited | None] = {}  # by the source's identity; None where there is too much to look at
    for run, one in zip(runs, prepared, strict=True):
        data, source = run.config.data, one.source
        if id(source) in audits or data.audit is False:
            continue
        if data.audit == "auto" and (size := _size(source)) is not None:
            command = " ".join(["python -m datavol.audit", *_data_overrides(run)])
            lines.append(f"{size} were not looked through for images that are there twice; try {command}")
            audits[id(source)] = None
            continue
        audits[id(source)] = found = audit_source(source, data, cores())
        told = [str(said) for said in findings(found) if said.severity != "note"]
        lines += [f"audit: {line}" for line in told]
        if told:
            command = " ".join(["python -m datavol.audit", *_data_overrides(run)])
            lines.append(f"audit: pictures, and a list of images to leave out: {command}")
        elif isinstance(source.train, FileSplit):  # arrays that come with a package are known
            lines.append(f"audit: no image is there twice among {len(found.labels):,}")
    both = [(one, audits.get(id(one.source))) for one in prepared]
    return [replace(one, duplicates=found.record(one.subset.indices)) if found else one for one, found in both], lines


def _data_overrides(run: Run) -> list[str]:
    """Select the overrides that choose the data."""
    return [text for text in run.overrides if text.partition("=")[0].partition(".")[0] == "data"]


def _size(source: Source) -> str | None:
    """Write the data's size if `data.audit=auto` would skip it; else None."""
    images, size = len(source.train.labels) + len(source.val.labels), 0.0
    for split in (source.train, source.val):
        if isinstance(split, FileSplit):
            stamps = [split.stamp(i) for i in permutation(len(split), "audit")[:SAMPLE].tolist()]
            sizes = [stamp[0] for stamp in stamps if stamp is not None]
            size += len(split) * sum(sizes) / max(1, len(sizes))
    if images <= MOST_IMAGES and size <= MOST_BYTES:
        return None
    return f"{images:,} images" + (f" of about {size / 1e9:.2g} GB" if size else "")
