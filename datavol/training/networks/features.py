"""Extracts the features of a frozen network, once for all runs.

A store holds the features of one network under one evaluation transform. It lists images by what they are (a file's
name and stamp, or an array's pixels), so that subsets, folds and studies share it.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from datavol.cli.console import announce
from datavol.config.data import FilesConfig
from datavol.config.run import Config
from datavol.data.augment.device import DeviceTransform
from datavol.data.datamodule import Images, SubsetDataModule
from datavol.data.images.dataset import Batch
from datavol.data.images.decode import DECODING
from datavol.data.sampler import UnpaddedSampler
from datavol.data.sources.files.file_table import FileSplit, cache_path
from datavol.data.sources.files.stamps import file_stamps
from datavol.data.sources.split import Split
from datavol.errors import ConfigError
from datavol.runs import provenance
from datavol.runs.files import file_lock, write_whole
from datavol.training.changes import weights_sha256
from datavol.training.networks.build import build_network, meta_network
from datavol.training.networks.weights import last_layers

IMAGES = {"val": ("validation_images",), "train": ("clean_images", "training_images")}
BATCH = 64  # images of a step of extraction
Keys = NDArray[np.uint64]


class Features(NamedTuple):
    """Holds the features of images by their keys."""

    keys: Keys  # (n,), ascending
    values: NDArray[np.float32]  # (n, D)

    def rows(self, keys: Keys) -> NDArray[np.int64]:
        """Find the rows of keys; -1 where they are missing."""
        rows = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[rows] == keys, rows, -1) if len(self.keys) else np.full(len(keys), -1)


class FeatureViews(Dataset[Batch]):
    """Gives batches of features (B, D) in the place of images."""

    def __init__(self, split: Split, features: Tensor) -> None:
        self.labels, self.features = split.labels, features

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, pairs: list[tuple[int, int]]) -> Batch:
        """Make a batch of pairs (sample, position)."""
        samples, positions = np.array(pairs).T
        labels = torch.from_numpy(self.labels[positions])
        return Batch(self.features[torch.from_numpy(positions)], labels, (), torch.from_numpy(samples))


class FeatureData(SubsetDataModule):
    """Loads features of a frozen network instead of images."""

    def __init__(self, config: Config, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.config = config

    def fill_cache(self, *, train: bool = True) -> None:
        """Extract the features that the store lacks."""
        super().fill_cache(train=train)
        parts = {"val": self.everything} | ({"train": self.subset.indices} if train else {})
        for part, positions in parts.items():
            images, split = getattr(self, IMAGES[part][0]), getattr(self.source, part)
            views = FeatureViews(split, self._features(images, split, positions))
            for name in IMAGES[part]:
                setattr(self, name, views)

    def _workers(self, images: Any) -> int:
        return 0 if isinstance(images, FeatureViews) else super()._workers(images)

    def _features(self, images: Images, split: Split, positions: NDArray[np.int64]) -> Tensor:
        """Read features (n, D) of a split; other rows are empty."""
        folder = store_folder(self.config, self)
        keys = image_keys(split, positions)
        with file_lock(folder / "lock"):  # others that need the same wait, and find them
            known = read_store(folder)
            lacking = known.rows(keys) < 0
            if lacking.any():
                known = _joined(known, keys[lacking], self._extracted(images, positions[lacking]))
                write_store(folder, known)
        found = torch.zeros(len(split), known.values.shape[1])
        found[torch.from_numpy(positions)] = torch.from_numpy(known.values[known.rows(keys)])
        return found

    def _extracted(self, images: Images, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Run the network over images of a split."""
        model, data = self.config.model, self.config.data
        announce([f"extracting the features of {len(positions):,} images by {model.name}, once"])
        device = torch.device("cuda" if self._gpu() else "cpu")
        network = build_network(model, 2, None, 0).eval().to(device)
        finish = DeviceTransform(data.mean, data.std).to(device)
        loader = self._loader(images, UnpaddedSampler(positions), BATCH)
        found: list[Tensor] = []
        (layer, *_) = last_layers(network).values()
        layer.register_forward_pre_hook(lambda _, given: found.append(given[0].float().cpu()))
        with torch.inference_mode():
            for drawn in loader:
                batch = self.on_after_batch_transfer(_on(drawn, device), 0)
                network(finish(batch.images))
        self.arrays.clear()
        return torch.cat(found).numpy()

    def _gpu(self) -> bool:
        return self.config.trainer.accelerator != "cpu" and torch.cuda.is_available()


