"""Writes the pairs, pictures and lists of an audited data set."""

import base64
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from PIL import Image

from datavol.cli.text import shown
from datavol.data.duplicates.audited import Audited
from datavol.data.duplicates.findings import Said, findings, name_of
from datavol.data.duplicates.neighbours import Positions
from datavol.data.duplicates.pairs import KINDS
from datavol.data.images.decode import decode_pixels
from datavol.data.sources.arrays import ArraySplit
from datavol.data.subset_lists import list_line
from datavol.errors import RunError
from datavol.runs.files import write_json, write_whole

LISTED = 100_000  # pairs that the table lists; of more their number is told
SHOWN = 200  # groups that the page shows
OF_A_GROUP = 8  # images of a group that it shows
PIXELS = 128  # of the longer side of a picture


@dataclass(frozen=True)
class Picture:
    """Stores an image of a group for the page."""

    name: str
    label: str
    source: str  # a data URI; empty where the image can no longer be read


@dataclass(frozen=True)
class Group:
    """Stores a group of copies for the page."""

    title: str
    grave: bool  # it lies in train and val, or labels disagree
    pictures: list[Picture]
    more: int  # images that are not shown


def write_audit(found: Audited, folder: Path, command: str) -> None:
    """Write pairs, pictures, the images to leave out, and all numbers.

    Args:
        found: The audit.
        folder: Where to.
        command: What was typed, for the head of the list.
    """
    said = findings(found)
    write_whole(folder / "duplicates.csv", _table(found).encode())
    write_whole(folder / "leave_out.txt", _leave_out(found, command).encode())
    write_whole(folder / "duplicates.html", _page(found, said).encode())
    numbers = found.record(np.arange(len(found.source.train.labels)))
    values = {
        "data": found.source.name,
        "fingerprint": found.source.fingerprint,
        **numbers,
        "repeated_in_val": found.repeated(val=True),
        "pairs": {kind: int((found.pairs.table["kind"] == number).sum()) for number, kind in enumerate(KINDS)},
        "listed_pairs": min(LISTED, len(found.pairs.table)),
        "left_out": int(found.to_leave_out.sum()),
        "findings": [str(one) for one in said],
    }
    write_json(folder / "audit.json", values)


def _table(found: Audited) -> str:
    text, classes, labels = io.StringIO(), found.source.classes, found.labels
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kind", "bits", "first", "second", "first_label", "second_label"])
    for row in found.pairs.table[:LISTED]:
        both = int(row["first"]), int(row["second"])
        names, their = [shown(name_of(found, i)) for i in both], [shown(classes[labels[i]]) for i in both]
        writer.writerow([KINDS[row["kind"]], int(row["bits"]), *names, *their])
    return text.getvalue()


def _leave_out(found: Audited, command: str) -> str:
    where = np.flatnonzero(found.to_leave_out)
    head = f"# {len(where)} images without which no two are copies and none is damaged, for data.exclude"
    lines = [f"{head}; by {shown(command)}"]
    lines += [list_line(name_of(found, i)) for i in where.tolist()]
    return "\n".join(lines) + "\n"


def _page(found: Audited, said: list[Said]) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("page.html.jinja").read_text(encoding="utf-8"))
    members = _groups(found)
    groups = [_group(found, positions) for positions in members[:SHOWN]]
    return template.render(name=found.source.name, said=said, groups=groups, count=len(members)) + "\n"


def _groups(found: Audited) -> list[Positions]:
    """List the groups of copies, the gravest first.

    Those in both splits are the gravest, then those with several labels.
    """
    order = np.argsort(found.groups, kind="stable")
    starts = np.flatnonzero(np.diff(found.groups[order])) + 1
    members = [group for group in np.split(order, starts) if len(group) > 1]
    return sorted(members, key=lambda group: (-_gravity(found, group), int(group[0])))


def _gravity(found: Audited, group: Positions) -> int:
    return 2 * _in_both(found, group) + bool(found.disagreeing[group[0]])


def _in_both(found: Audited, group: Positions) -> bool:
    return len(np.unique(found.in_val[group])) > 1


def _group(found: Audited, group: Positions) -> Group:
    facts = ["in train and val"] if _in_both(found, group) else []
    facts += ["labels disagree"] if found.disagreeing[group[0]] else []
    title = ", ".join([f"{len(group)} images", *facts])
    return Group(title, bool(facts), [*_pictures(found, group[:OF_A_GROUP])], max(0, len(group) - OF_A_GROUP))


def _pictures(found: Audited, group: Positions) -> Iterator[Picture]:
    for position in group.tolist():
        label = shown(found.source.classes[found.labels[position]])
        yield Picture(shown(name_of(found, position)), label, _source(_pixels(found, position)))


def _pixels(found: Audited, position: int) -> Any:
    """Read an image's pixels; None if its file was removed meanwhile."""
    train = found.source.train
    split, i = (train, position) if position < len(train) else (found.source.val, position - len(train))
    if isinstance(split, ArraySplit):
        return split.images[i]
    try:
        return decode_pixels(split, i, found.rules)
    except RunError:
        return None


def _source(pixels: Any) -> str:
    if pixels is None:
        return ""
    image, content = Image.fromarray(np.ascontiguousarray(pixels)), io.BytesIO()
    image.thumbnail((PIXELS, PIXELS))
    image.save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
