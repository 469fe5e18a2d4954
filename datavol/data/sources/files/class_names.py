"""Compares the names of classes as people read them."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from datavol.cli.text import shown
from datavol.data.sources.files.found import few
from datavol.errors import ConfigError

INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufeff]")


def as_read(name: str) -> str:
    r"""Return what people read: without spaces around, invisible characters and leading zeros.

    >>> as_read(" cat "), as_read("cafe\u0301") == as_read("caf\u00e9"), as_read("01"), as_read("1.0")
    ('cat', True, '1', '1')
    """
    name = unicodedata.normalize("NFC", " ".join(INVISIBLE.sub("", name).split()))
    number = re.fullmatch(r"([+-]?)0*(\d+)(\.0*)?", name, re.ASCII)
    return number[1].replace("+", "") + number[2] if number else name


def check_class_names(classes: Sequence[str], place: str, remedy: str) -> tuple[str, ...]:
    """Note classes that differ in upper and lower case only.

    Raises:
        ConfigError: If two read the same, or there is one only, for which `remedy` is.
    """
    if len(classes) < 2:
        raise ConfigError(f"data must have at least 2 classes, got one ({few(classes)}) in {shown(place)}; {remedy}")
    read: dict[str, str] = {}
    for name in classes:
        if (other := read.setdefault(as_read(name), name)) != name:
            raise ConfigError(
                f"classes must differ in more than spaces, zeros or Unicode forms, got {_both(other, name)} in "
                f"{shown(place)}; write them alike"
            )
    folded: dict[str, list[str]] = {}
    for name in read:
        folded.setdefault(name.casefold(), []).append(read[name])
    return tuple(
        f"classes {few(names)} differ in upper and lower case only" for names in folded.values() if len(names) > 1
    )


def check_same_classes(train: Iterable[str], val: Iterable[str], place: str) -> None:
    """Raise unless train and val have the same classes."""
    only_train, only_val = set(train) - set(val), set(val) - set(train)
    alike = {as_read(name).casefold(): name for name in only_val}
    for name in sorted(only_train):
        if (other := alike.get(as_read(name).casefold())) is not None:
            raise ConfigError(
                f"train and val must have the same classes in {shown(place)}, got {_both(name, other)}, which differ "
                "in case, spaces or Unicode form only; rename one"
            )
    for has, lacks, names in (("train", "val", only_train), ("val", "train", only_val)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ConfigError(
                f"train and val must have the same classes in {shown(place)}, got {min(names)!r}{more} in {has} only; "
                f"add {'them' if more else 'it'} to {lacks} or remove {'them' if more else 'it'}"
            )


def _both(first: str, second: str) -> str:
    """Write two names so that they differ on the screen."""
    look_alike = unicodedata.normalize("NFC", first) == unicodedata.normalize("NFC", second)
    first, second = (ascii(name) if look_alike or not name.isprintable() else repr(name) for name in (first, second))
    return f"{first} and {second}"
