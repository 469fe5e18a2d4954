"""Reads members of zip and tar archives at random, without unpacking.

The members are listed once. The list is kept in the cache folder, and holds while size and times of the archives do.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from datavol.cli.text import shown
from datavol.data.sources.storage.folder import DamagedFile
from datavol.data.sources.storage.kept import Arrays, as_bytes, keep, read_kept
from datavol.data.sources.storage.names import SortedNames
from datavol.data.sources.storage.settled import settled
from datavol.errors import ConfigError, flat

INDEX_FORMAT = "datavol archive index 2"  # count up when the index changes
MEMBER = np.dtype(
    [("part", "<i4"), ("offset", "<i8"), ("stored", "<i8"), ("size", "<i8"), ("crc", "<u4"), ("method", "<i2")]
)
IN_TAR = -1  # the method of members of tar archives, whose offset is that of their bytes
ZIP = b"PK"  # how a zip begins
UTF8 = 0x800  # the flag of names in UTF-8
LOCAL_HEADER = 30  # bytes of a zip member's own header, before its name
COMPRESSED = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}


@dataclass(frozen=True, eq=False)
class Archives:
    """Reads members of one archive, or of the shards of a folder."""

    place: str  # the archive, or the folder of the shards
    parts: tuple[str, ...]  # the archives' paths
    stamps: NDArray[np.int64]  # (parts, 3), their sizes, modification and change times
    names: SortedNames  # of the members; of shards with the shard's name before them
    members: NDArray[np.void]  # a `MEMBER` for each name

    @cached_property
    def _files(self) -> dict[int, int]:  # open files by their part; reads at given offsets may share them after a fork
        return {}

    def __reduce__(self) -> tuple[type[Archives], tuple[object, ...]]:
        return Archives, (self.place, self.parts, self.stamps, self.names, self.members)  # without open files

    @property
    def settled(self) -> bool:
        """Return whether no part of the archive changed just now."""
        return settled(self.stamps[:, 1:].ravel().tolist(), time.time_ns())

    def read(self, key: str) -> bytes:
        """Read a member."""
        member = self._member(key)
        offset, length, method = int(member["offset"]), int(member["stored"]), int(member["method"])
        file = self._open(int(member["part"]))
        if method == IN_TAR:
            return _read(file, offset, length)
        header = _read(file, offset, LOCAL_HEADER)  # ends in the lengths of the name and of further fields
        offset += LOCAL_HEADER + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        content = _read(file, offset, length)
        try:
            content = zlib.decompress(content, -zlib.MAX_WBITS) if method == zipfile.ZIP_DEFLATED else content
        except zlib.error as error:
            raise DamagedFile(f"damaged in the archive: {flat(error)}") from None
        if zlib.crc32(content) != member["crc"]:
            raise DamagedFile("damaged in the archive: its checksum differs")
        return content

    def stamp(self, key: str) -> tuple[int, ...]:
        """Give a member's size and checksum, or the times of a tar."""
        member = self._member(key)
        if member["method"] != IN_TAR:
            return int(member["size"]), int(member["crc"])
        return int(member["size"]), *self.stamps[member["part"]].tolist()

    def locate(self, key: str) -> str:
        """Join the archive or folder and the key."""
        return os.path.join(self.place, key)

    def _member(self, key: str) -> np.void:
        member: np.void = self.members[self.names.find(os.fsencode(key))]
        return member

    def _open(self, part: int) -> int:
        if part not in self._files:
            file = os.open(self.parts[part], os.O_RDONLY)
            if _stamp(os.fstat(file)) != tuple(self.stamps[part].tolist()):
                os.close(file)
                raise OSError(f"{self.parts[part]} changed since it was listed")
            self._files[part] = file
        return self._files[part]


def is_archive(path: str) -> bool:
    """Return whether a file is a zip or a tar.

    Raises:
        ConfigError: If it is a compressed tar, or another kind of archive.
    """
    with open(path, "rb") as file:
        start = file.read(512)
    if start.startswith(ZIP) or start[257:262] == b"ustar":
        return True
    for magic, command in COMPRESSED.items():
        if start.startswith(magic):
            raise ConfigError(
                f"an archive must be a zip or a tar without compression, whose images can be read one by one, got "
                f"{path}; try `{command} {shlex.quote(path)}`"
            )
    if start.startswith((b"7z\xbc\xaf", b"Rar!")):
        raise ConfigError(f"an archive must be a zip or a tar, got {path}; unpack it")
    if path.lower().endswith((".zip", ".tar")):
        size = os.path.getsize(path)
        raise ConfigError(f"an archive must be whole, got {path} ({size:,} bytes of no archive); fetch it again")
    return False


