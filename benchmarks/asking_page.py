"""Write down what adaptive studies took, and how often they were wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.asking_measures import DELTA, KINDS, LEVEL, NOISES
from benchmarks.asking_plays import GRID_RUNS
from benchmarks.asking_worlds import DATA

BOOTSTRAPS = 2000
MOST_WRONG = 1 - LEVEL
TARGETS = {"full runs alone": 0.30, "short runs first": 0.20}
CLEAR, CLEAR_TARGET = "no, by far", 0.05
HEAD = f"""# Adaptive studies in worlds of measured curves

Written by `python -m benchmarks.asking`; its worlds, questions and designs are in the modules `asking_*.py` beside it.

A world has the mean errors of one measured curve (`data/`). Its runs vary around them by a normal law, as repeats of
`budgets.csv` did, and more for smaller fractions; pairs come with test images on which they differ, from which the rule
guesses the noise.
Played are the product's own rules (`datavol/study/looks/`). The question is whether a fraction is within
{100 * DELTA:g} point of all of the data, with {100 * LEVEL:g} % certainty. A cost of 100 % is that of {GRID_RUNS} full
runs: six fractions with three seeds. Intervals hold 95 %, of the mean, when curves are drawn anew.
"""
BOUNDARY = """## Wrong answers at the boundary

Worlds whose gap is below five points are shifted so that it is exactly what is allowed. A hair to one side "enough" is
wrong, a hair to the other "not enough". Noise is as measured; then such that a pair's test images hint at too little of
it, 1.8 to 3.3 times, as on MobileNetV2; then twice as much as measured, of which nothing hints. Fixed designs and
`next_run` call certain what has a probability of 95 %.
"""
COSTS = """## What an answer takes

Is 1/8, 1/4 or 1/2 of the data (of `budgets.csv` also 5 and 75 %) enough? Questions are told apart by their true gap in
points: {kinds}.
Cells have the share of the grid with its interval, and how many questions were answered. *A second question* comes
after three pairs of another fraction, whose full runs serve again. *Branches* are cool-downs of one trunk, and cost
what they train themselves.
"""
CURVES = """## Doubling

Would twice the data buy {delta:g} point? Where twice as much was measured. After three runs (all, half and a quarter of
the data) the rule mostly ends, as no further run would decide.

{doubling}
## A target

How many images reach what 35 % of the data do, to within a doubling? On average {mean:.0f} % of the grid.