def _on(batch: Any, device: torch.device) -> Any:
    return type(batch)(*(one.to(device) if isinstance(one, Tensor) else one for one in batch))


def feature_head(config: Config, classes: int) -> nn.Module:
    """Build a run's linear layer over standardised features.

    Raises:
        ConfigError: If the network does not end in a linear layer.
    """
    (layer, *_) = last_layers(meta_network(config.model, 2)).values()
    if not isinstance(layer, nn.Linear):
        raise ConfigError(
            f"model.name must end in a linear layer with recipe.on_features, got {config.model.name} with a "
            f"{type(layer).__name__}; try recipe=fine_tune"
        )
    torch.manual_seed(config.init_seed)
    # as in He et al., Masked Autoencoders, 2021: features differ by orders of magnitude between networks
    return nn.Sequential(nn.BatchNorm1d(layer.in_features, affine=False), nn.Linear(layer.in_features, classes))


class Untransformed(nn.Module):
    """Passes features on as they are."""

    def forward(self, features: Tensor, _: Any = None) -> Tensor:
        """Return the features."""
        return features


def image_keys(split: Split, positions: NDArray[np.int64]) -> Keys:
    """Identify images by name and stamp, or by pixels."""
    if isinstance(split, FileSplit):
        with ThreadPoolExecutor() as pool:
            stamps = file_stamps(split, positions, pool)
        texts: Iterator[bytes] = (
            f"{split.files.place}/{split.key(i)} {stamp}".encode(errors="surrogateescape")
            for i, stamp in zip(positions.tolist(), stamps.tolist(), strict=True)
        )
    else:
        texts = (np.ascontiguousarray(split.images[i]).tobytes() for i in positions.tolist())
    numbers = (int.from_bytes(hashlib.sha256(text).digest()[:8], "little") for text in texts)
    return np.fromiter(numbers, dtype=np.uint64, count=len(positions))


def store_folder(config: Config, data: SubsetDataModule) -> Path:
    """Name the store by network, weights and pixels."""
    model = config.model.model_dump()
    sha256 = weights_sha256(config.model)
    if sha256 is not None:  # then the file's name says nothing
        model["weights"] = sha256
    versions = {name: value for name, value in provenance.versions().items() if name in ("torchvision", "timm")}
    seen = {
        "model": model,
        "evaluate": config.recipe.evaluate.model_dump(),
        "pixels": [config.data.mean, config.data.std, getattr(config.data, "short_side", None)],
        "rules": [DECODING, data.rules.text],
        "versions": versions,
        "code": getattr(config, "code", None),
    }
    name = hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]
    cache = config.data.cache_dir if isinstance(config.data, FilesConfig) else None
    return Path(os.path.dirname(cache_path(os.sep, cache))) / "features" / name


def read_store(folder: Path) -> Features:
    """Read a store; one that is missing or damaged is empty."""
    try:
        with np.load(folder / "features.npz", allow_pickle=False) as kept:
            features = Features(kept["keys"], kept["values"])
            if features.keys.dtype == np.uint64 and features.values.shape[:1] == features.keys.shape:
                return features
    except FileNotFoundError:
        pass
    except Exception as error:  # NumPy and zipfile raise many kinds at damaged files
        announce([f"note: {folder} is damaged ({type(error).__name__}), and made anew"])
    return Features(np.empty(0, np.uint64), np.empty((0, 0), np.float32))


def write_store(folder: Path, features: Features) -> None:
    """Replace a store."""
    content = io.BytesIO()
    np.savez(content, keys=features.keys, values=features.values)
    write_whole(folder / "features.npz", content.getvalue())


def _joined(known: Features, keys: Keys, values: NDArray[np.float32]) -> Features:
    """Add features, sorted by their keys."""
    every = np.concatenate([known.keys, keys])
    whole = np.concatenate([known.values, values]) if len(known.keys) else values
    unique, first = np.unique(every, return_index=True)  # copies of one image have one key
    return Features(unique, whole[first])
