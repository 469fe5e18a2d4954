"""The LightningDataModule: a source, a subset and a budget as loaders, for any number of ranks and workers."""

from __future__ import annotations

from functools import partial
from typing import Any

import lightning as L
import numpy as np
from torch.utils.data import DataLoader

from datavol.config import AnyData, FilesConfig, RecipeConfig
from datavol.data.augment.transforms import Augmentation
from datavol.data.budget import Budget
from datavol.data.images.cache_reader import PackedImages, cache_folder, store_of
from datavol.data.images.cache_writer import fill
from datavol.data.images.dataset import ArrayReader, Batch, EvaluationImages, FileReader, Reader, TrainingImages
from datavol.data.images.decode import decode_file
from datavol.data.sampler import BudgetSampler, UnpaddedSampler
from datavol.data.sources.arrays import ArraySplit
from datavol.data.sources.open import Source, Split
from datavol.data.subsets import Subset
from datavol.data.workers import loading_workers
from datavol.runs.provenance import cores


class SubsetDataModule(L.LightningDataModule):
    """Loads the subset for training, and the validation set (and on demand the clean subset) for evaluation."""

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
        """Decode what is not in the image cache yet, if there is to be one; other processes wait for the first."""
        everything = np.arange(len(self.source.val.labels))
        parts = ((self.training_images.reader, self.subset.indices), (self.validation_images.reader, everything))
        for reader, positions in parts:
            if isinstance(reader, FileReader) and reader.packed is not None:
                assert isinstance(self.data, FilesConfig)
                split, store = reader.split, reader.packed.store
                limit = round(self.data.cache_gb * 1e9)
                fill(store, split, partial(decode_file, split), positions, limit, threads=cores())
                reader.packed = PackedImages(store)

    def train_dataloader(self) -> DataLoader[Batch]:
        """This rank's share of every global batch of a budget epoch."""
        sampler = BudgetSampler(self.subset.indices, self.budget, self.order_seed, *self._place(), self.balanced_by)
        # Lightning sets the epoch only after it has started the workers, which read ahead at once
        sampler.set_iteration(self.trainer.global_step if self.trainer else 0)
        return self._loader(self.training_images, sampler, sampler.share)

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """The validation set, and with `evaluate_train` the training subset under the evaluation transform."""
        share = max(1, self.budget.batch_size // self._place()[1])
        everything = np.arange(len(self.source.val.labels))
        loaders = [self._loader(self.validation_images, UnpaddedSampler(everything, *self._place()), share)]
        if self.evaluate_train:
            loaders.append(self._loader(self.clean_images, UnpaddedSampler(self.subset.indices, *self._place()), share))
        for loader in loaders:
            if loader.num_workers:  # start them before training fills the memory, of which a fork copies what changes
                iter(loader)
        return loaders

    def _place(self) -> tuple[int, int]:
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
            collate_fn=_as_it_is,
            persistent_workers=workers > 0,
            pin_memory=self._on_gpu(),
        )

    def _workers(self) -> int:
        """Arrays in memory need none; files take the cores that the ranks of this machine leave."""
        if isinstance(self.workers, int):
            return self.workers
        if isinstance(self.source.train, ArraySplit):
            return 0
        ranks = self.trainer.num_devices if self.trainer else 1
        return loading_workers(cores(), ranks)

    def _on_gpu(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"


def _reader(split: Split, data: AnyData) -> Reader:
    if isinstance(split, ArraySplit):
        return ArrayReader(split)
    assert isinstance(data, FilesConfig)
    side, packed = data.short_side if data.short_side != "auto" else None, None
    if side is not None and data.cache in ("disk", "ram"):
        packed = PackedImages(store_of(split, side, cache_folder(data.cache, data.cache_dir)))
    return FileReader(split, side, packed)


def _as_it_is(batch: Any) -> Any:
    """The images of a batch come together: there is nothing to collate."""
    return batch
