"""The schema of `conf/`: every key, its type, its rule, and whether it is part of a run's identity.

Defaults live in the YAML files under `conf/` alone. Each key carries its rule in words (shown when a value breaks
it), a remedy, and a mark that says whether it enters the run's hash: `hashed=True` for what changes the science,
`hashed=False` for what only changes where, how fast or how visibly the same science is done.
"""

from datavol.config.data import (
    AnyData,
    DataConfig,
    DigitsConfig,
    FilesConfig,
    ImageFolderConfig,
    ImageNetConfig,
    TableConfig,
    TorchvisionConfig,
)
from datavol.config.logger import CsvConfig, WandbConfig
from datavol.config.model import TORCHVISION_NETWORKS, ModelConfig
from datavol.config.plan import NodeConfig, PlanConfig
from datavol.config.recipe import AugmentConfig, EvaluateConfig, OptimiserConfig, RecipeConfig, ScheduleConfig
from datavol.config.run import Config, Run, check_batch_shares
from datavol.config.section import Section, hashed_values, key, marks
from datavol.config.sweep import SweepConfig
from datavol.config.trainer import CheckpointConfig, TrainerConfig

__all__ = [
    "TORCHVISION_NETWORKS",
    "AnyData",
    "AugmentConfig",
    "CheckpointConfig",
    "Config",
    "CsvConfig",
    "DataConfig",
    "DigitsConfig",
    "EvaluateConfig",
    "FilesConfig",
    "ImageFolderConfig",
    "ImageNetConfig",
    "ModelConfig",
    "NodeConfig",
    "OptimiserConfig",
    "PlanConfig",
    "RecipeConfig",
    "Run",
    "ScheduleConfig",
    "Section",
    "SweepConfig",
    "TableConfig",
    "TorchvisionConfig",
    "TrainerConfig",
    "WandbConfig",
    "check_batch_shares",
    "hashed_values",
    "key",
    "marks",
]
