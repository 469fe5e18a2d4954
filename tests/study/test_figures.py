import itertools
import warnings
from functools import partial

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from factories.run_folders import made_up_predictions
from factories.study_frames import FULL_SIZE, PER_EPOCH, made_up_study
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from datavol.errors import ConfigError
from datavol.study import figures
from datavol.study.curves.learning_curve import fit_learning_curve
from datavol.study.figures.style import ordered_marks, runs_title, unordered_marks
from datavol.study.load.labels import labelled, training_points
from datavol.study.tables.confidence import class_accuracies, margins, reliability_bins, risk_coverage
from datavol.study.tables.summaries import learning_curve_points
from datavol.study.tables.thesis import thesis_accuracies, thesis_numbers

TWELVE = (0.01, 0.02, 0.03, 0.05, 0.08, 0.125, 0.2, 0.25, 0.375, 0.5, 0.75, 1.0)
SHAPES = {
    "one of each": (("mobilenet_v2",), (1.0,), (0,), ("finished",)),
    "twelve fractions": (("mobilenet_v2",), TWELVE, (0,), ("finished",)),
    "ten seeds": (("mobilenet_v2",), (0.25, 1.0), tuple(range(10)), ("finished",)),
    "some still run": (("mobilenet_v2", "resnet50"), (0.05, 0.25, 1.0), (0, 1), ("finished", "running", "running")),
    "six networks": (tuple("abcdef"), (0.05, 1.0), (0,), ("finished",)),
}


@pytest.fixture(params=SHAPES, ids=str)
def shaped(request):
    models, fractions, seeds, states = SHAPES[request.param]
    return made_up_study(models, fractions, seeds, epochs=6, states=states)


@pytest.fixture
def axes():
    return Figure(layout="constrained").subplots()


@pytest.fixture(autouse=True)
def no_global_style_is_changed():
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before


def laid_out(drawn):
    """Lay the figure out, where overlong labels and empty artists would warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.ravel(drawn)[0].figure.draw_without_rendering()
    return drawn


def texts(labels):
    return [label.get_text() for label in labels]


def names(legend):
    return [name for name in texts(legend.get_texts()) if not name.startswith("guessing")]


def guesses(axes):
    """What the labels of guessing's lines say, and where the lines are."""
    lines = [line.get_ydata()[0] for line in axes.lines if line.get_label() == "_guessing"]
    return dict(zip([text for text in texts(axes.texts) if text.startswith("guessing")], lines, strict=True))


def legend_of(grid):
    return grid.flat[0].figure.legends[0]


def line_of(axes, label):
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return line


def predicted(runs, what):
    """What `over_runs` gives, of made-up predictions."""
    frames = [
        what(made_up_predictions(run["top1"], seed=run["seed"])).assign(**run[["label", "fraction", "seed", "run"]])
        for _, run in labelled(runs).iterrows()
    ]
    return pd.concat(frames, ignore_index=True)


def test_training_curves_of_any_shape(shaped):
    points, thesis = training_points(shaped), thesis_accuracies()
    labels, fractions = points["label"].nunique(), points["fraction"].nunique()
    assert figures.accuracy_over_iterations(points, Figure(), thesis).shape == (labels, 2)
    assert figures.margins_over_iterations(points, Figure()).shape == (labels, 2)
    assert laid_out(figures.gap_over_iterations(points, Figure())).shape == (labels,)
    assert len(figures.train_and_validation(points, Figure())) == labels * fractions


def test_learning_curves_of_any_shape(shaped, axes):
    figures.accuracy_against_volume(learning_curve_points(shaped.runs), axes, thesis_accuracies())
    assert set(names(axes.get_legend())) == {*labelled(shaped.runs)["label"], "thesis, table 5"}
    for draw in (figures.margins_against_volume, figures.calibration_against_volume, figures.training_time):
        draw(shaped.runs, Figure().subplots())
    labels = labelled(shaped.runs)["label"].nunique()
    assert laid_out(figures.best_and_last(shaped.runs, Figure(), thesis_accuracies())).shape == (labels,)


