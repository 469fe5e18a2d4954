"""Hashes all bytes of all files of a data set, each once.

What was read is remembered beside the file tables, by the file's key, size and times, so that it is read again only
if they change.
"""

import hashlib
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tqdm import tqdm

from datavol.cli.console import announce
from datavol.data.sources.files.file_table import FileSplit, cache_path
from datavol.data.sources.storage.kept import as_bytes, keep, read_kept
from datavol.data.sources.storage.settled import settled
from datavol.runs.provenance import cores

ID, DIGEST = 16, 32  # bytes
BLOCK = 4096  # files handed to the threads at a time
Known = dict[bytes, bytes]  # digests by what identifies a file as it is


def verified_content(splits: Iterable[FileSplit], cache_dir: str | None) -> str:
    """Hash the content of files, wherever they lie, as 64 hexadecimal digits.

    Raises:
        RunError: If a file is not readable.
    """
    content = hashlib.sha256()
    with ThreadPoolExecutor(cores()) as pool:
        for split in splits:
            for digest in _digests(split, _place_of(split, cache_dir), pool):
                content.update(digest)
    return content.hexdigest()


def _place_of(split: FileSplit, cache_dir: str | None) -> str:
    """Locate what is remembered of a folder's or archive's files."""
    name = hashlib.sha256(b"datavol contents 1|" + os.fsencode(split.files.place)).hexdigest()
    return os.path.join(os.path.dirname(cache_path(os.sep, cache_dir)), f"contents-{name[:32]}.npz")


def _digests(split: FileSplit, kept: str, pool: ThreadPoolExecutor) -> list[bytes]:
    """Hash each file of a split, from memory where possible."""
    known, read, now = _read_known(kept), Known(), time.time_ns()
    ids = [found for block in _blocks(len(split)) for found in pool.map(partial(_identify, split, now), block)]
    todo = [i for i, (identity, _) in enumerate(ids) if identity not in known]
    if todo:
        announce([f"data.verify: reading {len(todo):,} of {len(split):,} files of {split.files.place}"])
    digests = {}
    try:
        with tqdm(
            total=len(todo), desc="data.verify", unit="file", leave=False, disable=not sys.stderr.isatty()
        ) as bar:
            for block in _blocks(len(todo)):
                positions = [todo[j] for j in block]
                for i, digest in zip(positions, pool.map(partial(_hash, split), positions), strict=True):
                    digests[i] = digest
                    identity, old = ids[i]
                    if old and _identify(split, now, i)[0] == identity:  # it did not change while it was read
                        read[identity] = digest
                    bar.update()
    finally:  # what was read before an interrupt need not be read again
        if read:
            known |= read
            keep(kept, {"ids": as_bytes(b"".join(known)), "digests": as_bytes(b"".join(known.values()))})
    return [digests[i] if i in digests else known[identity] for i, (identity, _) in enumerate(ids)]


def _blocks(count: int) -> Iterable[range]:
    return (range(start, min(count, start + BLOCK)) for start in range(0, count, BLOCK))


def _identify(split: FileSplit, now: int, i: int) -> tuple[bytes, bool]:
    """Name a file as it is; say if it may be remembered."""
    facts = split.stamp(i) or ()
    text = f"{split.key(i)}\0{' '.join(map(str, facts))}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=ID).digest(), bool(facts) and settled(facts[1:], now)


def _hash(split: FileSplit, i: int) -> bytes:
    return hashlib.sha256(split.content(i)).digest()


def _read_known(kept: str) -> Known:
    arrays = read_kept(kept, lambda found: len(found["ids"]) * DIGEST == len(found["digests"]) * ID)
    if arrays is None:  # nothing yet, or damaged: all is read again
        return {}
    ids, digests = arrays["ids"].tobytes(), arrays["digests"].tobytes()
    pieces = (digests[at : at + DIGEST] for at in range(0, len(digests), DIGEST))
    return dict(zip((ids[at : at + ID] for at in range(0, len(ids), ID)), pieces, strict=True))
