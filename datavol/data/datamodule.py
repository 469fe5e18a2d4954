"""Loads a subset and its validation set, as a LightningDataModule."""

from functools import partial
from typing import Any

import lightning as L
import numpy as np
from torch.utils.data import DataLoader

from datavol.config.data import AnyData, FilesConfig
from datavol.config.recipe import RecipeConfig
from datavol.data.augment.transforms import Augmentation
from datavol.data.budget import Budget
from datavol.data.images.cache_policy import limit_bytes
from datavol.data.images.cache_reader import PackedImages, cache_folder, store_of
from datavol.data.images.cache_writer import fill
from datavol.data.images.dataset import ArrayReader, Batch, EvaluationImages, FileReader, Reader, TrainingImages
from datavol.data.images.decode import decode_file
from datavol.data.sampler import BudgetSampler, UnpaddedSampler
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.open import Source
from datavol.data.sources.split import Split
from datavol.data.subsets import Subset
from datavol.data.workers import loading_workers
from datavol.runs.provenance import cores


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
    ) -> None:
        super().__init__()
        self.source, self.subset, self.budget, self.order_seed = source, subset, budget, order_seed
        self.evaluate_train = evaluate_train
        self.everything = np.arange(len(source.val.labels))  # the positions of the validation set
        self.balanced_by = source.train.labels[subset.indices] if balanced else None
        self.workers = data.workers
        replace = isinstance(data, FilesConfig) and data.on_damaged == "replace"
        self.data = data
        train, val = _reader(source.train, data), _reader(source.val, data)
        augmentation = Augmentation(recipe.augment, order_seed)
        self.training_images = TrainingImages(train, subset.indices, augmentation, replace)
        self.clean_images = EvaluationImages(train, recipe.evaluate, replace)
        self.validation_images = EvaluationImages(val, recipe.evaluate, replace)

    def fill_cache(self) -> None:
        """Decode images that the image cache lacks, if there is one."""
        parts = ((self.training_images.reader, self.subset.indices), (self.validation_images.reader, self.everything))
        for reader, positions in parts:  # other processes wait for the one that holds a store's lock
            if isinstance(reader, FileReader) and reader.packed is not None:
                assert isinstance(self.data, FilesConfig)
                split, store = reader.split, reader.packed.store
                limit = limit_bytes(self.data)
                fill(store, split, partial(decode_file, split), positions, limit, threads=cores())
                reader.packed = PackedImages(store)  # mapped anew, with what was added

    def train_dataloader(self) -> DataLoader[Batch]:
        """Load this rank's share of every global batch."""
        sampler = BudgetSampler(self.subset.indices, self.budget, self.order_seed, *self._rank(), self.balanced_by)
        # Lightning sets the epoch only after it has started the workers, which read ahead at once
        sampler.set_iteration(self.trainer.global_step if self.trainer else 0)
        return self._loader(self.training_images, sampler, sampler.share)

    def val_dataloader(self) -> list[DataLoader[Batch]]:
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

    def _rank(self) -> tuple[int, int]:
        """Give this process's rank and the number of ranks."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(
        self, images: TrainingImages | EvaluationImages, sampler: BudgetSampler | UnpaddedSampler, batch_size: int
    ) -> DataLoader[Batch]:
        workers = self._workers()
        return DataLoader(
            images,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=workers,
            collate_fn=_keep_batch,  # `__getitems__` makes a whole batch: there is nothing to collate
            persistent_workers=workers > 0,
            pin_memory=self.trainer is not None and self.trainer.strategy.root_device.type == "cuda",
        )

    def _workers(self) -> int:
        """Choose the number of worker processes, where it is `auto`."""
        if isinstance(self.workers, int):
            return self.workers
        if isinstance(self.source.train, ArraySplit):
            return 0  # a batch of an array in memory is made faster than it is passed between processes
        return loading_workers(cores(), self.trainer.num_devices if self.trainer else 1)


def _reader(split: Split, data: AnyData) -> Reader:
    if isinstance(split, ArraySplit):
        return ArrayReader(split)
    assert isinstance(data, FilesConfig)
    side, packed = data.short_side if data.short_side != "auto" else None, None
    if side is not None and data.cache in ("disk", "ram"):
        packed = PackedImages(store_of(split, side, cache_folder(data.cache, data.cache_dir)))
    return FileReader(split, side, packed)


def _keep_batch(batch: Any) -> Any:  # not a lambda, which a spawned worker could not unpickle
    return batch
