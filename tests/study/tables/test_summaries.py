import pytest
from factories.run_folders import true_top1, write_run

from datavol.errors import ConfigError
from datavol.runs.folder import RunFolder
from datavol.study.load.study import load_study
from datavol.study.tables.summaries import (
    benchmark_table,
    full_data_table,
    overlap_table,
    schedule_table,
    training_time_table,
)
from datavol.study.tables.thesis import thesis_accuracies, thesis_numbers

FRACTIONS = (0.05, 0.125, 0.25, 0.5, 0.75, 1.0)


@pytest.fixture
def thesis_study(tmp_path):
    """The runs of the thesis's table 6, on made-up data."""
    for fraction in FRACTIONS:
        write_run(tmp_path, "mobilenet_v2", fraction, epochs=90, overrides=("recipe=thesis_mobilenet_v2",))
    for fraction in (0.05, 0.125, 1.0):
        write_run(tmp_path, "resnet50", fraction, epochs=60, overrides=("recipe=thesis_resnet50",))
    return load_study(tmp_path).runs


def test_table_1_needs_a_subset_and_holds_the_shares_in_per_cent(tmp_path):
    write_run(tmp_path, fraction=1.0)
    with pytest.raises(ConfigError, match="below fraction 1, got none"):
        overlap_table(load_study(tmp_path).runs)
    folders = [write_run(tmp_path, fraction=0.05, seed=seed) for seed in range(3)]
    table = overlap_table(load_study(tmp_path).runs)
    assert list(table) == ["subset", *(f"shared with 5 %, seed {seed} (%)" for seed in range(3))]
    first, second = (set(RunFolder(folder.path).indices.tolist()) for folder in folders[:2])
    assert table.iloc[0, 2] == table.iloc[1, 1] == pytest.approx(100 * len(first & second) / len(first))
    assert table.iloc[0, [1]].isna().all()


def test_table_2_compares_times_of_equal_runs(tmp_path):
    write_run(tmp_path, seed=0)
    write_run(tmp_path, seed=1, planted={"seconds.train": 246.4})
    write_run(tmp_path, seed=0, fraction=0.5, planted={"seconds.train": 1000})
    table = training_time_table(load_study(tmp_path).runs)
    assert table["together (s)"].tolist() == [264, 270.4, 1024]
    assert table["above the shortest (%)"].tolist() == pytest.approx([0, 100 * 6.4 / 264, 0])


def test_tables_3_and_4_hold_the_longest_run_against_published_weights(tmp_path):
    write_run(tmp_path, fraction=1.0, epochs=4)
    for seed in (0, 1):
        write_run(tmp_path, fraction=1.0, epochs=8, seed=seed, top1=0.5 + 0.1 * seed)
    runs = load_study(tmp_path).runs
    table = benchmark_table(runs, "mobilenet_v2", thesis_accuracies())
    assert table["weights"].tolist() == ["trained here", "published"]
    assert table["epochs (passes)"].fillna(0).tolist() == [8, 0]
    assert table["top-1 (%)"].tolist() == pytest.approx([55, 72.154])
    assert table["top-5 (%)"].tolist() == pytest.approx([90, 90.822])
    assert len(benchmark_table(runs, "mobilenet_v2")) == 1
    with pytest.raises(ConfigError, match=r"got 'resnet50'.*mobilenet_v2"):
        benchmark_table(runs, "resnet50")


def test_table_5_has_a_row_per_network(thesis_study):
    table = full_data_table(thesis_study)
    networks = table[["network", "epochs (passes)", "runs"]].to_numpy().tolist()
    assert networks == [["mobilenet_v2", 90, 1], ["resnet50", 60, 1]]
    assert table["top-1 (%)"].tolist() == pytest.approx([100 * true_top1(1)] * 2)
    assert table["best top-1 (%)"].tolist() == pytest.approx([100 * true_top1(1) + 0.1] * 2)


def test_table_6_is_the_thesis_s(thesis_study):
    table = schedule_table(thesis_study)
    printed = thesis_numbers().query("where == 'table 6'")
    slip = "model == 'resnet50' and fraction == 0.125 and subject == 'run' and quantity != 'epochs'"
    printed = printed.query(f"not ({slip})")  # it printed what it meant to do as well
    names = {"epochs": "epochs", "step_size": "LR step size", "warmup_epochs": "LR warm-up"}
    for row in printed.itertuples():
        same = table["fraction (%)"] == 100 * row.fraction
        assert table.loc[same, f"{row.model}: {names[row.quantity]} (passes)"].item() == row.value
    assert len(printed) == 12 + 18
    assert table["resnet50: runs"].tolist() == [1, 1, 0, 0, 0, 1]
    assert "mobilenet_v2: LR warm-up (passes)" not in table


def test_table_6_leaves_passes_as_they_are_where_the_budget_counts_them(tmp_path):
    write_run(tmp_path, fraction=0.5, epochs=6, overrides=("budget=epochs", "recipe.batch_size=8"))
    table = schedule_table(load_study(tmp_path).runs)
    assert table["mobilenet_v2: epochs (passes)"].tolist() == [6]


def test_table_6_tells_recipes_of_one_name_apart(tmp_path):
    for step in (10, 20):
        write_run(tmp_path, fraction=0.5, planted={"config.recipe.schedule.step_size": step})
    table = schedule_table(load_study(tmp_path).runs)
    assert sorted(table.filter(like="step size").iloc[0].tolist()) == [20, 40]
