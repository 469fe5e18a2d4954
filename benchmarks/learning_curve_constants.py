"""Fit the constants of `datavol.study.curves.posterior` to public curves; about ten minutes on two cores.

    python benchmarks/learning_curve_constants.py

They maximise the likelihood of the errors at 2 n and 4 n given those at the last 3 to 6 sizes up to n, as they are and
as 200 test images would have measured them. Every source weighs as much as its curves deserve (`WEIGHTS`),
LCDB by half of its data sets. The constants are fitted once to everything, and once without each source in turn, and
written to `benchmarks/data/constants.json`; `learning_curves.py` forecasts each source with constants that have not
seen it. The first are those of the product.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from learning_curve_sources import ALIKE, DATA, FILES, Window, halves, some, tested, windows

from datavol.study.curves.error_scale import BEND, FLOOR, ErrorScale
from datavol.study.curves.measured import RUN_NOISE, RUN_NOISE_DOF
from datavol.study.curves.posterior import (
    DAMPINGS,
    ODDS_PER_DOUBLING,
    TRUST,
    UNKNOWN,
    Kinds,
)
from datavol.study.curves.slope_process import LEVEL_SD, Prior

CONSTANTS = DATA / "constants.json"
NOISES = ((None, 0.0), (200, 0.5))  # test images, and the share of their noise that runs have in common
WEIGHTS = {"LCDB": 60, "few-shot vision": 30, "medical images": 30} | dict.fromkeys(ALIKE, 20)
COUNTS = {"LCDB": 280, "few-shot vision": 110, "medical images": 90} | dict.fromkeys(ALIKE, 100)  # windows drawn
MOST, LATER = 6, 2  # sizes, and later sizes; fewer are padded
PADDING = 1e6  # variance of the noise of sizes that are not there
SCALES = torch.from_numpy(np.geomspace(0.08, 30, 11))
NAMES = ("mean_slope", "slope_by_z", "slope_sd", "damping", "drift", "decay", "wiggle", "dof")
LOGARITHMIC = [name not in ("mean_slope", "slope_by_z") for name in NAMES]
STARTS = {  # a value and the standard deviation around it that is thought possible, of its logarithm where it is one
    "mean_slope": ((-0.12, 0.1), (-0.11, 0.1)),
    "slope_by_z": ((0.03, 0.05), (0.045, 0.05)),
    "slope_sd": ((0.09, 0.25), (0.04, 0.4)),
    "damping": ((0.5, 0.4), (0.2, 0.4)),
    "drift": ((0.03, 0.8), (0.05, 0.8)),
    "decay": ((0.4, 0.6), (0.25, 0.6)),
    "wiggle": ((0.0055, 0.8), (0.007, 0.8)),
    "dof": ((2.5, 0.8), (0.4, 0.8)),
}


class Batch:
    """Windows as padded tensors, in z; the padding has so much noise that it tells nothing."""

    def __init__(self, chosen: Sequence[Window], test_size: int | None) -> None:
        rows = [_row(window, test_size) for window in chosen]
        for name in rows[0]:
            setattr(self, name, torch.from_numpy(np.array([row[name] for row in rows])))

    x: torch.Tensor  # log2 n less its largest value (windows, sizes), and so on
    z: torch.Tensor
    last: torch.Tensor  # z at the largest n (windows,)
    largest: torch.Tensor  # that n
    test: torch.Tensor  # variance that the test images add to a mean
    repeats: torch.Tensor
    squares: torch.Tensor  # sum of squared deviations between runs (windows,)
    spare: torch.Tensor  # its degrees of freedom
    test_of_run: torch.Tensor  # mean variance that the test images add to one run (windows,)
    later_x: torch.Tensor  # (windows, later)
    later_z: torch.Tensor
    later_repeats: torch.Tensor
    known: torch.Tensor  # whether the later size is there


def _row(window: Window, test_size: int | None) -> dict[str, np.ndarray]:
    means = np.array([runs.mean() for runs in window.errors])
    scale = ErrorScale.of(np.concatenate(window.errors), window.chance_error, test_size)
    repeats = np.array([len(runs) for runs in window.errors], float)
    test, steep = scale.test_variance(means), scale.steepness(means)
    squares = sum(((runs - runs.mean()) ** 2).sum() * s**2 for runs, s in zip(window.errors, steep, strict=True))
    ratio = np.clip(window.truth / scale.ceiling, FLOOR / 2, 1 - 1e-4)

    def padded(values: np.ndarray, length: int, filling: float) -> np.ndarray:
        return np.append(values, np.full(length - len(values), filling))

    return {
        "x": padded(np.log2(window.n / window.n[-1]), MOST, 0.0),
        "z": padded(scale.z(means), MOST, scale.z(means)[-1]),
        "last": scale.z(means)[-1],
        "largest": window.n[-1],
        "test": padded(test / repeats, MOST, PADDING),
        "repeats": padded(repeats, MOST, 1.0),
        "squares": np.float64(squares),
        "spare": (repeats - 1).sum(),
        "test_of_run": test.mean(),
        "later_x": padded(np.log2(window.later_n / window.n[-1]), LATER, 1.0),
        "later_z": padded(np.log(ratio) - BEND * np.log1p(-ratio), LATER, 0.0),
        "later_repeats": padded(np.array([len(runs) for runs in window.later], float), LATER, 1.0),
        "known": padded(np.ones(len(window.later)), LATER, 0.0) > 0,
    }


def log_likelihood(values: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Mean log density of the later z under the mixture of both kinds, all scales and what runs may share."""
    odds = values[-1] + ODDS_PER_DOUBLING * torch.log2(batch.largest / 10_000)[:, None]
    log = torch.nn.functional.logsigmoid
    kinds = ((_constants(values[:8]), log(odds)), (_constants(values[8:16]), log(-odds)))
    parts = [
        (logs + log_weight + np.log(common.weight * share), means, variances)
        for constants, log_weight in kinds
        for common in UNKNOWN
        for times, share in DAMPINGS
        for logs, means, variances in [_condition(constants, batch, common.test, times)]
    ]
    logs = torch.cat([part[0] for part in parts], 1)
    means, variances = (torch.cat([part[i] for part in parts], 1) for i in (1, 2))
    logs = logs - torch.logsumexp(logs, 1, keepdim=True)
    densities = -0.5 * (batch.later_z[:, None] - means) ** 2 / variances - 0.5 * torch.log(variances)
    return torch.logsumexp(logs[..., None] + densities, 1)[batch.known].mean()


