"""Chooses what a command line leaves open on images of one's own.

A choice becomes an override at the end of the command line: Hydra, the ranks and the record see values that somebody
could have typed, and that have the same hash as if typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser

from datavol.config.compose import compose, recipe_for
from datavol.config.model import TORCHVISION_NETWORKS
from datavol.config.run import Config, Run
from datavol.data.sources.open import Source, open_source
from datavol.data.sources.split import NoValidation
from datavol.training.networks.pretrained import IMAGENET, at_hand, pretrained_of

OWN = ("image_folder", "table", "webdataset", "hugging_face", "own")
VAL_FRACTION = 0.2
FRACTIONS = (0.125, 0.25, 0.5, 1.0)
LEAST_PER_CLASS = 10  # images of the rarest class in the smallest subset
FEW_PER_CLASS, VERY_FEW_PER_CLASS = (0.25, 0.5, 1.0), (0.6, 0.8, 1.0)  # otherwise; a class of 2 has one image at 0.6
SEEDS = ("seed", "draw_seed", "init_seed", "order_seed")
LEAST_BATCH = 8  # images, over which a network normalises
FEW = 5_000  # images, fewer than which are trained from scratch at `QUICK_SIZE`
QUICK_SIZE = {"data.image_size": 64, "data.resize": 72}


@dataclass(frozen=True)
class Choice:
    """Stores overrides, and why they were chosen, in words."""

    overrides: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        return f"{' '.join(self.overrides)}, {self.why}"


def compose_own(
    overrides: Sequence[str], *, multirun: bool, data_alone: bool = False
) -> tuple[list[Run], list[Choice]]:
    """Compose runs and choose what they leave open.

    With `data_alone` nothing is chosen for training.

    Returns:
        The runs, as chosen, and the choices.

    Raises:
        ConfigError: For the first thing that is wrong, in one line.
    """
    runs = compose(overrides, multirun=multirun)
    if any(run.config.data.source not in OWN or run.config.plan.images for run in runs):
        return runs, []
    chosen: list[Choice] = []
    runs = _with(overrides, runs, chosen, _validation(runs), multirun)
    if data_alone:
        return runs, chosen
    given = {one.key_or_group for one in OverridesParser.create().parse_overrides(list(overrides))}
    given |= {one.partition("=")[0].lstrip("+") for run in runs for one in run.overrides}
    sources = _opened(runs)
    sizes = np.concatenate([np.bincount(source.train.labels) for source in sources])
    images, rarest = min(len(source.train.labels) for source in sources), int(sizes[sizes > 0].min())
    recipe = _recipe(runs, given)
    runs = _with(overrides, runs, chosen, recipe, multirun)
    ours = bool(recipe) or all(_for_few(run.config) for run in runs)  # else a recipe's own values stay
    runs = _with(overrides, runs, chosen, _size(given, images, recipe), multirun)
    runs = _with(overrides, runs, chosen, _batch(runs, given, images, ours), multirun)
    runs = _with(overrides, runs, chosen, _epochs(runs, given, images, ours), multirun)
    return _with(overrides, runs, chosen, _grid(runs, given, rarest) if multirun else [], multirun), chosen


def overrides_in(chosen: Sequence[Choice]) -> list[str]:
    """List the overrides of choices, as the end of a command line."""
    return [one for choice in chosen for one in choice.overrides]


def _with(
    overrides: Sequence[str], runs: list[Run], chosen: list[Choice], more: Sequence[Choice], multirun: bool
) -> list[Run]:
    """Compose runs again with further choices."""
    if not more:
        return runs
    chosen += more
    return compose([*overrides, *overrides_in(chosen)], multirun=multirun)


def _opened(runs: list[Run]) -> list[Source]:
    """Open the different data sets of runs."""
    return [open_source(one) for one in _different([run.config.data for run in runs])]


def _different(sections: Sequence[Any]) -> list[Any]:
    different: list[Any] = []  # by comparison: sections may hold lists, and are not hashable then
    for one in sections:
        if one not in different:
            different.append(one)
    return different


def _validation(runs: list[Run]) -> list[Choice]:
    """Hold images out where the data name none for validation."""
    try:
        _opened(runs)
    except NoValidation:
        return [Choice((f"data.val_fraction={VAL_FRACTION}",), "as the data name no validation images")]
    return []


def _recipe(runs: list[Run], given: set[str]) -> list[Choice]:
    """Fine-tune where there are weights, else train from scratch by `small`."""
    if "recipe" in given or any(run.config.recipe.name != _usual(run.config) for run in runs):
        return []
    models = _different([run.config.model for run in runs])
    if all(model.weights is not None for model in models):
        return [Choice(("recipe=fine_tune",), "as model.weights is given")]
    if "model.weights" in given:
        return [Choice(("recipe=small",), "from scratch, as model.weights=null asks")]
    lacking = [model for model in models if at_hand(model) is None]
    if not lacking:
        found = [str(one.name) for model in models if (one := at_hand(model))]
        return [Choice(("recipe=fine_tune",), f"as there are ImageNet weights: {', '.join(found)}")]
    return [Choice(("recipe=small",), f"from scratch, as {_why_lacking(lacking[0])}")]


def _for_few(config: Config) -> bool:
    """Return whether a recipe was made for pretrained networks and few images."""
    return config.recipe.weights is not None and config.recipe.iterations > 0


def _usual(config: Config) -> str:
    """Name the recipe of a network where none is given."""
    model = config.model
    by_name = model.name in TORCHVISION_NETWORKS and getattr(model, "library", None) == "torchvision"
    return recipe_for(config.data.source, str(model.name) if by_name else "timm")


def _why_lacking(model: Any) -> str:
    known = pretrained_of(model)
    if known is None:
        return f"no ImageNet weights of {model.name} are known; model.weights=FILE fine-tunes"
    return (
        f"the ImageNet weights of {known.name} are not in {known.cache}; to fine-tune add model.weights={IMAGENET}, "
        f"which downloads them, or first type: {known.command}"
    )


def _size(given: set[str], images: int, recipe: Sequence[Choice]) -> list[Choice]:
    """Train few images from scratch at a size that is quick."""
    scratch = any(choice.overrides == ("recipe=small",) for choice in recipe)
    if not scratch or images > FEW or given & {*QUICK_SIZE}:
        return []
    values = tuple(f"{name}={value}" for name, value in QUICK_SIZE.items())
    return [Choice(values, f"which is quick from scratch on {images:,} images")]


def _batch(runs: list[Run], given: set[str], images: int, ours: bool) -> list[Choice]:
    """Choose a batch that an eighth of the images fills."""
    asked = max(run.config.recipe.batch_size for run in runs)
    if "recipe.batch_size" in given or not (ours or asked > images):
        return []
    # by the data alone: a later, smaller fraction then joins the same curve
    fitting = max(LEAST_BATCH, 2 ** max(0, (images // 8).bit_length() - 1))
    while fitting > images > 1:
        fitting //= 2
    if fitting >= asked:
        return []
    return [Choice((f"recipe.batch_size={fitting}",), f"as there are {images:,} training images")]


def _epochs(runs: list[Run], given: set[str], images: int, ours: bool) -> list[Choice]:
    """Train small sets for the least number of iterations of a recipe."""
    config = runs[0].config
    if not ours or "epochs" in given or any(run.config.epochs != run.config.recipe.epochs for run in runs):
        return []
    per_epoch = -(-images // config.recipe.batch_size)
    epochs = -(-config.recipe.iterations // per_epoch)
    if epochs <= config.epochs:
        return []
    return [Choice((f"epochs={epochs}",), f"for {epochs * per_epoch:,} iterations")]


def _grid(runs: list[Run], given: set[str], rarest: int) -> list[Choice]:
    """Sweep over fractions and seeds unless given, and all folds."""
    chosen, folds = [], {getattr(run.config.data, "folds", None) for run in runs}
    if "data.fold" not in given and len(folds) == 1 and (of := folds.pop()):
        every = ",".join(map(str, range(of)))
        chosen.append(Choice((f"data.fold={every}",), "so that every image is validated on once"))
    if given & {"fraction", "subset_file", *SEEDS}:
        return chosen
    fractions = f"fraction={','.join(f'{one:g}' for one in fractions_for(rarest))}"
    if chosen:  # each fraction is trained on as many sets as there are folds
        return [*chosen, Choice((fractions,), "as a curve needs several; seed=0,1 trains each twice")]
    return [Choice((fractions, "seed=0,1,2"), "as a curve needs several")]


def fractions_for(rarest: int) -> list[float]:
    """Choose the fractions of a curve by the images of the rarest class."""
    values = [one for one in FRACTIONS if one * rarest >= LEAST_PER_CLASS]
    if len(values) >= 3:
        return values
    return [*(FEW_PER_CLASS if FEW_PER_CLASS[0] * rarest > 0.5 else VERY_FEW_PER_CLASS)]
