"""Members of archives are read as zipfile and tarfile read them, by name, in any process."""

import io
import multiprocessing
import os
import pickle
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datavol.data.sources.storage import settled
from datavol.data.sources.storage.archives import Archives, is_archive, open_archives
from datavol.data.sources.storage.folder import DamagedFile
from datavol.errors import ConfigError

FILES = {
    "cat/1.jpg": b"one" * 100,
    "cat/empty.jpg": b"",
    "größe/2 b.png": os.urandom(5000),
    "z" * 150 + "/x.png": bytes(70_000),  # a name too long for a tar's own field
}


def zipped(path: Path, files: dict[str, bytes], packed: int = zipfile.ZIP_DEFLATED) -> str:
    with zipfile.ZipFile(path, "w", packed) as archive:
        archive.mkdir("cat")
        for name, content in files.items():
            archive.writestr(name, content)
    return str(path)


def tarred(path: Path, files: dict[str, bytes], form: int = tarfile.PAX_FORMAT, before: str = "") -> str:
    with tarfile.open(path, "w", format=form) as archive:
        folder = tarfile.TarInfo(f"{before}cat")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(before + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return str(path)


WRITERS = {
    "deflated": lambda path: zipped(path, FILES),
    "stored": lambda path: zipped(path, FILES, zipfile.ZIP_STORED),
    "pax": lambda path: tarred(path, FILES),
    "gnu": lambda path: tarred(path, FILES, tarfile.GNU_FORMAT),
    "with ./ before": lambda path: tarred(path, FILES, before="./"),
}


def opened(path: str, cache: Path) -> Archives:
    assert is_archive(path)
    return open_archives(path, [path], str(cache))


def names(archives: Archives) -> list[str]:
    return [os.fsdecode(archives.names[i]) for i in range(len(archives.names))]


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_members_are_read_as_they_were_written(write, tmp_path):
    path = write(tmp_path / "photos.archive")
    for archives in (opened(path, tmp_path), opened(path, tmp_path)):  # listed, then from the kept list
        archives = pickle.loads(pickle.dumps(archives))
        assert names(archives) == sorted(FILES, key=os.fsencode)
        assert {name: archives.read(name) for name in FILES} == FILES
        assert [archives.stamp(name)[0] for name in FILES] == [len(content) for content in FILES.values()]
        assert archives.locate("cat/1.jpg") == f"{path}/cat/1.jpg"
        for missing in ("cat", "cat/2.jpg", "", "zzz"):
            with pytest.raises(FileNotFoundError):
                archives.read(missing)


@pytest.mark.parametrize("write", [WRITERS["deflated"], WRITERS["pax"]], ids=["zip", "tar"])
def test_threads_and_forks_read_at_once(write, tmp_path):
    archives = opened(write(tmp_path / "photos.archive"), tmp_path)
    archives.read("cat/1.jpg")  # opens the file, which the forks inherit
    wanted = list(FILES) * 50
    expected = [FILES[name] for name in wanted]
    with ThreadPoolExecutor(4) as threads, multiprocessing.get_context("fork").Pool(2) as forks:
        ours = forks.map_async(archives.read, wanted, chunksize=3)
        assert list(threads.map(archives.read, wanted)) == expected
        assert ours.get(60) == expected


def test_of_two_members_of_one_name_the_later_counts(tmp_path):
    path = tarred(tmp_path / "a.tar", {"1.jpg": b"old"})
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo("1.jpg")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"new"))
    assert opened(path, tmp_path).read("1.jpg") == b"new"


def test_shards_are_one_place(tmp_path):
    parts = [tarred(tmp_path / f"{name}.tar", {f"{name}.jpg": name.encode()}) for name in ("b", "a")]
    archives = open_archives(str(tmp_path), parts, str(tmp_path))
    assert names(archives) == ["a.tar/a.jpg", "b.tar/b.jpg"]
    assert [archives.read(name) for name in names(archives)] == [b"a", b"b"]


@pytest.mark.parametrize("write", [zipped, tarred])
def test_an_archive_that_changes_is_listed_anew_and_not_read_by_an_old_list(write, tmp_path):
    path = write(tmp_path / "a", {"1.jpg": b"old", "2.jpg": b"x"})
    before = opened(path, tmp_path)
    assert before.read("2.jpg") == b"x"
    times = os.stat(path)
    unread = pickle.loads(pickle.dumps(before))
    time.sleep(0.02)
    write(Path(path), {"1.jpg": b"new", "2.jpg": b"x"})
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as `cp -p` does: the change time tells
    assert opened(path, tmp_path).read("1.jpg") == b"new"
    with pytest.raises(OSError, match="changed since it was listed"):
        unread.read("1.jpg")
    same = opened(path, tmp_path).stamp("2.jpg") == before.stamp("2.jpg")
    assert same == (write is zipped)  # by its checksum; a tar has none


def test_names_in_the_code_page_of_dos_are_kept_apart(tmp_path):
    zipped(tmp_path / "a.zip", {"gro.jpg": b"1"})
    raw = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "utf8.zip").write_bytes(raw.replace(b"gro.jpg", "gö.jpg".encode()))  # unflagged, as of macOS
    (tmp_path / "dos.zip").write_bytes(raw.replace(b"gro.jpg", b"g\x94\x94.jpg"))
    for name, expected in (("utf8.zip", "gö.jpg"), ("dos.zip", "göö.jpg")):
        archives = opened(str(tmp_path / name), tmp_path)
        assert names(archives) == [expected]
        assert archives.read(expected) == b"1"


