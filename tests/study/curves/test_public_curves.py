import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from datavol.study.curves.learning_curve import fit_learning_curve
from datavol.study.curves.posterior import KINDS


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[3] / "benchmarks")
        import learning_curve_constants as fitting
        import learning_curves as scoring
    return scoring, fitting


def test_the_constants_are_those_that_the_script_wrote(benchmark):
    fitted = benchmark[0].kinds_without("")
    for kind in ("networks", "lcdb"):
        assert vars(getattr(KINDS, kind)) == pytest.approx(vars(getattr(fitted, kind)), rel=0.01)
    assert KINDS.odds == pytest.approx(fitted.odds, abs=0.01)


def test_the_script_fits_the_process_of_the_product(benchmark):
    """Its log likelihood of later sizes is that of the mixture that the product forecasts with."""
    scoring, fitting = benchmark
    window = scoring.windows("few-shot vision", (4,))[3]
    n, error = window.runs
    curve = fit_learning_curve(n, error, chance_error=window.chance_error)
    mixture = curve._posterior.new_run(np.log2(window.later_n / n[-1]), np.zeros(len(window.later)))
    expected = []
    for place, truth in enumerate(curve._scale.z(window.truth)):
        densities = norm.pdf(truth, mixture.means[:, place], mixture.sds[:, place])
        expected.append(math.log(mixture.weights @ densities * math.sqrt(2 * math.pi)))
    values = []
    for kind in (KINDS.networks, KINDS.lcdb):
        values += [
            value if name in ("mean_slope", "slope_by_z") else math.log(value)
            for name in fitting.NAMES
            for value in [getattr(kind, name)]
        ]
    told = fitting.log_likelihood(fitting.torch.tensor([*values, KINDS.odds]), fitting.Batch([window], None))
    assert told.item() == pytest.approx(np.mean(expected), abs=0.15)  # the script has fewer scales, and a finer noise


MOST = {  # MAE as a ratio to the better of two other methods; below 1 is better
    "LCDB": 0.6,
    "few-shot vision": 0.6,
    "medical images": 0.95,
    "Fashion-MNIST, scikit-learn": 0.85,
    "Fashion-MNIST, networks": 0.85,
}


@pytest.mark.parametrize("source", MOST)
def test_forecasts_of_public_curves_hold_what_they_promise(benchmark, source):
    """With constants that have not seen the source; LCDB on the half of its data sets that no fit has seen."""
    scoring, _ = benchmark
    rows = scoring.table(scoring.some(scoring.unseen(source), 60), None, scoring.kinds_without(source))
    ours = rows.loc["datavol"]
    assert ours["cov 95"] >= 0.92
    assert ours["MAE ratio"] <= MOST[source]
    assert ours["CRPS ratio"] <= 0.7
    assert ours["oracle"] <= 2
