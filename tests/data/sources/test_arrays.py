"""Tests arrays against scikit-learn and torchvision, which read the same files."""

import gzip
import hashlib
import pickle
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10, CIFAR100, FashionMNIST, mnist

from datavol.data.sources.arrays import FASHION_CLASSES, ArraySplit, cifar, digits, fashion_mnist, read_idx
from datavol.errors import ConfigError, RunError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


def write_fashion(folder: Path, ending: str = "", n: int = 6) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for part in ("train", "t10k"):
        images, labels = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), np.arange(n, dtype=np.uint8) % 10
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            content = gzip.compress(idx(array)) if ending else idx(array)
            (folder / f"{part}-{kind}-ubyte{ending}").write_bytes(content)


def test_a_split_has_indices_as_keys(rng):
    gray = ArraySplit(rng.integers(0, 256, (3, 8, 5), dtype=np.uint8), np.array([2, 0, 1]))
    assert (len(gray), [gray.key(i) for i in range(3)]) == (3, ["0", "1", "2"])
    with pytest.raises(IndexError):
        gray.key(3)


def test_a_split_survives_pickling(rng):
    split = ArraySplit(rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8), np.array([0, 1]))
    again = pickle.loads(pickle.dumps(split))
    assert np.array_equal(again.images, split.images)
    assert again.digest() == split.digest()


def test_a_digest_sees_pixels_labels_and_shape(rng):
    images, labels = rng.integers(0, 256, (4, 4, 4), dtype=np.uint8), np.arange(4)
    changed = images.copy()
    changed[0, 0, 0] ^= 1
    parts = [(images, labels), (changed, labels), (images, labels[::-1]), (images.reshape(4, 2, 8), labels)]
    assert len({ArraySplit(*part).digest() for part in parts}) == 4


def test_digits_are_those_of_scikit_learn():
    classes, split = digits()
    bunch = load_digits()
    assert classes == tuple("0123456789")
    assert split.labels.dtype == np.int64
    assert np.array_equal(split.labels, bunch.target)
    assert (split.images.min(), split.images.max(), split.images.dtype) == (0, 255, np.uint8)
    assert np.abs(split.images / 255 - bunch.images / 16).max() <= 0.5 / 255
    levels = {int(level): set(split.images[bunch.images == level].tolist()) for level in range(17)}
    assert [levels[level] for level in (0, 1, 8, 16)] == [{0}, {16}, {128}, {255}]


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 28, 28), (0, 28, 28)])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_come_back(tmp_path, rng, shape, ending):
    array = rng.integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / f"some-ubyte{ending}"
    path.write_bytes(gzip.compress(idx(array)) if ending else idx(array))
    assert np.array_equal(read_idx(str(path)), array)


WHOLE = idx(np.arange(12, dtype=np.uint8).reshape(3, 4))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty", b""),
        ("short header", WHOLE[:7]),
        ("truncated", WHOLE[:-1]),
        ("bytes left over", WHOLE + b"\0"),
        ("floats", b"\0\0\x0d" + WHOLE[3:]),
        ("no gzip.gz", WHOLE),
        ("truncated.gz", gzip.compress(WHOLE, mtime=0)[:-9]),
        ("flipped.gz", gzip.compress(WHOLE, mtime=0)[:12] + b"\xff\xff" + gzip.compress(WHOLE, mtime=0)[14:]),
    ],
)
def test_damaged_idx_files_are_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    message = f"data.root must hold whole idx files of bytes, got a damaged {path}; fetch the file again"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        read_idx(str(path))