def open_archives(place: str, parts: Sequence[str], cache_dir: str) -> Archives:
    """List the members of archives, from the cache if none changed.

    Args:
        place: The archive, or the folder of several.
        parts: The archives' absolute paths.
        cache_dir: The folder of the kept lists.

    Raises:
        ConfigError: If one is damaged, encrypted or packed by a method that zlib does not read.
    """
    try:
        stamps = np.array([_stamp(os.stat(part)) for part in parts], dtype=np.int64)
    except OSError as error:
        raise ConfigError(
            f"an archive must be readable, got {error.filename} ({error.strerror}); mend or remove it"
        ) from None
    name = hashlib.sha256("|".join([INDEX_FORMAT, place, *parts]).encode(errors="surrogateescape")).hexdigest()
    path = os.path.join(cache_dir, f"archive-{name[:32]}.npz")
    kept = read_kept(path, _fits)
    if kept is not None and np.array_equal(kept["stamps"], stamps):
        return Archives(place, tuple(parts), stamps, SortedNames(kept["names"].tobytes()), kept["members"])
    archives = Archives(place, tuple(parts), stamps, *_list(place, parts))
    if archives.settled:
        keep(path, {"stamps": stamps, "names": as_bytes(archives.names.blob), "members": archives.members})
    return archives


def _fits(kept: Arrays) -> bool:
    members = kept["members"]
    return members.dtype == MEMBER and len(members) == kept["names"].tobytes().count(b"\0") and "stamps" in kept


def _list(place: str, parts: Sequence[str]) -> tuple[SortedNames, NDArray[np.void]]:
    """List the members of all parts in the order of their names."""
    found: dict[bytes, tuple[int, int, int, int, int, int]] = {}
    for number, part in enumerate(parts):
        before = b"" if part == place else os.fsencode(os.path.relpath(part, place)) + b"/"
        try:
            with open(part, "rb") as file:
                members = _in_zip(part) if file.read(2) == ZIP else _in_tar(part)
            for name, *facts in members:  # of two members of one name the later one counts, as for unzip and tar
                found[before + _from_top(name, part)] = (number, *facts)  # type: ignore[assignment]
        except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError) as error:
            raise ConfigError(f"an archive must be whole, got {part} ({flat(error)}); fetch it again") from error
    names = sorted(found)
    return SortedNames.of(names), np.array([found[name] for name in names], dtype=MEMBER)


def _from_top(name: bytes, part: str) -> bytes:
    """Write a member's path from its archive's top: `a/b` for `./a//b`.

    Raises:
        ConfigError: If the path leads out of the archive.
    """
    names = [one for one in name.split(b"/") if one not in (b"", b".")]
    if b".." in names:
        raise ConfigError(
            f"an archive must have members inside it, got {shown(os.fsdecode(name))} in {part}; pack it anew from the "
            "folder around the images"
        )
    return b"/".join(names)


Facts = tuple[bytes, int, int, int, int, int]  # name, offset, bytes as stored, size, checksum, method


def _in_zip(part: str) -> Iterator[Facts]:
    with zipfile.ZipFile(part) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            if fault := _fault(member):
                raise ConfigError(
                    f"a zip must have files that are stored or deflated, got {member.filename!r} in {part}, {fault}; "
                    "unpack it, or pack it anew with `zip -r`"
                )
            sizes = member.compress_size, member.file_size
            yield _name(member), member.header_offset, *sizes, member.CRC, member.compress_type


def _fault(member: zipfile.ZipInfo) -> str:
    """Say why a member's bytes can't be read directly; empty otherwise."""
    if member.flag_bits & 1:
        return "encrypted"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "a link"
    readable = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    return "" if readable else f"packed by method {member.compress_type}"


def _name(member: zipfile.ZipInfo) -> bytes:
    """Encode a member's name: UTF-8, else the code page of DOS.

    Many programs write UTF-8 without setting its flag.
    """
    if not member.flag_bits & UTF8:
        raw = member.filename.encode("cp437")  # as zipfile decoded it
        with suppress(UnicodeDecodeError):
            raw.decode()
            return raw
    return os.fsencode(member.filename)


def _in_tar(part: str) -> Iterator[Facts]:
    length = os.path.getsize(part)
    with tarfile.open(part, "r:") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # tarfile keeps all it met, a gigabyte for a million
            if member.issym() or member.islnk() or member.issparse():
                kind = "a sparse file" if member.issparse() else "a link"
                raise ConfigError(
                    f"a tar must hold the bytes of its files, got {kind}, {shown(member.name)}, in {part}; unpack it, "
                    "or pack it anew with `tar --dereference --hard-dereference`"
                )
            if member.isreg():
                if member.offset_data + member.size > length:
                    raise EOFError(f"cut off in {member.name}")
                yield os.fsencode(member.name), member.offset_data, member.size, member.size, 0, IN_TAR
    _check_end(part, archive.offset)


def _check_end(part: str, end: int) -> None:
    """Raise unless a tar ends where no further member was found.

    Its end is a block of NULs, with nothing else behind it.

    To tarfile a damaged header in the middle is an end as well.
    """
    with open(part, "rb") as file:
        file.seek(end)
        if any(block := file.read(tarfile.BLOCKSIZE)) or not block:
            raise EOFError(f"no member and no end at byte {end:,}")
        while block := file.read(2**20):
            if any(block):
                raise ConfigError(
                    f"a tar must end where its end is marked, got more in {part}, as of two that were joined; unpack "
                    f"it with `tar --ignore-zeros -xf {shlex.quote(part)}`"
                )


def _read(file: int, offset: int, length: int) -> bytes:
    content = os.pread(file, length, offset)
    while len(content) < length:  # a network drive may give less than asked for
        more = os.pread(file, length - len(content), offset + len(content))
        if not more:
            raise OSError("the archive ends before it does")
        content += more
    return content


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns
