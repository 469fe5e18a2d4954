"""Plants wrong labels among validation images, and counts which a report finds.

    python -m benchmarks.label_errors

Of digits with a small network of scikit-learn, and of Fashion-MNIST with the predictions that examples/fashion_mnist
keeps. Prints a Markdown table, which docs/explanation/leaks.md has.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from datavol.data.sources.arrays import digits
from datavol.data.sources.split import hold_out
from datavol.runs.predictions import Predictions
from datavol.study.load.study import load_study
from datavol.study.questions.label_errors import UNLIKELY, contradicted, whole

EXAMPLE = Path(__file__).parents[1] / "examples" / "fashion_mnist"
RATES = (0.0, 0.02, 0.05)
CLASSES = 10


def plant(labels: NDArray[np.int64], rate: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Give a share of the images another class."""
    wrong, planted = rng.choice(len(labels), round(rate * len(labels)), replace=False), labels.copy()
    planted[wrong] = (planted[wrong] + rng.integers(1, CLASSES, len(wrong))) % CLASSES
    return planted


def found(labels: NDArray[np.int64], runs: list[NDArray[np.float64]]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Flag likely wrong and contradicted labels, as the report does."""
    mean = np.mean(runs, axis=0)
    named, label = mean.argmax(1), mean[np.arange(len(labels)), labels]
    against = (contradicted(labels, mean) != labels) & (named != labels)
    return against & np.all([run.argmax(1) == named for run in runs], axis=0) & (label < UNLIKELY), against


def networks() -> dict[str, tuple[NDArray[np.int64], list[NDArray[np.float64]]]]:
    """Give true labels and the probabilities of each run, by what was trained."""
    train, val = hold_out(digits()[1], 0.2, 0)
    flat = [split.images.reshape(len(split), -1) / 255 for split in (train, val)]
    small = [MLPClassifier((64,), max_iter=200, random_state=seed).fit(flat[0], train.labels) for seed in range(3)]
    every = {"digits, small network, 3 runs": (val.labels, [one.predict_proba(flat[1]) for one in small])}
    runs = load_study(EXAMPLE).runs.query("recipe == 'small' and fraction == 1")
    for name, those in runs.groupby("model"):
        kept = [Predictions.from_bytes(Path(run, "predictions", "last.npz").read_bytes()) for run in those["folder"]]
        probabilities = [whole(one, CLASSES) for one in kept]
        every[f"Fashion-MNIST, {name}, {len(kept)} run{'s' * (len(kept) > 1)}"] = kept[0].labels, probabilities
    return every


def main() -> None:
    """Print the table."""
    print("| network | planted | look wrong | of these planted | of the planted | contradicted | of the planted |")
    print("|---|---|---|---|---|---|---|")
    for name, (truth, runs) in networks().items():
        for rate in RATES:
            labels = plant(truth, rate, np.random.default_rng(0))
            likely, against = found(labels, runs)
            planted, right = labels != truth, float((np.mean(runs, axis=0).argmax(1) == truth).mean())
            shares = [(likely & planted).sum() / max(1, likely.sum())]
            shares += [(one & planted).sum() / max(1, planted.sum()) for one in (likely, against)]
            precision, recall, bound = (f"{100 * share:.0f} %" if rate else "-" for share in shares)
            counts = f"{planted.sum():,} | {likely.sum():,} | {precision} | {recall} | {against.sum():,} | {bound}"
            print(f"| {name} ({100 * right:.0f} %) | {counts} |")


if __name__ == "__main__":
    main()
