"""Splits a variance between runs into components, from sums of squares.

Components are estimated by equating sums of squares with their expectations (Henderson's method III). Intervals are
generalised ones (Hannig, Iyer and Patterson, *Fiducial generalized confidence intervals*, 2006): quantiles of draws in
which sums of squares are divided by chi-squared numbers, components below 0 counting as 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

DRAWS = 20_000
TRAINING = ["init_seed", "order_seed"]


@dataclass(frozen=True, eq=False)
class _Residuals:
    """Stores the residuals of a least-squares fit of z to dummies."""

    matrix: np.ndarray  # maps z to its residuals (runs, runs)
    square: float  # their sum of squares
    dof: int  # their degrees of freedom

    @classmethod
    def of(cls, z: np.ndarray, dummies: np.ndarray) -> _Residuals:
        # An orthonormal basis of the columns, by singular values above 0: dummies of crossed seeds are collinear.
        # Residuals are what is left of z after its projection onto the basis
        basis, singular, _ = np.linalg.svd(dummies, full_matrices=False)
        basis = basis[:, singular > 1e-9]
        matrix = np.eye(len(z)) - basis @ basis.T
        residuals = matrix @ z  # squared one by one: z' M z is the same sum, but rounding may leave it below 0
        return cls(matrix, float(residuals @ residuals), len(z) - basis.shape[1])


def variance_components(z: np.ndarray, runs: pd.DataFrame) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Estimate components of the variance of z, with generalised draws (draws,).

    Returns:
        By name; the last is the residual variance within the others, `together` where the seeds separate none.
    """
    # Four nested models: a mean per fraction; per fraction and subset; per fraction and training seed; both added.
    # The residual degrees of freedom show which seeds vary within which: 0 means that every run has a mean of its own
    draw, train = _dummies(runs, "draw_seed"), _dummies(runs, *TRAINING)
    within, by_draw, by_train = _Residuals.of(z, _dummies(runs)), _Residuals.of(z, draw), _Residuals.of(z, train)
    by_both = _Residuals.of(z, np.hstack([draw, train]))
    # `outer` sources: the model without the source, and the source's dummies. `rest` is the model with all of them,
    # whose residuals are the innermost source
    crossed = 0 < by_both.dof < min(by_draw.dof, by_train.dof)
    if crossed:
        outer, inner, rest = {"subset": (by_train, draw), "training seed": (by_draw, train)}, "interplay", by_both
    elif by_train.dof == 0 < by_draw.dof < within.dof:  # several training seeds of each subset, no two alike
        outer, inner, rest = {"subset": (within, draw)}, "training seed", by_draw
    elif by_draw.dof == 0 < by_train.dof < within.dof:  # several subsets for each training seed
        outer, inner, rest = {"training seed": (within, train)}, "subset", by_train
    else:
        outer, inner, rest = {}, "together", within
    rng = np.random.default_rng(0)
    # The residual sum of squares is variance * chi-squared(dof): its expectation gives the estimate, and with random
    # chi-squared numbers it gives draws of the variance
    residual, residuals = rest.square / rest.dof, rest.square / rng.chisquare(rest.dof, DRAWS)
    estimates, draws = {}, {}
    for name, (without, dummies) in outer.items():
        # What the source explains beyond the others. With M the residual matrix without it and D its dummies, the
        # expectation of this sum of squares is dof * residual variance + trace(D' M D) * variance of the source
        square, dof = without.square - rest.square, without.dof - rest.dof
        weight = float(np.trace(dummies.T @ without.matrix @ dummies)) / dof  # runs per level, where balanced
        estimates[name] = max(0.0, (square / dof - residual) / weight)
        draws[name] = np.maximum(0, (square / rng.chisquare(dof, DRAWS) - residuals) / weight)
    return estimates | {inner: residual}, draws | {inner: residuals}


def _dummies(runs: pd.DataFrame, *seeds: str) -> np.ndarray:
    """Code fraction and seeds as columns of zeros and ones (runs, levels)."""
    level = runs.groupby(["fraction", *seeds]).ngroup().to_numpy()  # the number of every run's combination
    return np.eye(level.max() + 1)[level]