def test_confidence_of_any_shape(shaped):
    labels = labelled(shaped.runs)["label"].nunique()
    for draw, what, shape in (
        (figures.reliability_diagram, reliability_bins, (labels,)),
        (figures.risk_coverage_curves, risk_coverage, (labels,)),
        (figures.margin_distributions, margins, (labels, 2)),
        (figures.class_heat_map, class_accuracies, (labels,)),
    ):
        assert draw(predicted(shaped.runs, what), Figure()).shape == shape


def test_grids_have_room_for_what_they_hold():
    study = made_up_study(("mobilenet_v2", "resnet50"), (0.05, 1.0), (0, 1), epochs=6)
    points = training_points(study)
    for draw in (figures.accuracy_over_iterations, figures.margins_over_iterations, figures.train_and_validation):
        laid_out(draw(points, Figure()))
    laid_out(figures.class_heat_map(predicted(study.runs, class_accuracies), Figure()))
    many = training_points(made_up_study(fractions=TWELVE, epochs=2))
    axes = laid_out(figures.accuracy_over_iterations(many, Figure()))
    box, page = legend_of(axes).get_window_extent(), axes.flat[0].figure.bbox
    assert page.y0 <= box.y0
    assert max(one.bbox.x1 for one in axes.flat) < box.x0 < box.x1 <= page.x1


def test_guessing_is_a_line_where_it_is_near_and_named_in_the_legend_where_it_would_squeeze_the_figure(axes):
    runs = made_up_study(("mobilenet_v2", "resnet50"), epochs=6).runs
    points = learning_curve_points(runs)
    for guess, near in ((0.1, False), (70.0, True), (50.0, True)):  # per cent; accuracies are from 52 to 75 %
        own = Figure().subplots()
        low = figures.accuracy_against_volume(points.assign(guess=guess / 100), own).get_ylim()[0]
        assert (guesses(own) == {f"guessing {guess:g} %": guess}) == near == (low < guess)
        assert (f"guessing {guess:g} %\n(below the axis)" in texts(own.get_legend().get_texts())) != near
        assert near or low > 49
    two = points.assign(guess=points["label"].map({"mobilenet_v2": 0.6, "resnet50": 0.65}))
    assert set(guesses(figures.accuracy_against_volume(two, axes))) == {"guessing 60 %", "guessing 65 %"}
    unknown = Figure().subplots()
    figures.accuracy_against_volume(points.assign(guess=np.nan), unknown)
    assert texts(unknown.get_legend().get_texts()) == ["mobilenet_v2", "resnet50"]


def test_guessing_is_shown_of_every_accuracy_and_panel():
    study = made_up_study(("mobilenet_v2", "resnet50"), epochs=6)
    study.runs[["guess_top1", "guess_top5"]] = 0.5, 0.001
    wide = laid_out(figures.best_and_last(study.runs, Figure()))
    assert [guesses(axes) for axes in wide] == [{"guessing, top-1: 50 %": 50}] * 2
    assert texts(wide[0].figure.legends[0].get_texts())[-1] == "guessing, top-5: 0.1 %\n(below the axis)"
    grid = laid_out(figures.accuracy_over_iterations(training_points(study), Figure()))
    assert [guesses(axes) for axes in grid.flat] == [{"guessing, top-1: 50 %": 50}, {}] * 2
    curves = fitted(study)
    far = figures.fitted_learning_curves(curves, Figure())
    assert texts(far[0].figure.legends[0].get_texts())[-1] == "guessing 0.1 %\n(below the axis)"
    near = {
        label: fit_learning_curve(curve.n, curve.error, chance_error=0.55, test_size=50_000)
        for label, curve in curves.items()
    }
    for axes in laid_out(figures.fitted_learning_curves(near, Figure())):
        assert guesses(axes) == {"guessing 45 %": pytest.approx(0.55)}
        low, high = axes.get_ylim()  # of errors, which grow downwards
        assert low > 0.55 > high