def _constants(values: torch.Tensor) -> dict[str, torch.Tensor]:
    return {n: v.exp() if log else v for n, v, log in zip(NAMES, values, LOGARITHMIC, strict=True)}


def _condition(
    c: dict[str, torch.Tensor], b: Batch, common: float, times: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log weights (windows, scales), means and variances (windows, scales, later), as `slope_process` has them."""
    damping = times * c["damping"]

    def bent(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, -torch.expm1(-damping * x.clamp(min=0)) / damping, x)

    def spread(d: torch.Tensor) -> torch.Tensor:
        decays = c["decay"] * d.abs()
        return 2 * (c["drift"] / c["decay"]) ** 2 * (decays + torch.expm1(-decays))

    def drift(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return 0.5 * (spread(x)[:, :, None] + spread(y)[:, None, :] - spread(x[:, :, None] - y[:, None, :]))

    squares = (SCALES**2)[None, :, None, None]
    run = (RUN_NOISE_DOF * RUN_NOISE**2 + (b.squares - (1 - common) * b.spare * b.test_of_run).clamp(min=0)) / (
        RUN_NOISE_DOF + b.spare
    )
    noise = torch.where(b.test >= PADDING, PADDING, (1 - common) * (b.test + run[:, None] / b.repeats))
    wiggle = c["wiggle"] ** 2 * 2 ** (-b.x)
    slope, later_slope = c["slope_sd"] * bent(b.x), c["slope_sd"] * bent(b.later_x)
    known = squares * (drift(b.x, b.x) + torch.diag_embed(wiggle))[:, None] + LEVEL_SD**2
    known = known + (slope[:, :, None] * slope[:, None, :] + torch.diag_embed(noise))[:, None]
    cross = squares * drift(b.later_x, b.x)[:, None] + LEVEL_SD**2
    cross = cross + (later_slope[:, :, None] * slope[:, None, :])[:, None]
    before = squares[..., 0] * (torch.diagonal(drift(b.later_x, b.later_x), dim1=1, dim2=2) + c["wiggle"] ** 2)[:, None]
    before = before + (later_slope**2)[:, None] + LEVEL_SD**2
    mean_slope = c["mean_slope"] + c["slope_by_z"] * (b.last + 1)
    residual = b.z - b.last[:, None] - mean_slope[:, None] * bent(b.x)
    root, (solved, *columns) = _forward(known, [residual[:, None, :], *cross.unbind(2)])
    # Scales by their prior and by the evidence, which is trusted in part
    priors = -c["dof"] * (torch.log(SCALES) + 0.5 / SCALES**2)
    logs = TRUST * (-root - 0.5 * sum(v * v for v in solved)) + priors - torch.logsumexp(priors, 0)
    start = b.last[:, None] + mean_slope[:, None] * bent(b.later_x)
    explained = [sum(u * v for u, v in zip(column, solved, strict=True)) for column in columns]
    means = torch.stack([start[:, None, i] + one for i, one in enumerate(explained)], 2)
    variances = torch.stack([before[..., i] - sum(u * u for u in column) for i, column in enumerate(columns)], 2)
    added = (1 - common) * (run[:, None] / b.later_repeats + b.test_of_run[:, None])
    return logs, means, variances.clamp(min=1e-8) + added[:, None]


def _forward(matrix: torch.Tensor, sides: list[torch.Tensor]) -> tuple[torch.Tensor, list[list[torch.Tensor]]]:
    """Half the log determinants, and L^-1 of every side; unrolled, as libraries are slow on tiny matrices."""
    size, lower, half = matrix.shape[-1], {}, torch.zeros((), dtype=torch.float64)
    for j in range(size):
        lower[j, j] = (matrix[..., j, j] - sum(lower[j, k] ** 2 for k in range(j))).clamp(min=1e-10).sqrt()
        half = half + torch.log(lower[j, j])
        for i in range(j + 1, size):
            lower[i, j] = (matrix[..., i, j] - sum(lower[i, k] * lower[j, k] for k in range(j))) / lower[j, j]
    solutions = []
    for side in sides:
        solved: list[torch.Tensor] = []
        for i in range(size):
            solved.append((side[..., i] - sum(lower[i, k] * solved[k] for k in range(i))) / lower[i, i])
        solutions.append(solved)
    return half, solutions


def fit(sources: Sequence[str], iterations: int = 22) -> Kinds:
    """The constants of networks and of LCDB under which what came after the windows was likeliest."""
    batches = []
    for source in sources:
        chosen = windows(source)
        chosen = some(halves(chosen)[0] if source == "LCDB" else chosen, COUNTS[source])
        for number, (test_size, common) in enumerate(NOISES):
            rng = np.random.default_rng(number)
            noisy = [tested(window, test_size, common, rng) for window in chosen]
            batches.append((Batch(noisy, test_size), WEIGHTS[source] / len(NOISES)))
    start, sd = _start()
    values = start.clone().requires_grad_(True)
    optimiser = torch.optim.LBFGS([values], max_iter=iterations, line_search_fn="strong_wolfe", history_size=20)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        total = 0.5 * (((values - start) / sd) ** 2).sum()
        total.backward()
        for batch, weight in batches:  # one after the other, for less memory
            part = -weight * log_likelihood(values, batch)
            part.backward()
            total = total.detach() + part.detach()
        return total

    optimiser.step(loss)
    values = values.detach()
    networks, lcdb = (
        Prior(**{name: float(value) for name, value in constants.items()})
        for constants in (_constants(values[:8]), _constants(values[8:16]))
    )
    return Kinds(networks, lcdb, float(values[-1]))


def _start() -> tuple[torch.Tensor, torch.Tensor]:
    """Where the search starts, and how far from it a value may be."""
    start, sd = [], []
    for kind in (0, 1):
        for name, log in zip(NAMES, LOGARITHMIC, strict=True):
            value, spread = STARTS[name][kind]
            start.append(np.log(value) if log else value)
            sd.append(spread)
    return torch.tensor([*start, 0.0], dtype=torch.float64), torch.tensor([*sd, 0.5], dtype=torch.float64)


def main() -> None:
    """Fit to everything, and without each source; write and print the constants."""
    torch.set_num_threads(2)
    fitted = {}
    for left_out in ("", *FILES):
        if ALIKE.get(left_out) in fitted:
            fitted[left_out] = fitted[ALIKE[left_out]]
            continue
        # LCDB is forecast by the half of its data sets that no fit has seen
        unseen = [left_out, ALIKE.get(left_out)] if left_out != "LCDB" else []
        fitted[left_out] = asdict(fit([name for name in FILES if name not in unseen]))
        print(left_out or "everything", fitted[left_out], sep="\n", flush=True)
        CONSTANTS.write_text(json.dumps(fitted, indent=1))


if __name__ == "__main__":
    main()
