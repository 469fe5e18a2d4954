"""First screens of simulated studies."""

import numpy as np
import pytest
from factories.simulated_curves import grid, power_law, simulated_study

from datavol.study.load.study import Study
from datavol.study.report.screen.contents import FirstScreen
from datavol.study.report.screen.first_screen import first_screen
from datavol.study.report.screen.label_cost import LabelCost

SEEDS = ((0, 0), (1, 1), (2, 2))


def level_early(n: np.ndarray) -> np.ndarray:
    """An error that no image beyond some thousand lowers."""
    return 0.12 + 0.5 * (n / 100) ** -1.5


def no_better_than_guessing(n: np.ndarray) -> np.ndarray:
    return 0.9 + 0 * n


@pytest.fixture(scope="session")
def studies() -> dict[str, Study]:
    """One that wants more images, one that has enough, one that learnt nothing, and one with two sizes."""
    rng = np.random.default_rng(0)
    return {
        "wants more": simulated_study(rng, grid(seeds=SEEDS), power_law, full_size=3200, test_size=20_000),
        "has enough": simulated_study(rng, grid(seeds=SEEDS), level_early, test_size=100_000, noise=0.001),
        "learnt nothing": simulated_study(
            rng, grid((0.25, 0.5, 1.0), SEEDS), no_better_than_guessing, full_size=300, test_size=60
        ),
        "two sizes": simulated_study(rng, grid((0.5, 1.0)), power_law, full_size=3200, test_size=2000),
    }


@pytest.fixture(scope="session")
def screens(studies: dict[str, Study]) -> dict[str, FirstScreen]:
    cost = LabelCost(0.1, "EUR")
    return {name: first_screen(study, target=0.85, label_cost=cost) for name, study in studies.items()}
