"""Made-up worlds of known truth, in which an adaptive study may train without training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from datavol.asking.set_up import SetUp
from datavol.runs.predictions import Predictions
from datavol.study.looks.evidence import Trained
from datavol.study.looks.look import Step
from factories.run_folders import write_run


@dataclass
class World:
    """Trains by drawing who is right, image by image.

    Attributes:
        error: True error of a run by its fraction and part.
        noise: Standard deviation of a run.
        images: Test images.
        common: Share of the test images whose difficulty all runs agree on.
        trained: Every step that was trained, in order.
    """

    error: Callable[[Step], float]
    noise: float = 0.003
    images: int = 10_000
    common: float = 0.95
    seed: int = 0
    trained: list[Step] = field(default_factory=list)

    def right(self, step: Step) -> np.ndarray:
        """Draw whether each image is right, the same at every call (images,)."""
        world = np.random.default_rng(self.seed)
        difficulty, agreed = world.random(self.images), world.random(self.images) < self.common
        run = np.random.default_rng([self.seed, round(1e6 * step.fraction), step.seed, step.part])
        own = run.random(self.images)
        error = np.clip(self.error(step) + self.noise * run.standard_normal(), 0, 1)
        return np.where(agreed, difficulty, own) >= error

    def train(self, step: Step) -> Trained:
        """Train a run of a rule alone, without a record."""
        self.trained.append(step)
        right = self.right(step)
        return Trained(step, float(1 - right.mean()), right)

    def write(self, set_up: SetUp, steps: Sequence[Step]) -> None:
        """Write the records of runs, as training them would; finished ones stay."""
        for step in steps:
            run = set_up.run(step)
            if (run.folder / "run.json").exists():
                continue
            right = self.right(step)
            labels = np.arange(self.images) % 10
            said = np.where(right, labels, (labels + 1) % 10)
            classes = np.column_stack([said, (said + 1) % 10, (said + 2) % 10, (said + 3) % 10, (said + 4) % 10])
            sure = np.log(np.tile([0.6, 0.1, 0.1, 0.1, 0.05], (self.images, 1))).astype(np.float32)
            folder = write_run(
                run.folder.parent,
                fraction=step.fraction,
                seed=step.seed,
                epochs=run.config.epochs,
                top1=float(right.mean()),
                overrides=set_up.overrides,
                predictions=Predictions(labels, classes, sure),
                name=run.folder.name,
                planted={"validation_images": self.images, "last.val/images": float(self.images)},
            )
            settled = {"val/top1": float(right.mean())}
            folder.write_rows([row | (settled if row["budget_epoch"] > 1 else {}) for row in folder.rows])
            self.trained.append(step)


def gap(of: float, *, base: float = 0.12, grows: bool = True) -> Callable[[Step], float]:
    """Make errors of two fractions, all and less, whose gap grows with training."""
    return lambda step: base + (step.fraction < 1) * of * (1 / step.part**0.5 if grows else 1.0)