@pytest.mark.parametrize("below", ["", "FashionMNIST/raw"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_fashion_mnist_reads_as_torchvision_does_in_every_layout(tmp_path, below, ending):
    write_fashion(tmp_path / below, ending)
    write_fashion(tmp_path / "peer/FashionMNIST/raw")
    classes, *splits = fashion_mnist(str(tmp_path), download=False)
    assert list(classes) == FashionMNIST.classes
    for split, train in zip(splits, (True, False), strict=True):
        peer = FashionMNIST(tmp_path / "peer", train=train)
        assert np.array_equal(split.images, peer.data.numpy())
        assert np.array_equal(split.labels, peer.targets.numpy())
    assert splits[0].digest() != splits[1].digest()


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs the package dataset-fashion-mnist")
def test_the_whole_fashion_mnist_reads_as_torchvision_does(tmp_path):
    classes, *splits = fashion_mnist(str(DEBIAN), download=False)
    assert classes == FASHION_CLASSES
    for split, part, n in zip(splits, ("train", "t10k"), (60_000, 10_000), strict=True):
        images, labels = (mnist.read_image_file, split.images), (mnist.read_label_file, split.labels)
        for kind, (read, ours) in {"images-idx3": images, "labels-idx1": labels}.items():
            plain = tmp_path / f"{part}-{kind}-ubyte"
            plain.write_bytes(gzip.decompress((DEBIAN / f"{plain.name}.gz").read_bytes()))
            assert np.array_equal(read(str(plain)).numpy(), ours)
        assert np.bincount(split.labels).tolist() == [n // 10] * 10


def test_fashion_mnist_says_where_to_get_it(tmp_path):
    write_fashion(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    message = (
        f"data.root must hold the four idx files of fashion_mnist, got {tmp_path}; set data.root to their folder, "
        "try data.download=true, or apt-get install dataset-fashion-mnist with "
        "data.root=/usr/share/datasets/fashion-mnist"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        fashion_mnist(str(tmp_path), download=False)


def test_fashion_mnist_needs_a_label_for_each_image(tmp_path):
    write_fashion(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(5, dtype=np.uint8)))
    message = f"train in {tmp_path} must have a label for each image, got 6 images and 5 labels; fetch the files again"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        fashion_mnist(str(tmp_path), download=False)


def test_fashion_mnist_is_fetched_only_when_missing(tmp_path, monkeypatch):
    calls = []

    def fetch(self, root, download):
        calls.append(download)
        write_fashion(Path(root) / "FashionMNIST" / "raw", ".gz")

    monkeypatch.setattr(FashionMNIST, "__init__", fetch)
    for _ in range(2):
        assert len(fashion_mnist(str(tmp_path), download=True)[1]) == 6
    assert calls == [True]


READ = {name: partial(cifar, name) for name in ("cifar10", "cifar100")} | {"fashion_mnist": fashion_mnist}


@pytest.mark.parametrize("error", [OSError("no route\nto host"), RuntimeError("no route to host")])
@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
def test_a_failed_download_is_no_mistake_of_the_config(tmp_path, monkeypatch, name, error):
    for reader in (FashionMNIST, CIFAR10):
        monkeypatch.setattr(reader, "__init__", Mock(side_effect=error))
    message = (
        f"data.download=true must reach the server of {name} and write to {tmp_path}, got no route to host; "
        "try again or set data.root to files already there"
    )
    with pytest.raises(RunError, match=f"^{re.escape(message)}$"):
        READ[name](str(tmp_path), download=True)


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar100"])
def test_no_root_is_said_by_name(name):
    message = f"data.root must be a folder with data={name}, got nothing; try data.root=data"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        READ[name](None, download=False)


@pytest.fixture
def write_cifar(monkeypatch):
    """Write small files of CIFAR's format with checksums of their own."""

    def write(name: str, folder: Path) -> np.ndarray:
        reader = {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
        key, meta = ("labels", "label_names") if name == "cifar10" else ("fine_labels", "fine_label_names")
        pixels = np.random.default_rng(2).integers(0, 256, (4, 3072), dtype=np.uint8)
        folder.mkdir(parents=True, exist_ok=True)

        def put(file: str, content: dict) -> str:
            raw = pickle.dumps(content)
            (folder / file).write_bytes(raw)
            return hashlib.md5(raw).hexdigest()

        for part in ("train_list", "test_list"):
            files = [(file, put(file, {"data": pixels, key: [0, 1, 2, 3]})) for file, _ in getattr(reader, part)]
            monkeypatch.setattr(reader, part, files)
        names = {meta: ["cat", "dog", "owl", "yak"]}
        file = reader.meta["filename"]
        monkeypatch.setattr(reader, "meta", {"filename": file, "key": meta, "md5": put(file, names)})
        return pixels

    return write


@pytest.mark.parametrize(
    ("name", "folder", "n"), [("cifar10", "cifar-10-batches-py", 20), ("cifar100", "cifar-100-python", 4)]
)
@pytest.mark.parametrize("inside", [False, True])
def test_cifar_in_both_layouts(tmp_path, write_cifar, name, folder, n, inside):
    pixels = write_cifar(name, tmp_path / folder)
    root = tmp_path / folder if inside else tmp_path
    classes, train, val = cifar(name, str(root), download=False)
    assert classes == ("cat", "dog", "owl", "yak")
    assert (len(train), len(val)) == (n, 4)
    assert val.labels.tolist() == [0, 1, 2, 3]
    assert (val.labels.dtype, val.images.dtype, val.images.shape) == (np.int64, np.uint8, (4, 32, 32, 3))
    assert np.array_equal(val.images[1][..., 2].ravel(), pixels[1, 2048:])  # planes of red, green, blue


@pytest.mark.parametrize("damage", [False, True])
def test_cifar_that_is_not_whole_says_where_to_get_it(tmp_path, write_cifar, damage):
    if damage:
        write_cifar("cifar10", tmp_path)
        (tmp_path / "data_batch_3").write_bytes(b"cut off")
    message = (
        f"data.root must hold the whole files of cifar10, got {tmp_path}; "
        "set data.root to their folder or try data.download=true"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        cifar("cifar10", str(tmp_path), download=False)


def test_torch_stays_out_where_it_is_not_needed():
    code = (
        "import sys, datavol.data.sources.open, datavol.data.sources.arrays as a;"
        "lazy = 'sklearn' not in sys.modules; a.digits();"
        "sys.exit(not (lazy and 'torch' not in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
