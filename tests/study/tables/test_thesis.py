import pytest

from datavol.study.tables.thesis import thesis_accuracies, thesis_numbers


def test_every_number_has_its_place_and_its_unit():
    numbers = thesis_numbers()
    assert numbers["where"].str.fullmatch(r"(table|figure|section) [\d.]+").all()
    assert set(numbers["unit"]) == {"share", "s", "passes", "images", "classes"}
    assert not numbers.drop(columns=["model", "epochs", "fraction"]).isna().any(axis=None)
    assert numbers.loc[numbers["unit"] == "share", "value"].between(0, 1).all()
    assert not numbers.duplicated(["where", "model", "subject", "fraction", "epochs", "quantity"]).any()


def test_the_accuracies_are_those_of_tables_3_to_5():
    rows = thesis_accuracies().sort_values(["where", "model", "subject"])
    accuracies = [tuple(row) for row in rows[["where", "model", "subject", "top1", "top5"]].to_numpy()]
    assert accuracies == [
        ("table 3", "mobilenet_v2", "pytorch", 0.72154, 0.90822),
        ("table 3", "mobilenet_v2", "run", 0.70428, 0.89784),
        ("table 4", "resnet50", "pytorch", 0.80858, 0.95434),
        ("table 4", "resnet50", "run", 0.78378, 0.94226),
        ("table 5", "mobilenet_v2", "run", 0.67512, 0.87916),
        ("table 5", "resnet50", "run", 0.62464, 0.85184),
    ]
    assert rows["epochs"].tolist()[1::2] == [300, 150, 60]


def test_times_are_those_of_table_2():
    numbers = thesis_numbers()
    times = numbers.loc[numbers["where"] == "table 2", "value"].tolist()
    assert times == [(24 + 14) * 3600 + minutes * 60 + s for minutes, s in ((28, 32), (16, 56), (19, 28))]
    assert max(times) / min(times) - 1 == pytest.approx(0.0051, abs=5e-5)  # section 5.1 prints 0.52 %