def test_lines_are_means_of_finished_runs_in_per_cent_the_largest_fraction_first():
    study = made_up_study(fractions=(0.05, 1.0), seeds=(0, 1), epochs=6)
    grid = figures.accuracy_over_iterations(training_points(study), Figure())
    assert names(legend_of(grid)) == ["100 %", "5 %"]
    assert "mean of 2 runs" in legend_of(grid).get_title().get_text()
    assert "thin: each run" in legend_of(grid).get_title().get_text()
    runs = study.runs.index[study.runs["fraction"] == 1]
    expected = 100 * study.epochs[study.epochs["run"].isin(runs)].groupby("iteration")["val/top1"].mean()
    line = line_of(grid[0, 0], "100 %")
    assert line.get_xdata().tolist() == [PER_EPOCH * epoch for epoch in range(1, 7)]
    assert line.get_ydata() == pytest.approx(expected.to_numpy())
    assert grid[0, 0].get_xlabel() == "thousand iterations\n(a budget epoch: 5,005)"
    assert grid[0, 1].get_ylabel() == "validation top-5 (%)"


def test_runs_that_have_not_finished_are_dotted_and_in_no_mean():
    study = made_up_study(fractions=(0.5,), seeds=(0, 1, 2, 3), epochs=6, states=("finished", "running"))
    grid = figures.accuracy_over_iterations(training_points(study), Figure())
    assert len(line_of(grid[0, 0], "50 %").get_xdata()) == 6
    assert [len(line.get_xdata()) for line in grid[0, 0].lines if line.get_linestyle() == ":"] == [3, 3]
    assert "dotted: not finished" in legend_of(grid).get_title().get_text()


def test_a_study_of_which_nothing_has_finished_has_training_curves():
    points = training_points(made_up_study(fractions=(0.05, 0.5), seeds=(0, 1), states=("running",)))
    grid = laid_out(figures.accuracy_over_iterations(points, Figure()))
    assert names(legend_of(grid)) == ["50 % (not finished)", "5 % (not finished)"]
    laid_out(figures.margins_over_iterations(points, Figure()))


def test_a_band_stands_for_many_seeds_and_the_legend_says_so():
    grid = figures.margins_over_iterations(training_points(made_up_study(seeds=range(10), epochs=6)), Figure())
    assert "mean of 10 runs;\nband: lowest to highest" in legend_of(grid).get_title().get_text()
    assert len(grid[0, 0].collections) == 2 * 6
    assert names(legend_of(grid))[-2:] == ["correct predictions", "incorrect predictions"]


def test_figures_without_a_top5_leave_it_out():
    study = made_up_study(epochs=6)
    points = training_points(study).drop(columns=["val/top5", "train/top5"])
    assert figures.accuracy_over_iterations(points, Figure()).shape == (1, 1)
    assert names(legend_of(figures.train_and_validation(points, Figure()))) == ["training top-1", "validation top-1"]
    runs = study.runs.assign(top5=np.nan, best_top5=np.nan)
    assert names(legend_of(figures.best_and_last(runs, Figure()))) == ["last top-1", "best top-1"]


def test_the_thesis_is_laid_over_with_its_printed_numbers(axes):
    points = training_points(made_up_study(epochs=6))
    grid = figures.accuracy_over_iterations(points, Figure(), thesis_accuracies())
    assert texts(one.texts[0] for one in grid[0]) == ["67.5", "87.9"]
    assert "thesis: mobilenet_v2, 90 epochs" in names(legend_of(grid))
    long = figures.curves_of_runs(points[points["fraction"] == 1], axes, thesis_accuracies())
    assert texts(long.texts) == ["70.4", "89.8", "72.2", "90.8"]
    assert names(long.get_legend())[-2:] == ["thesis: mobilenet_v2, 300 epochs", "PyTorch: mobilenet_v2"]


def test_stars_stand_at_the_thesis_full_set(axes):
    runs = made_up_study(fractions=(0.05, 0.5), epochs=6).runs
    (last,) = figures.best_and_last(runs, Figure(), thesis_accuracies())
    stars = [tuple(one.get_offsets()[0]) for one in last.collections]
    assert stars == [pytest.approx((FULL_SIZE, 67.512), rel=1e-4), pytest.approx((FULL_SIZE, 87.916), rel=1e-4)]
    (times,) = figures.training_time(runs, axes, thesis_numbers()).collections
    assert (3600 * times.get_offsets()[:, 1]).tolist() == pytest.approx([138512, 137816, 137968])
    assert axes.get_ylabel() == "training and evaluation (hours)"


