"""Keeps the image cache away from other users' links, files and folders."""

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from factories.image_stores import EVERYTHING, SIDE, check, filled, warnings_of

from datavol.config.compose import compose
from datavol.data.images import cache_place, cache_size
from datavol.data.images.cache_policy import limit_bytes
from datavol.data.images.cache_reader import Index, PackedImages, read_index, store_of, write_index
from datavol.data.images.cache_size import cache_folder
from datavol.errors import ConfigError


@pytest.fixture
def shared(split, tmp_path, monkeypatch):
    """Gives a store in shared memory, which lies below the test's folder."""
    place = tmp_path / "shm"
    place.mkdir(mode=0o1777)
    for module in (cache_place, cache_size):
        monkeypatch.setattr(module, "SHARED_MEMORY", str(place))
    return store_of(split, SIDE, cache_folder("ram", None))


@pytest.fixture
def victim(tmp_path) -> Path:
    folder = tmp_path / "victim"
    folder.mkdir()
    for name in ("thesis.tex", "room", "pixels-0123456789abcdef.u8"):
        (folder / name).write_text("years of work")
    return folder


def untouched(victim: Path) -> bool:
    return {file.read_text() for file in victim.iterdir()} == {"years of work"} and len(list(victim.iterdir())) == 3


def test_shared_memory_is_closed_to_others(shared, split, tmp_path):
    place = tmp_path / "shm" / f"datavol-{os.getuid()}"
    place.mkdir(mode=0o777)  # of a version that left it open
    filled(shared, split)
    check(shared, split)
    levels = [place, place / "images", Path(shared.folder)]
    assert [stat.S_IMODE(level.stat().st_mode) for level in levels] == [0o700] * 3


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_link_in_its_place_is_refused_and_nothing_behind_it_touched(level, shared, split, victim):
    place = [Path(shared.folder).parents[1], Path(shared.folder).parent, Path(shared.folder)][level]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(victim)
    for act in (lambda: filled(shared, split), lambda: PackedImages(shared)):
        with pytest.raises(ConfigError) as caught:
            act()
        assert str(caught.value) == (
            f"data.cache=ram must lie in folders and files of your own, got {place}, which is a link; "
            "remove it or try data.cache=disk"
        )
    assert untouched(victim)


@pytest.mark.parametrize("name", ["lock", "room", "index.npz"])
@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_links_among_a_store_s_files_are_refused(name, kind, shared, store, split, victim):
    one = shared if kind == "ram" else store
    filled(one, split, [0])
    Path(one.folder, name).unlink(missing_ok=True)
    Path(one.folder, name).symlink_to(victim / "thesis.tex")
    with pytest.raises(ConfigError, match=f"got {one.folder}/{name}, which is a link; remove it or try data.cache"):
        filled(one, split)
    assert untouched(victim)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_store_of_somebody_else_is_not_believed(what, shared, split):
    filled(shared, split)
    place = Path(shared.folder) if what == "folder" else Path(shared.folder, "index.npz")
    os.chown(place, 4711, 4711)
    for act in (lambda: filled(shared, split), lambda: PackedImages(shared)):
        with pytest.raises(ConfigError, match=f"got {place}, which is of user 4711; remove it"):
            act()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_on_disk_a_group_may_share_a_cache_that_not_everybody_can_write(store, split):
    filled(store, split)
    os.chown(store.folder, 4711, 4711)
    check(store, split)
    os.chmod(os.path.dirname(store.folder), 0o1777)
    with pytest.raises(ConfigError, match=r"which is of user 4711; remove it or try data.cache_dir=/"):
        PackedImages(store)


def test_the_cache_on_disk_may_be_a_link_of_one_s_own(split, tmp_path):
    (tmp_path / "large disk").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "large disk")
    store = store_of(split, SIDE, str(tmp_path / "cache" / "images"))
    filled(store, split)
    check(store, split)


@pytest.mark.parametrize("name", ["../../victim/thesis.tex", "../victim/room", "/etc/passwd", "lock", ""])
def test_an_index_cannot_name_another_file(name, store, split, victim, caplog):
    filled(store, split, [0])
    index = read_index(store)
    write_index(store, Index(name, 0, index.entries))
    assert not PackedImages(store).holds(EVERYTHING).any()
    assert filled(store, split) == EVERYTHING.tolist()
    assert len(warnings_of(caplog)) == 2
    check(store, split)
    assert untouched(victim)


def test_files_that_are_none_of_a_store_s_stay(store, split):
    filled(store, split, [0])
    names = ["notes.txt", "pixels-mine.u8", "pixels-0123456789abcdef.u8.bak"]
    for name in names:
        Path(store.folder, name).write_text("mine")
    outdated = Path(store.folder, "pixels-0123456789abcdef.u8")
    outdated.write_text("of a builder that was killed")
    filled(store, split, np.array([1]))
    assert all(Path(store.folder, name).read_text() == "mine" for name in names)
    assert not outdated.exists()


def test_no_room_for_the_folders_is_one_warning(shared, split, caplog, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "mkdir", full)
    assert filled(shared, split) == []
    (warning,) = warnings_of(caplog)
    assert "is full after 0 of 10 images (No space left on device)" in warning


def test_the_cache_leaves_a_tenth_of_the_disk_free(tmp_path, monkeypatch):
    data = compose(["data=image_folder", f"data.cache_dir={tmp_path}", "data.cache=disk"])[0].config.data
    for free, allowed in ((900e9, 50e9), (130e9, 30e9), (90e9, -10e9)):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: SimpleNamespace(total=1000e9, free=free))
        assert limit_bytes(data) == allowed
