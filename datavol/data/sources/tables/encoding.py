"""Turns the bytes of a table into text, in the encoding that they are in."""

import codecs
import re
import unicodedata
from collections.abc import Iterator

from datavol.cli.text import shown
from datavol.data.sources.tables.columns import Table
from datavol.errors import ConfigError

MARKS = (  # of the byte order; those of UTF-32 begin as those of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
OLDER = ("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp932", "gb18030", "big5", "cp949", "mac_roman", "cp437")
NAMED = 3  # readings in a message
SAMPLED = 1000  # lines that are looked at
SAME_SCRIPT = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "KATAKANA-HIRAGANA": "CJK"}  # which Japanese mixes
PUNCTUATION = "\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u00b0\u00a0\u00ab\u00bb"


def readings(content: bytes) -> list[str]:
    """List the encodings that a file may be in.

    Each makes another text of it. Text of 8 bits may be in those encodings of the world that make words of it.
    """
    for mark, known in MARKS:
        if content.startswith(mark):
            return [known]
    if wide := _without_mark(content):
        return [wide]
    try:
        content.decode()
    except UnicodeDecodeError:
        return list(_older(content).values())
    return ["utf-8"]


def decode(content: bytes, encoding: str, table: Table) -> str:
    """Return the text of a file in an encoding."""
    try:
        return content.decode(encoding)
    except LookupError:
        raise ConfigError(
            f"data.encoding must be an encoding that Python knows, got {encoding!r}; try data.encoding=cp1252"
        ) from None
    except UnicodeError as error:
        raise ConfigError(
            f"data.encoding must be that of the table, got {encoding}, in which {shown(table.path)} has no meaning "
            f"({error}); leave data.encoding out, or try data.encoding=cp1252"
        ) from None


def _without_mark(content: bytes) -> str | None:
    """Recognise UTF-16 without its mark by the NULs of plain letters."""
    head = content[:200]
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        halves = head[start::2], head[1 - start :: 2]
        if len(head) > 3 and halves[0].count(0) > 0.8 * len(halves[0]) and not halves[1].count(0):
            return encoding
    return None


def several_readings(content: bytes, table: Table) -> ConfigError:
    """Word a table whose text may be read in several ways."""
    lines = content.splitlines()
    number = next(i for i, line in enumerate(lines) if not line.isascii())
    choices = readings(content)[:NAMED]
    texts = [lines[number].decode(encoding, "replace") for encoding in choices]
    got = " or ".join(f"{shown(text)} ({encoding})" for text, encoding in zip(texts, choices, strict=True))
    commands = [f"{table.command} data.encoding={encoding}".strip() for encoding in choices]
    return ConfigError(
        f"{table.key} must be UTF-8 or of one other reading, got {got or ascii(lines[number])} on line {number + 1} of "
        f"{shown(table.path)}; try what reads right: {', or '.join(commands) or 'data.encoding=cp1252'}"
    )


def _older(content: bytes) -> dict[str, str]:
    """Find encodings older than UTF-8 that make words of a text.

    They are listed by the text that they make of its lines beyond ASCII; of several for one text the first counts.
    """
    # charset-normalizer needs more text than labels are: of `Kröte` in cp1252 it makes Chinese
    lines = list(dict.fromkeys(line for line in content.splitlines() if not line.isascii()))[:SAMPLED]
    found: dict[str, str] = {}
    for encoding in OLDER:
        try:
            text = b"\n".join(lines).decode(encoding)
        except UnicodeDecodeError:
            continue
        if all(map(_is_word, _words(text))):
            found.setdefault(text, encoding)
    return found


def _words(text: str) -> Iterator[str]:
    """Yield words with letters beyond ASCII, and other signs beyond it."""
    for word in re.findall(r"[^\W\d_]+|[^\x00-\x7f]", text):
        if not word.isascii():
            yield word


def _is_word(word: str) -> bool:
    """Return whether people write such a word.

    >>> [_is_word(word) for word in ("café", "caf\u0439", "caf\u00c8", "\u00ea\u00ee\u00f8\u00ea\u00e0")]
    [True, False, False, False]
    """
    if not word.isalpha():
        return word in PUNCTUATION
    scripts = {SAME_SCRIPT.get(name, name) for name in (unicodedata.name(letter, "?").split()[0] for letter in word)}
    capital_inside = re.search(r"[a-z\u00df-\u00f6\u00f8-\u00ff][A-Z\u00c0-\u00d6\u00d8-\u00de]", word)
    # Words of other alphabets are accents in a row once they are read in the Latin one
    accents = "LATIN" in scripts and re.search(r"[^\x00-\x7f]{3}", word)
    return len(scripts) == 1 and "?" not in scripts and not capital_inside and not accents