def test_runs_of_one_training_show_where_one_went_on_from_another(axes):
    points = training_points(made_up_study(fractions=(1.0,), seeds=(0, 1), epochs=6))
    late = points[(points["seed"] == 0) | (points["budget_epoch"] > 3)]
    late = late.assign(parent=late["parent"].where(late["seed"] == 0, "{}"))
    figures.curves_of_runs(late, axes)
    (line,) = [line for line in axes.lines if line.get_linestyle() == "-."]
    assert set(line.get_xdata()) == {3 * PER_EPOCH}
    assert names(axes.get_legend()) == ["seed 0", "seed 1 (went on from another)", "top-1", "top-5"]
    with pytest.raises(ConfigError, match="one label and fraction, got 6"):
        figures.curves_of_runs(training_points(made_up_study(epochs=2)), axes)


def test_the_gap_of_clean_images_needs_runs_that_measured_it():
    points = training_points(made_up_study(fractions=(1.0,), epochs=6))
    measured = points.assign(**{"train/clean_top1": points["val/top1"] + 0.1})
    (axes,) = figures.gap_over_iterations(measured, Figure(), "train/clean")
    assert line_of(axes, "100 %").get_ydata() == pytest.approx(np.full(6, 10))
    with pytest.raises(ConfigError, match="evaluate_train=true"):
        figures.gap_over_iterations(points, Figure(), "train/clean")


def test_the_volume_axis_names_only_subsets_whose_names_fit(axes):
    figures.margins_against_volume(made_up_study(fractions=TWELVE, epochs=6).runs, axes)
    axes.figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
    assert 3 <= len(boxes) < 12
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    assert axes.get_xticklabels()[len(boxes) - 1].get_text() == "1,281,167\n100 %"


def fitted(study):
    return {
        label: fit_learning_curve(runs["images"], 1 - runs["top1"], chance_error=0.999, test_size=50_000)
        for label, runs in labelled(study.runs).groupby("label")
    }


@pytest.mark.parametrize(("fractions", "seeds"), [((0.1, 0.3, 1.0), (0,)), (TWELVE, range(10))])
def test_fits_show_runs_fit_extrapolation_and_power_laws(fractions, seeds):
    curves = fitted(made_up_study(("mobilenet_v2", "resnet50"), fractions, seeds, epochs=6))
    grid = laid_out(figures.fitted_learning_curves(curves, Figure()))
    for axes, curve in zip(grid, curves.values(), strict=True):
        (runs,) = [line for line in axes.lines if line.get_linestyle() == "None"]
        assert runs.get_ydata().tolist() == curve.error.tolist()
        (ahead,) = [line for line in axes.lines if line.get_linestyle() == "--" and line.get_zorder() == 2]
        assert (ahead.get_xdata().min(), ahead.get_xdata().max()) == pytest.approx((curve.largest, curve.limit))
        assert axes.texts[0].get_text().count("error = ") == 2
        assert axes.yaxis_inverted()
    ticks = grid[0].get_yticks()
    assert len(ticks) > 2
    named = [float(grid[0].yaxis.get_major_formatter()(tick, None)) for tick in ticks]  # as accuracies in per cent
    assert named == pytest.approx(100 * (1 - ticks))
    assert "95 % interval of a new run" in names(legend_of(grid))


def test_fits_of_perfect_runs_and_of_intervals_down_to_no_error_are_drawn():
    fit = partial(fit_learning_curve, [100, 1000, 10_000], chance_error=0.9, test_size=1000)
    curves = {"near": fit([0.02, 0.004, 0.001]), "at": fit([0.01, 0.0, 0.0])}
    for axes in laid_out(figures.fitted_learning_curves(curves, Figure())):
        assert all(np.isfinite(axes.get_ylim()))
        assert len(axes.get_yticks()) > 1


