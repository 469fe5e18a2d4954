"""Find by simulation how probable an adaptive study's answer must be before it counts as certain; a minute.

    python -m benchmarks.asking --thresholds

Pairs of runs come one after the other, and after each the answer may be called certain. The true gap lies at the
boundary, just on the wrong side, so that half of the certain answers are wrong: of all studies at most 1 - level may
end so, both where noise is twice what it is hinted at on small networks, and where it is as much as it was on
MobileNetV2. Where repeats told the noise they are taken at their word.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student

from datavol.study.looks.evidence import HINT_DOF, HINT_TIMES, MOST_DOF

TABLE = Path(__file__).parents[1] / "datavol" / "study" / "looks" / "thresholds.csv"
LEVELS = (0.8, 0.9, 0.95, 0.99)
PAIRS = (3, 6, 9, 18)  # at most
STUDIES = 400_000
SMALL_NETWORKS, MOBILENETV2 = (0.7, 1.8), (1.8, 3.3)
"""Standard deviation of a pair over seeds, in those that McNemar's disagreements give: `data/budgets.csv`; 18 runs of
MobileNetV2 on photographs."""


def hinted(rng: np.random.Generator, times: tuple[float, float], studies: int) -> np.ndarray:
    """Draw standard deviations as a pair hints at them, in true ones (studies,)."""
    return HINT_TIMES / np.exp(rng.uniform(*np.log(times), studies))


def repeated(rng: np.random.Generator, dof: float, studies: int) -> np.ndarray:
    """Draw standard deviations as earlier repeats tell them, in true ones (studies,).

    They count half: `dof` is what `Evidence.noise` makes of twice as many above those of a hint.
    """
    repeats = 2 * (dof - HINT_DOF)
    return np.sqrt(rng.chisquare(repeats, studies) / repeats)


def least_doubts(rng: np.random.Generator, known: np.ndarray, dof: float) -> np.ndarray:
    """Play studies at the boundary, and keep the least probability of either answer up to each pair.

    Args:
        rng: Draws the gaps.
        known: Standard deviations that the studies start from, in true ones (studies,).
        dof: Their degrees of freedom.

    Returns:
        Least doubts (studies, pairs).
    """
    counts = np.arange(1, PAIRS[-1] + 1)
    gaps = rng.standard_normal((len(known), len(counts)))  # from the boundary, in true standard deviations
    means = gaps.cumsum(axis=1) / counts
    squares = (gaps**2).cumsum(axis=1) - counts * means**2  # about the mean
    freedom = dof + counts - 1
    variance = (dof * known[:, None] ** 2 + squares) / freedom
    either = student.sf(np.abs(means) / np.sqrt(variance / counts), freedom)
    return np.minimum.accumulate(either, axis=1)


def doubts(dof: float, studies: int, seed: int = 0) -> list[np.ndarray]:
    """Play the studies that start from so many degrees of freedom: (studies, pairs) for each case."""
    rng = np.random.default_rng(seed)
    if dof > HINT_DOF:
        return [least_doubts(rng, repeated(rng, dof, studies), dof)]
    twice, as_measured = hinted(rng, SMALL_NETWORKS, studies) / 2, hinted(rng, MOBILENETV2, studies)
    return [least_doubts(rng, known, dof) for known in (twice, as_measured)]


def thresholds(studies: int = STUDIES) -> pd.DataFrame:
    """Find the thresholds: `level`, `dof`, `pairs` (at most), `threshold`."""
    rows = []
    for dof in np.arange(HINT_DOF, MOST_DOF + 1):
        reached = doubts(dof, studies)
        for level in LEVELS:
            for pairs in PAIRS:
                # A certain answer is wrong in half of the studies: the doubt that 2 (1 - level) of them ever reach
                doubt = min(float(np.quantile(case[:, pairs - 1], 2 * (1 - level))) for case in reached)
                rows.append((level, int(dof), pairs, 1 - float(f"{doubt:.3g}")))
    return pd.DataFrame(rows, columns=["level", "dof", "pairs", "threshold"]).round(6)


def write() -> None:
    """Write the table that the rules read."""
    made = thresholds()
    made.to_csv(TABLE, index=False)
    print(made.pivot(index=["level", "pairs"], columns="dof", values="threshold").to_string())