def test_a_deflated_member_that_is_damaged_is_told(tmp_path):
    path = zipped(tmp_path / "a.zip", {"1.jpg": b"abcd" * 1000})
    raw = bytearray(Path(path).read_bytes())
    raw[raw.index(b"1.jpg") + 10] ^= 0xFF
    Path(path).write_bytes(raw)
    with pytest.raises(DamagedFile, match="damaged in the archive"):
        opened(path, tmp_path).read("1.jpg")


def test_a_damaged_member_is_told_from_a_sound_one(tmp_path):
    path = zipped(tmp_path / "a.zip", {"1.jpg": b"abcd" * 10, "2.jpg": b"efgh" * 10}, zipfile.ZIP_STORED)
    raw = bytearray(Path(path).read_bytes())
    raw[raw.index(b"abcd") + 2] ^= 1
    Path(path).write_bytes(raw)
    archives = opened(path, tmp_path)
    with pytest.raises(DamagedFile, match="its checksum differs"):
        archives.read("1.jpg")
    assert archives.read("2.jpg") == b"efgh" * 10


def cut(path: Path, write) -> str:
    write(path)
    path.write_bytes(path.read_bytes()[:-40_000])
    return str(path)


def test_what_can_not_be_listed_is_one_line(tmp_path):
    for name, write in (("a.tar", WRITERS["pax"]), ("a.zip", WRITERS["stored"])):
        with pytest.raises(ConfigError, match=rf"must be whole, got .*{name} .*; fetch it again"):
            opened(cut(tmp_path / name, write), tmp_path)
    zipped(tmp_path / "b.zip", FILES, zipfile.ZIP_LZMA)
    with pytest.raises(
        ConfigError, match=r"stored or deflated, got 'cat/1.jpg' in .*b\.zip, packed by method 14; unpack"
    ):
        opened(str(tmp_path / "b.zip"), tmp_path)
    with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    with pytest.raises(ConfigError, match=r"without compression.*try `gunzip .*c\.tar\.gz`"):
        is_archive(str(tmp_path / "c.tar.gz"))
    (tmp_path / "d.jpg").write_bytes(b"\xff\xd8\xff")
    assert not is_archive(str(tmp_path / "d.jpg"))


def linked(path: Path, kind: bytes) -> str:
    tarred(path, FILES)
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("cat/3.jpg")
        link.type, link.linkname = kind, "cat/1.jpg"
        archive.addfile(link)
    return str(path)


def joined(path: Path) -> str:
    path.write_bytes(2 * Path(tarred(path, FILES)).read_bytes())
    return str(path)


def with_damaged_header(path: Path) -> str:
    raw = bytearray(Path(tarred(path, {"1.jpg": b"1", "2.jpg": b"2"})).read_bytes())
    raw[raw.rindex(b"2.jpg")] ^= 1
    path.write_bytes(raw)
    return str(path)


def zipped_link(path: Path) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("cat/3.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "1.jpg")
    return str(path)


def of_nothing(path: Path) -> str:
    path.write_bytes(b"")
    return str(path)


LISTED_IN_PART = {  # what is left out of a list without a word
    "a symbolic link": (lambda folder: linked(folder / "a.tar", tarfile.SYMTYPE), "got a link, cat/3.jpg, in .*unpack"),
    "a hard link": (lambda folder: linked(folder / "a.tar", tarfile.LNKTYPE), "got a link, cat/3.jpg, in .*--hard-"),
    "two tars joined": (lambda folder: joined(folder / "a.tar"), r"as of two .*`tar --ignore-zeros -xf .*a\.tar`"),
    "a damaged header": (lambda folder: with_damaged_header(folder / "a.tar"), "must be whole, got .*no member and no"),
    "a link in a zip": (lambda folder: zipped_link(folder / "a.zip"), "got 'cat/3.jpg' in .*, a link; unpack"),
    "a path that leads out": (lambda folder: zipped(folder / "a.zip", {"../1": b""}), r"inside it, got \.\./1 in"),
    "nothing": (lambda folder: of_nothing(folder / "a.zip"), r"must be whole, got .*a\.zip \(0 bytes of no archive\)"),
}


@pytest.mark.parametrize(("write", "message"), LISTED_IN_PART.values(), ids=LISTED_IN_PART)
def test_no_member_is_left_out_in_silence(write, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as error:
        opened(write(tmp_path), tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("write", [zipped, tarred])
def test_one_path_has_one_name_however_it_is_written(write, tmp_path):
    path = write(tmp_path / "a", {"./cat//1.jpg": b"1", "/cat/./2.jpg": b"2"})
    assert names(opened(path, tmp_path)) == ["cat/1.jpg", "cat/2.jpg"]


@pytest.mark.parametrize("write", [WRITERS["deflated"], WRITERS["pax"]], ids=["zip", "tar"])
def test_the_list_of_an_archive_that_changed_just_now_is_not_kept(write, tmp_path, monkeypatch):
    monkeypatch.setattr(settled, "TICK", 2 * 10**9)  # a second change in the same tick of its clock shows nowhere
    path = write(tmp_path / "photos.archive")
    assert opened(path, tmp_path).read("cat/1.jpg") == FILES["cat/1.jpg"]
    assert not list(tmp_path.glob("archive-*"))


def test_a_damaged_list_is_made_anew(tmp_path, caplog):
    path = WRITERS["deflated"](tmp_path / "a.zip")
    opened(path, tmp_path)
    (kept,) = tmp_path.glob("archive-*.npz")
    kept.write_bytes(kept.read_bytes()[:-100])
    assert opened(path, tmp_path).read("cat/1.jpg") == FILES["cat/1.jpg"]
    assert "making it anew" in caplog.text
