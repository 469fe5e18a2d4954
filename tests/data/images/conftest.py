import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from factories.image_stores import NAMES, SIDE, SIZES, write_photo
from tqdm import tqdm

from datavol.data.images.cache_reader import Store, store_of
from datavol.data.sources.files.file_table import FileSplit, join_names
from datavol.data.sources.storage.folder import Folder


@pytest.fixture(autouse=True)
def own_tqdm_lock():
    """Replace tqdm's lock: a forked process that is killed never releases it."""
    tqdm.set_lock(threading.RLock())


@pytest.fixture(scope="session")
def originals(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("originals")
    for i, (name, size) in enumerate(zip(NAMES, SIZES, strict=True)):
        write_photo(root / name, size, i)
    return root


@pytest.fixture
def split(originals, tmp_path) -> FileSplit:
    root = tmp_path / "images"
    shutil.copytree(originals, root)
    return FileSplit(Folder(str(root)), join_names(map(os.fsencode, NAMES)), np.zeros(len(NAMES), dtype=np.int64))


@pytest.fixture
def store(split, tmp_path) -> Store:
    return store_of(split, SIDE, str(tmp_path / "cache" / "images"))