def test_backtests_hold_forecasts_beside_runs_or_say_that_there_is_none():
    curves = fitted(made_up_study(seeds=(0, 1), epochs=6))
    curves["few"] = fit_learning_curve([100, 200, 400], [0.5, 0.4, 0.3], chance_error=0.9)
    many, few = laid_out(figures.backtests(curves, Figure()))
    table = curves["mobilenet_v2"].backtest()
    last = f"{table['n'].max():,.0f}\n({table['fitted_to'].max():,.0f})"
    assert texts(many.get_xticklabels())[-1] == last
    marks = [y for line in many.lines if line.get_linestyle() == "None" for y in line.get_ydata()]
    assert set((100 * (1 - table["error"])).round(6)) <= set(np.round(marks, 6))
    assert "no backtest" in few.texts[0].get_text()


def test_heat_maps_order_classes_and_name_what_fits():
    runs = made_up_study(("a", "b"), (0.05, 1.0), epochs=6).runs
    few = predicted(runs, class_accuracies)
    grid = figures.class_heat_map(few, Figure(), names=list("abcdefghij"))
    order = few.groupby("class")["accuracy"].mean().sort_values(ascending=False).index
    assert texts(grid[0].get_yticklabels()) == ["abcdefghij"[number] for number in order]
    assert len(grid[0].texts) == 20
    many = pd.concat([few.assign(**{"class": few["class"] + 10 * i}) for i in range(100)])
    (left, _) = figures.class_heat_map(many, Figure())
    assert (len(left.texts), len(left.get_yticklabels())) == (0, 40)
    assert left.get_ylabel() == "1,000 classes, best on top"


def learned_at(fractions, classes, label="mobilenet_v2"):
    """Of every class one image learned from each fraction, then a forgotten one and one that is never learned."""
    fates = [*[("learned", fraction) for fraction in fractions], ("forgotten", np.nan), ("never", np.nan)]
    rows = [(label, number, fate, fraction) for number in range(classes) for fate, fraction in fates]
    images = pd.DataFrame(rows, columns=["label", "class", "fate", "fraction"])
    return images.assign(image=range(len(images)), **{f"right_{fraction}": 0.5 for fraction in fractions})


def test_fates_are_stacked_to_the_whole_of_every_class_the_easiest_on_top():
    easy = pd.DataFrame({"label": "a", "class": 7, "fate": "learned", "fraction": [0.05] * 6, "image": 0})
    images = pd.concat([learned_at((0.05, 1.0), 3, "a"), easy, learned_at((0.05, 0.25, 1.0), 3, "b")])
    a, b = laid_out(figures.images_by_fate(images, Figure(), names=list("klmnopqr")))
    assert texts(a.get_yticklabels()) == ["all", "r", "k", "l", "m"]
    assert names(a.figure.legends[0]) == ["5 %", "25 %", "100 %", "forgotten", "never learned"]
    ends = [patch.get_data() for patch in a.patches]
    whole, classes = ends[:5], ends[5:]
    assert [end.values[0] for end in whole] == pytest.approx([50, 50, 4 / 6 * 100, 5 / 6 * 100, 100])
    assert classes[0].values == pytest.approx([100, 25, 25, 25])
    assert classes[-1].values == pytest.approx([100] * 4)
    assert all(inner.values == pytest.approx(outer.baseline) for inner, outer in itertools.pairwise(classes))
    assert b.patches[-1].get_data().values == pytest.approx([0, 100, 100, 100])  # b has no image of class 7


def test_fates_of_many_classes_are_still_legible():
    (axes,) = laid_out(figures.images_by_fate(learned_at((0.05, 0.25, 1.0), 1000), Figure()))
    assert len(axes.get_yticklabels()) == 41
    assert axes.get_ylabel() == "1,000 classes, the easiest on top"
    assert sum(bool(patch.get_rasterized()) for patch in axes.patches) == 5  # all but the row of the whole


def test_class_sizes_are_sorted_and_held_against_the_thesis(axes):
    sizes = pd.DataFrame({"subset": "100 %", "fraction": 1.0, "class": range(4), "images": [900, 1300, 732, 1300]})
    figures.class_sizes(sizes, axes, thesis_numbers())
    assert axes.lines[0].get_ydata().tolist() == [1300, 1300, 900, 732]
    assert names(axes.get_legend()) == ["100 %", "thesis, mean: about 1,300", "thesis, smallest: about 750"]