{target}"""


def interval(rows: pd.DataFrame, column: str) -> tuple[float, float, float]:
    """The mean of a column, and an interval for other curves: by drawing whole curves anew."""
    by_curve = rows.groupby(["source", "curve"])[column].agg(["sum", "count"]).to_numpy()
    rng = np.random.default_rng(0)
    drawn = by_curve[rng.integers(len(by_curve), size=(BOOTSTRAPS, len(by_curve)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return float(rows[column].mean()), float(low), float(high)


def share_text(rows: pd.DataFrame) -> str:
    """What a design took, as a share of the grid."""
    mean, low, high = (100 * one for one in interval(rows, "share"))
    return f"{mean:.1f} % [{low:.0f}, {high:.0f}]" if mean < 99.9 else "100 %"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def gate(value: float, target: float) -> str:
    """Whether a share is small enough."""
    return f"at most {100 * target:g} %: {'reached' if value <= target else '**missed**'}"


def boundary_section(found: pd.DataFrame) -> str:
    """How often a certain answer is wrong where the gap is exactly what is allowed."""
    rows = []
    for _, row in found.iterrows():
        said = [f"{100 * row[one]:.1f} %" for one in ("enough", "not enough")]
        rows.append([row["noise"], row["design"], f"{row['plays']:,}", *said, f"{100 * row['untold']:.0f} %"])
    lines = []
    for design in TARGETS:
        of_design = found[found["design"] == design].set_index("noise")[["enough", "not enough"]]
        for noise in NOISES:
            # Each answer is the wrong one on one side of the boundary: the worse, and at twice the noise their mean
            one = of_design.loc[noise].mean() if noise == "twice" else of_design.loc[noise].max()
            what = "on average" if noise == "twice" else "of the worse answer"
            lines.append(f"- {design}, noise {noise}: {100 * one:.1f} % {what}; {gate(one, MOST_WRONG)}")
    head = ["noise", "design", "studies", "says enough", "says not enough", "can't tell"]
    return f"{BOUNDARY}\n{table(head, rows)}\n" + "\n".join(lines) + "\n"


def cost_section(found: pd.DataFrame) -> str:
    """What every design takes, by kind of question."""
    lcdb = found["source"] == "lcdb"
    groups = {
        "Fashion-MNIST": found[~lcdb],
        "LCDB": found[lcdb],
        "budgets.csv alone": found[found["source"] == "budgets"],
    }
    tables = [f"{name}:\n\n{cost_table(group)}" for name, group in groups.items()]
    lines = []
    for name in ("Fashion-MNIST", "LCDB"):
        group = groups[name]
        mean = group.loc[group["design"] == "full runs alone", "share"].mean()
        lines.append(f"- full runs alone, {name}: {100 * mean:.1f} %; {gate(mean, TARGETS['full runs alone'])}")
    short = found[found["design"] == "short runs first"]
    mean, clear = short["share"].mean(), short.loc[short["kind"] == CLEAR, "share"].mean()
    lines.append(f"- short runs first: {100 * mean:.1f} %; {gate(mean, TARGETS['short runs first'])}")
    lines.append(f"- {CLEAR}, short runs first: {100 * clear:.1f} %; {gate(clear, CLEAR_TARGET)}")
    text = COSTS.format(kinds=", ".join(f"*{name}* {between(*edges)}" for name, edges in KINDS.items()))
    return "\n".join([text, *tables, *lines, ""])


def cost_table(found: pd.DataFrame) -> str:
    """Share of the grid and of questions told, kinds in rows and designs in columns."""
    designs = list(dict.fromkeys(found["design"]))
    rows = []
    for kind in ("all", *KINDS):
        of_kind = found[(found["kind"] == kind) | (kind == "all")]
        cells = [kind, f"{of_kind.groupby('design').size().max()}" if len(of_kind) else "0"]
        for design in designs:
            one = of_kind[of_kind["design"] == design]
            cells.append(f"{share_text(one)}; {100 * one['told'].mean():.0f} %" if len(one) else "")
        rows.append(cells)
    wrong = found.groupby("design", sort=False)["wrong"].mean()
    rows.append(["answered wrongly", "", *(f"{100 * wrong[design]:.1f} %" for design in designs)])
    return table(["question", "cases", *designs], rows)


def between(low: float, high: float) -> str:
    """A range of gaps in words."""
    if np.isinf(low):
        return f"below {high:g}"
    return f"above {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"


def curves_section(gains: pd.DataFrame, sizes: pd.DataFrame) -> str:
    """What doubling and targets take."""
    rows = []
    for source, of_source in gains.groupby(gains["source"].where(gains["source"] == "lcdb", "Fashion-MNIST")):
        states = ", ".join(f"{count} {state}" for state, count in of_source["state"].value_counts().items())
        ratio = f"{of_source['to_grid'].median():.2f}"
        wrong = f"{of_source['wrong'].sum()}"
        cells = [f"{of_source['runs'].median():.0f} ({of_source['runs'].max()})", states, wrong]
        rows.append([str(source), f"{len(of_source)}", *cells, f"{100 * of_source['held'].mean():.0f} %", ratio])
    head = [
        "curves",
        "studies",
        "runs, median (most)",
        "came to",
        "wrong",
        "interval held",
        "width of three runs in the grid's",
    ]
    doubling = table(head, rows)
    rows = []
    for state, of_state in sizes.groupby("state"):
        share = of_state["runs"].mean() / GRID_RUNS
        cells = [f"{of_state['runs'].median():.0f}", f"{100 * share:.0f} %", f"{100 * of_state['held'].mean():.0f} %"]
        rows.append([str(state), f"{len(of_state)}", *cells])
    mean = 100 * sizes["runs"].mean() / GRID_RUNS
    target = table(["came to", "studies", "runs, median", "share of the grid", "interval held"], rows)
    return CURVES.format(delta=100 * DELTA, doubling=doubling, mean=mean, target=target)


def growth_section() -> str:
    """In how many steps of the budget the gap to all of the data grew."""
    data = pd.read_csv(DATA / "budgets.csv")
    keys = ["network", "labels", "schedule"]
    errors = data.groupby([*keys, "iterations", "fraction"])["error"].mean().unstack()
    gaps = errors.drop(columns=1.0).sub(errors[1.0], axis=0)
    steps = gaps.groupby(keys).diff().dropna().to_numpy()
    grew = f"{(steps > 0).sum()} of {steps.size} steps"
    return f"""## Why short runs may refuse only

In `budgets.csv` the mean gap between a fraction and all of the data grew in {grew} from one budget to twice that.
"""
