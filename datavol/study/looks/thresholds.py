"""Says how probable an answer must be before it counts as certain."""

from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd


def threshold_of(level: float, dof: float, most: int) -> float:
    """Look up the probability that ends a question.

    It was simulated so that at most 1 - level of the answers at the boundary are wrong: `benchmarks/asking.py`.
    Between the simulated levels and degrees of freedom doubts are interpolated; for levels beyond, extrapolated.

    Args:
        level: The certainty that was asked for.
        dof: Degrees of freedom of the noise before the first pair.
        most: Looks at full pairs, at most; from the next larger number that was simulated.
    """
    table = _doubts()
    pairs = min((one for one in table if one >= most), default=max(table))
    by_level = table[pairs]  # log doubts, (levels, degrees of freedom), levels ascending
    at_dof = [float(np.interp(dof, by_level.columns, row)) for row in by_level.to_numpy()]
    risks = np.log(1 - by_level.index.to_numpy(float))  # descending
    # A line through the two simulated levels that are nearest, in logarithms of what may go wrong
    place = int(np.clip(np.searchsorted(-risks, -np.log(1 - level)), 1, len(risks) - 1))
    slope = (at_dof[place] - at_dof[place - 1]) / (risks[place] - risks[place - 1])
    doubt = np.exp(at_dof[place] + slope * (np.log(1 - level) - risks[place]))
    return max(level, float(1 - doubt))


@cache
def _doubts() -> dict[int, pd.DataFrame]:
    """Read log(1 - threshold) by the most pairs (levels, degrees of freedom)."""
    with files(__package__).joinpath("thresholds.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file)
    table["doubt"] = np.log(1 - table["threshold"])
    by_pairs = {int(pairs): table[table["pairs"] == pairs] for pairs in table["pairs"].unique()}
    return {pairs: rows.pivot(index="level", columns="dof", values="doubt") for pairs, rows in by_pairs.items()}