def test_class_overlaps_are_sorted_and_of_many_pairs_those_that_share_the_most_are_shown():
    same = pd.DataFrame({"second": "b", "class": range(3), "expected_share": 0.05})
    pairs = pd.concat([same.assign(first=f"a{i}", share=[0.01 * i, 0.2, 0]) for i in range(20)], ignore_index=True)
    (axes,) = laid_out(figures.class_overlaps(pairs.head(3), Figure(), thesis_numbers()))
    assert axes.lines[0].get_ydata().tolist() == [20, 0, 0]
    grid = laid_out(figures.class_overlaps(pairs, Figure()))
    assert [axes.get_title(loc="left") for axes in grid] == [f"a{i}\nand b" for i in range(8, 20)]
    assert "12 of 20 pairs" in legend_of(grid).get_title().get_text()


@pytest.mark.parametrize(("size", "numbers", "named"), [(1, 1, 1), (12, 144, 12), (120, 0, 30)])
def test_overlap_maps_hold_numbers_and_names_where_they_fit(axes, size, numbers, named):
    subsets = [f"5 %, seed {i}" for i in range(size)]
    laid_out(figures.overlap_heat_map(pd.DataFrame(np.eye(size), subsets, subsets), axes))
    assert (len(axes.texts), len(axes.get_yticklabels())) == (numbers, named)


def test_the_reliability_of_several_seeds_is_that_of_their_images_together():
    two = pd.DataFrame({"run": ["x", "y"], "images": [30, 10], "confidence": [0.2, 0.24], "accuracy": [0.4, 0.0]})
    (axes,) = figures.reliability_diagram(two.assign(label="a", fraction=1.0, bin=3), Figure())
    assert axes.collections[0].get_offsets().tolist() == [pytest.approx([21, 30])]


def test_grids_of_nothing_are_refused():
    study = made_up_study(states=("running",))
    over_iterations = ("accuracy_over_iterations", "train_and_validation", "margins_over_iterations")
    nothing = dict.fromkeys([*over_iterations, "gap_over_iterations"], training_points(study)[:0])
    for name, empty in (nothing | {"best_and_last": study.runs, "fitted_learning_curves": {}}).items():
        with pytest.raises(ConfigError, match="must have runs to draw"):
            getattr(figures, name)(empty, Figure())


def test_runs_that_were_never_wrong_have_no_margin_of_incorrect_predictions(axes):
    study = made_up_study(fractions=(0.5, 1.0), epochs=6)
    figures.margins_against_volume(study.runs.assign(margin_incorrect=np.nan), axes)
    points = training_points(study).assign(**{"val/margin_incorrect": np.nan})
    laid_out(figures.margins_over_iterations(points, Figure()))


def test_long_names_are_broken_into_lines(axes):
    study = made_up_study(epochs=6)
    long = "vit_small_patch16_224, imagenet, thesis_mobilenet_v2, independent"
    points = training_points(study).assign(label=long)
    title = figures.margins_over_iterations(points, Figure())[0, 0].get_title(loc="left")
    assert title.replace("\n", " ") == f"{long}: training images"
    assert max(map(len, title.split("\n"))) <= 30
    figures.accuracy_against_volume(learning_curve_points(study.runs).assign(label=long), axes)
    assert "\n" in names(axes.get_legend())[0]


def luminance(colour):
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("count", [1, 2, 6, 12])
def test_fractions_get_darker_with_their_size_and_have_markers_of_their_own(count):
    marks = list(ordered_marks(TWELVE[:count]).values())
    shades = [luminance(mark.colour) for mark in marks]
    assert all(a - b > 0.01 for a, b in itertools.pairwise(shades))
    assert max(shades) < 0.6  # against white paper
    assert len({mark.marker for mark in marks}) == count


def test_networks_differ_in_colour_marker_and_line():
    marks = [(to_rgb(mark.colour), mark.marker, str(mark.line)) for mark in unordered_marks("abcdef").values()]
    assert [len(set(kind)) for kind in zip(*marks, strict=True)] == [6, 6, 6]


def test_legends_tell_how_many_runs_a_mean_is_of():
    assert runs_title("fraction", [1, 1]) == runs_title("fraction", []) == "fraction"
    assert runs_title("fraction", [2, 3]) == "fraction\n(mean of 2 to 3 runs;\nthin: each run)"
