"""Loads a subset and its validation set, as a LightningDataModule."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader

from datavol.cli.console import announce
from datavol.config.data import AnyData, FilesConfig
from datavol.config.recipe import RecipeConfig
from datavol.data.arrays_on_device import (
    ArrayBatch,
    ArrayViews,
    DeviceArray,
    Part,
    augmented_on_device,
    evaluated_on_device,
)
from datavol.data.augment.transforms import Augmentation
from datavol.data.budget import Budget
from datavol.data.images.cache_policy import limit_bytes
from datavol.data.images.cache_reader import PackedImages, store_of
from datavol.data.images.cache_size import cache_folder
from datavol.data.images.cache_writer import fill
from datavol.data.images.dataset import ArrayReader, Batch, EvaluationImages, FileReader, Reader, TrainingImages
from datavol.data.images.decode import DECODING, decode_file
from datavol.data.images.pixel_rules import PLAIN, PixelRules, rules_of
from datavol.data.sampler import BudgetSampler, UnpaddedSampler
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.files.file_table import FileSplit
from datavol.data.sources.open import Source
from datavol.data.sources.split import Split
from datavol.data.subsets import Subset
from datavol.data.workers import loading_workers, start_worker
from datavol.runs.provenance import cores

Images = TrainingImages | EvaluationImages | ArrayViews


class SubsetDataModule(L.LightningDataModule):
    """Loads training and evaluation batches for any number of ranks and workers."""

    def __init__(
        self,
        source: Source,
        subset: Subset,
        budget: Budget,
        recipe: RecipeConfig,
        data: AnyData,
        order_seed: int = 0,
        evaluate_train: bool = False,
        balanced: bool = False,
        before: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.source, self.subset, self.budget, self.order_seed = source, subset, budget, order_seed
        self.evaluate_train = evaluate_train
        self.everything = np.arange(len(source.val.labels))  # the positions of the validation set
        self.balanced_by = source.train.labels[subset.indices] if balanced else None
        self.workers = data.workers
        self.data, self.recipe = data, recipe
        self.arrays: dict[tuple[Part, torch.device], DeviceArray] = {}
        # of the training images alone, so that both sets are read alike
        self.rules = PLAIN
        if isinstance(source.train, FileSplit) and isinstance(data, FilesConfig):
            self.rules = rules_of(data, source.train, before)
        splits: dict[Part, Split] = {"train": source.train, "val": source.val}
        self.readers = {part: _reader(split, data, self.rules) for part, split in splits.items()}
        self.training_images = self._training_images()
        self.clean_images, self.validation_images = self._evaluation_images("train"), self._evaluation_images("val")

    @property
    def _replace(self) -> bool:
        return isinstance(self.data, FilesConfig) and self.data.on_damaged == "replace"

    def _training_images(self) -> TrainingImages | ArrayViews:
        split, augment = self.source.train, self.recipe.augment
        augmentation = Augmentation(augment, self.order_seed)
        if isinstance(split, ArraySplit) and augmented_on_device(split, augment):
            return ArrayViews("train", split, augmentation)
        return TrainingImages(self.readers["train"], self.subset.indices, augmentation, self._replace)

    def _evaluation_images(self, part: Part) -> EvaluationImages | ArrayViews:
        split: Split = getattr(self.source, part)
        if isinstance(split, ArraySplit) and evaluated_on_device(split):
            return ArrayViews(part, split)
        return EvaluationImages(self.readers[part], self.recipe.evaluate, self._replace)

    @property
    def facts(self) -> dict[str, Any]:
        """Describe how files become pixels, for the record of a session."""
        if not isinstance(self.source.train, FileSplit):
            return {}
        whole = self.source.content_sha256
        verified = {} if whole is None else {"content_sha256": whole}
        return {"content": self.source.content, **verified, "decoding": DECODING, **self.rules.facts}

    def tell(self) -> None:
        """Print what a sample of the files made assume."""
        announce(self.rules.notes)

    def fill_cache(self, *, train: bool = True) -> None:
        """Decode images that the image cache lacks, if there is one.

        Without `train` only those of the validation set.
        """
        parts = [(self.readers["train"], self.subset.indices)] if train else []
        parts += [(self.readers["val"], self.everything)]
        for reader, positions in parts:  # other processes wait for the one that holds a store's lock
            if isinstance(reader, FileReader) and reader.packed is not None:
                assert isinstance(self.data, FilesConfig)
                split, store = reader.split, reader.packed.store
                limit = limit_bytes(self.data)
                decode = partial(decode_file, split, rules=self.rules)
                outdated = fill(store, split, decode, positions, limit, threads=cores())
                reader.packed = PackedImages(store, outdated)  # mapped anew, with what was added

    def train_dataloader(self) -> DataLoader[Any]:
        """Load this rank's share of every global batch."""
        sampler = BudgetSampler(self.subset.indices, self.budget, self.order_seed, *self._rank(), self.balanced_by)
        # Lightning sets the epoch only after it has started the workers, which read ahead at once
        sampler.set_iteration(self.trainer.global_step if self.trainer else 0)
        return self._loader(self.training_images, sampler, sampler.share // self.recipe.accumulate)

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """Load the validation set, and with `evaluate_train` the unaugmented training subset."""
        rank, world_size = self._rank()
        parts = [(self.validation_images, self.everything)]
        parts += [(self.clean_images, self.subset.indices)] if self.evaluate_train else []
        share = max(1, self.budget.batch_size // world_size)
        loaders = [self._loader(images, UnpaddedSampler(part, rank, world_size), share) for images, part in parts]
        for loader in loaders:
            if loader.num_workers:  # start them before training fills the memory, of which a fork copies what changes
                iter(loader)
        return loaders

    def on_after_batch_transfer(self, batch: Batch | ArrayBatch, dataloader_idx: int) -> Batch:
        """Make an array's batch on the device it was moved to."""
        if isinstance(batch, Batch):
            return batch
        key = batch.array, batch.positions.device
        if key not in self.arrays:
            self.arrays[key] = DeviceArray(getattr(self.source, batch.array), self.recipe, batch.positions.device)
        return self.arrays[key].batch(batch)

    def teardown(self, stage: str) -> None:
        """Free the device's memory."""
        self.arrays.clear()

    def _rank(self) -> tuple[int, int]:
        """Give this process's rank and the number of ranks."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(self, images: Images, sampler: BudgetSampler | UnpaddedSampler, batch_size: int) -> DataLoader[Any]:
        workers = self._workers(images)
        return DataLoader(
            images,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=workers,
            collate_fn=_keep_batch,  # `__getitems__` makes a whole batch: there is nothing to collate
            persistent_workers=workers > 0,
            worker_init_fn=partial(start_worker, os.getpid()),
            pin_memory=self._on_gpu,  # only from pinned memory does a copy to the device not wait for its work
        )

    @property
    def _on_gpu(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def _workers(self, images: Images) -> int:
        """Choose the number of worker processes, where it is `auto`."""
        if isinstance(self.workers, int):
            return self.workers
        # Positions need no workers, and a batch of an array is made faster than it is passed between processes, unless
        # a GPU waits for TrivialAugment
        of_array = isinstance(self.source.train, ArraySplit)
        if isinstance(images, ArrayViews) or (of_array and not self._on_gpu):
            return 0
        return loading_workers(cores(), self.trainer.num_devices if self.trainer else 1)


def _reader(split: Split, data: AnyData, rules: PixelRules) -> Reader:
    if isinstance(split, ArraySplit):
        return ArrayReader(split)
    assert isinstance(data, FilesConfig)
    side, packed = data.short_side if data.short_side != "auto" else None, None
    if side is not None and data.cache in ("disk", "ram"):
        packed = PackedImages(store_of(split, side, cache_folder(data.cache, data.cache_dir), rules))
    return FileReader(split, side, packed, rules)


def _keep_batch(batch: Any) -> Any:  # not a lambda, which a spawned worker could not unpickle
    return batch
