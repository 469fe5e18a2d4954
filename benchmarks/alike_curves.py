"""Score forecasts of a network that lean on other networks of its study; about ten minutes.

    python benchmarks/alike_curves.py

As in `learning_curves.py` a curve is seen at 3 to 6 sizes, and forecast at 2 n and 4 n. Beside it, other curves of the
same data set are seen: up to the same n, as all networks were trained on the same fractions, or up to 4 n. `strangers`
are curves of other data sets that went further, for comparison. Every source is forecast with constants
that have not seen it. CRPS is also given as a share of that of the curve alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from unittest.mock import patch

import numpy as np
import pandas as pd
from learning_curve_sources import FILES, Window, runs_of, some, windows_of
from learning_curves import fitted, forecast, kinds_without, scores, unseen

from datavol.study.curves import learning_curve
from datavol.study.curves.learning_curve import REACH, LearningCurve
from datavol.study.curves.posterior import Kinds

STUDIES = {  # what the networks of one study have in common
    "LCDB": ["dataset"],
    "Fashion-MNIST, scikit-learn": ["seed"],
    "Fashion-MNIST, networks": ["seed"],
    "few-shot vision": ["task"],
    "medical images": ["source", "family", "task"],
}
COUNT, MOST = 60, 8  # windows of a source, and other curves of a window
NEAR = 1.3  # how far sizes may miss the ends of what is seen

Case = tuple[Window, list[pd.DataFrame], list[pd.DataFrame]]


def cases(source: str) -> Iterator[Case]:
    """Windows, with the other curves of their study, and as many of others."""
    _, keys, family = FILES[source]
    rng, ours = np.random.default_rng(0), {window.family for window in unseen(source)}
    table = runs_of(source)
    table = table[table[family].astype(str).isin(ours)]
    studies = [[curve for _, curve in study.groupby(keys)] for _, study in table.groupby(STUDIES[source])]
    for study in studies:
        foreign = [curve for other in studies if other is not study for curve in other]
        for number, curve in enumerate(study):
            others = study[:number] + study[number + 1 :]
            strangers = [foreign[i] for i in rng.permutation(len(foreign))[: 4 * MOST]]
            yield from ((window, others, strangers) for window in windows_of(curve, family, (3, 4, 5, 6)))


def seen(curve: pd.DataFrame, window: Window, times: float, kinds: Kinds) -> LearningCurve | None:
    """Another curve, from where the window begins up to so many times its largest n."""
    runs = curve[curve["n"].between(window.n[0] / NEAR, times * NEAR * window.n[-1])]
    n = np.unique(runs["n"].to_numpy(float))
    errors = tuple(runs.loc[runs["n"] == size, "error"].to_numpy() for size in n)
    if len(n) < 3:
        return None
    return fitted(Window("", n, errors, n, errors, float(curve["chance_error"].iloc[0])), None, kinds)


def lenders(curves: Sequence[pd.DataFrame], window: Window, times: float, kinds: Kinds) -> list[LearningCurve]:
    """The others that can be fitted, and that went further if they may."""
    found = [one for curve in curves if (one := seen(curve, window, times, kinds)) is not None]
    return [one for one in found if times == 1 or one.largest >= learning_curve.FURTHER * window.n[-1]][:MOST]


def compare(source: str, chosen: Sequence[Case]) -> pd.DataFrame:
    """Scores alone, with others at the same sizes, with others that went further, and with strangers."""
    kinds, rows = kinds_without(source), {}
    for name, which, times in (("the same sizes", 1, 1), ("further", 1, REACH), ("strangers", 2, REACH)):
        alone, together = [], []
        for case in chosen:
            window, others = case[0], lenders(case[which], case[0], times, kinds)
            plain = fitted(window, None, kinds)
            if not others or plain is None:
                continue
            with patch.object(learning_curve, "FURTHER", 0):  # the product leans on those that went further alone
                leaning = fitted(window, None, kinds, others)
            alone.append(forecast(plain, window))
            together.append(forecast(leaning, window))
        if not alone:
            continue
        ours, theirs = scores(pd.concat(together)), scores(pd.concat(alone))
        rows[f"{source}, {name}"] = {"windows": len(alone), "alone": theirs["CRPS"]} | {
            **{name: ours[name] for name in ("CRPS", "MAE", "cov 95", "oracle")},
            **{"CRPS ratio": ours["CRPS"] / theirs["CRPS"], "MAE ratio": ours["MAE"] / theirs["MAE"]},
            **{"cov alone": theirs["cov 95"]},
        }
    return pd.DataFrame(rows).T


def main() -> None:
    """Print a table per source."""
    for source in FILES:
        print(compare(source, some([*cases(source)], COUNT)).to_string(float_format="%.2f"), flush=True)


if __name__ == "__main__":
    main()
