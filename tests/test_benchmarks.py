import argparse
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from timm.utils import accuracy as reference
from torchvision.datasets.mnist import read_image_file, read_label_file

from benchmarks import asking, bench, fashion_mnist, gpu, load_study, photographs, results
from benchmarks.asking_plays import Laboratory, ask
from benchmarks.asking_worlds import World, every_world, lcdb_worlds
from benchmarks.peers.bare_loop import crop_and_flip
from benchmarks.peers.job import batches_of
from benchmarks.peers.torchvision_loop import accuracy
from benchmarks.processes import run_timed
from datavol.data.sources.arrays import ArraySplit
from datavol.study.looks.look import Step

PLACE = {"date": "2026-01-01", "machine": "a machine", "versions": {"torch": "2.9.0"}}
PLACE |= {"code": {"commit": "a" * 40, "changed": False}}


def row(name: str, ours: list[float], target: float | None = 2.0) -> results.Row:
    made = results.ratio_row(name, f"title of {name}", "a peer", target, ours, [100.0] * len(ours), note="a note")
    return results.Row(**(vars(made) | {"place": PLACE}))


def test_a_peer_trains_on_all_batches_of_the_epoch_that_is_timed():
    for warm_up, counts in ((1, [1, 1, 30]), (None, [30, 30, 30])):
        job = argparse.Namespace(epochs=3, warm_up=warm_up)
        assert [len(list(batches_of(job, range(30), epoch))) for epoch in range(3)] == counts


def test_a_ratio_is_that_of_medians_and_of_durations_the_other_way_round():
    assert results.ratio_row("a", "", "", 2.0, [100, 900, 300], [100, 90, 110]).measured == "3.00"
    quicker = results.ratio_row("a", "", "", 5.0, [10.0], [45.0], unit="s")
    assert (quicker.measured, quicker.reached) == ("4.50", False)


def test_the_interval_of_an_accuracy_is_that_of_a_paired_t_test():
    ours, theirs = [81.0, 82.5, 80.0], [81.5, 82.0, 81.0]
    made = results.accuracy_row("a", "", "", ours, theirs)
    interval = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert made.spread == f"95 % interval {interval.low:+.2f} to {interval.high:+.2f}"
    assert made.measured == "-0.33 points"
    assert made.reached


def test_an_accuracy_that_is_lost_on_every_seed_or_on_a_noisy_task_is_not_reached():
    assert not results.accuracy_row("a", "", "", [70.0, 70.1, 70.2], [72.0, 72.2, 72.1]).reached
    assert not results.accuracy_row("a", "", "", [50.0, 55.0, 45.0], [50.5, 54.5, 45.5]).reached


def test_rows_replace_their_like_and_the_others_stay(tmp_path):
    order = ["first", "second"]
    for one in (row("second", [150.0]), row("first", [210.0]), row("second", [250.0, 260.0])):
        results.record(one, order, tmp_path)
    kept = json.loads((tmp_path / "results.json").read_text())
    assert [(one["name"], one["measured"]) for one in kept] == [("first", "2.10"), ("second", "2.55")]
    assert (tmp_path / "RESULTS.md").read_text() == results.render(list(results.read(tmp_path).values()))


def test_the_page_says_what_is_missed_where_it_was_measured_and_what_to_know():
    page = results.render([row("a", [250.0]), row("b", [150.0]), row("c", [150.0], target=None)])
    lines: dict[str, list[str]] = {}  # of the first table
    for cells in (line.split("|") for line in page.splitlines() if "|" in line):
        lines.setdefault(cells[1].strip(), cells)
    reached = ["2.50 reached (2.50 to 2.50)", "1.50 **missed** (1.50 to 1.50)", "1.50 (1.50 to 1.50)"]
    assert [lines[name][5].strip() for name in "abc"] == reached
    assert page.count("2026-01-01, a machine; torch 2.9.0; commit aaaaaaaaaaaa\n") == 1
    assert "- a, b, c: a note" in page


def test_every_processor_has_a_column(tmp_path):
    elsewhere = results.Row(**(vars(row("a", [150.0])) | {"place": PLACE | {"machine": "another"}}))
    for one in (row("a", [250.0]), elsewhere, row("b", [300.0])):
        results.record(one, ["a", "b"], tmp_path)
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| target | a machine | another |" in page
    assert "| 2.50 reached (2.50 to 2.50) | 1.50 **missed** (1.50 to 1.50) |" in page
    assert "| 3.00 reached (3.00 to 3.00) |  |" in page


def test_a_process_is_timed_between_the_lines_that_match(tmp_path, monkeypatch):
    script = "print('epoch 1', 'else', 'epoch 2', 'epoch 3', sep='\\n')"
    monkeypatch.setattr("time.perf_counter", iter([0.5, 2.5, 8.5]).__next__)
    assert run_timed([sys.executable, "-c", script], "epoch", tmp_path / "there", tmp_path) == [2, 6]


def test_a_process_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"code 1(?s:.*)ZeroDivisionError"):
        run_timed([sys.executable, "-c", "1 / 0"], "epoch", tmp_path, tmp_path)


def test_a_share_is_stratified_and_torchvision_reads_it(tmp_path, fashion):
    share = fashion_mnist.write_share(fashion, tmp_path / "share", 57, 20)
    labels = read_label_file(str(share / "train-labels-idx1-ubyte"))
    assert sorted(torch.bincount(labels).tolist()) == [5] * 3 + [6] * 7
    assert torch.bincount(read_label_file(str(share / "t10k-labels-idx1-ubyte"))).tolist() == [2] * 10
    images = read_image_file(str(share / "train-images-idx3-ubyte"))
    assert (images[:, 0, 0] == labels).all()


def test_photographs_are_of_the_stated_size_and_the_same_for_a_seed(tmp_path):
    counts = {"train": 20, "val": 10}
    one, other = (photographs.write_photographs(tmp_path / name, counts) for name in "ab")
    files = sorted(file.relative_to(one) for file in one.rglob("*.jpg"))
    assert len(files) == 30
    assert all((one / file).read_bytes() == (other / file).read_bytes() for file in files)
    assert {len(list(folder.iterdir())) for folder in (one / "train").iterdir()} == {2}
    assert 55 < np.mean(photographs.kilobytes(one)) < 70
    with Image.open(one / files[0]) as image:
        assert image.size == (500, 375)


def test_the_rougher_class_has_more_of_high_frequencies():
    sizes = {}
    for label in (0, 5):
        file, rng = io.BytesIO(), np.random.default_rng(0)
        for _ in range(4):
            Image.fromarray(photographs.photograph(rng, label, 10)).save(file, "JPEG", quality=90)
        sizes[label] = len(file.getvalue())
    assert sizes[0] > 1.1 * sizes[5]  # the lower exponent is the rougher


def test_peers_count_top1_and_top5_as_timm_does():
    logits, labels = torch.randn(64, 10), torch.randint(0, 10, (64,))
    torch.testing.assert_close(list(accuracy(logits, labels)), reference(logits, labels, topk=(1, 5)))


def test_the_bare_loop_crops_within_the_image_and_flips_half():
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 32).expand(400, 3, 32, 32)
    cropped = crop_and_flip(ramp)
    assert cropped.shape == ramp.shape
    assert 0 <= float(cropped.min()) < float(cropped.max()) <= 1
    width = (cropped[..., -1] - cropped[..., 0])[:, 0, 0]
    assert 0.4 < float((width < 0).float().mean()) < 0.6
    assert width.abs().min() > 0.6  # the narrowest crop: sqrt(0.6 * 3 / 4) of the side
    assert torch.allclose(crop_and_flip(torch.ones(8, 3, 16, 16)), torch.ones(8, 3, 16, 16))


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """Noise in Fashion-MNIST's files, 40 training and 30 test images of each class; the first pixel is the label."""
    folder = tmp_path / "fashion"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for part, count in (("train", 400), ("t10k", 300)):
        labels = rng.permutation(np.arange(count) % 10).astype(np.uint8)
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        images[:, 0, 0] = labels
        fashion_mnist.write_idx(folder / f"{part}-images-idx3-ubyte", images)
        fashion_mnist.write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return folder


def test_stratified_takes_as_many_of_each_class_as_there_are():
    labels = np.array([0] * 50 + [1] * 3)
    split = ArraySplit(np.zeros((53, 1, 1), np.uint8), labels)
    chosen = fashion_mnist.stratified(split, 10, 2, np.random.default_rng(0))
    assert np.bincount(labels[chosen]).tolist() == [7, 3]


def smoke(out: Path, fashion: Path, *rows: str) -> dict[str, results.Row]:
    bench.main(["--smoke", "--out", str(out), "--fashion-mnist", str(fashion), "--only", *rows])
    return {name: row for (name, _), row in results.read(out).items()}


@pytest.mark.slow
def test_throughput_and_pipeline_go_through(tmp_path, fashion):
    rows = ["mobilenet32-torchvision", "mobilenet32-bare", "mobilenet224-timm", "pipeline", "pipeline-thesis"]
    measured = smoke(tmp_path, fashion, *rows)
    assert set(measured) == set(rows)
    assert all(min(one.ours + one.theirs) > 0 for one in measured.values())


@pytest.mark.slow
@pytest.mark.parametrize("bout", ["gpu-mobilenetv2-32", "gpu-resnet50-224"])
def test_the_bench_of_a_gpu_goes_through_on_a_cpu(bout, tmp_path):
    gpu.main(["--smoke", "--device", "cpu", "--out", str(tmp_path), "--only", bout])
    measured = {name: row for (name, _), row in results.read(tmp_path).items()}
    assert list(measured) == [f"{bout}-{peer}" for peer in ("bare", "timm", "torchvision")]
    assert all(len(one.ours) == len(one.theirs) == 3 and min(one.ours + one.theirs) > 0 for one in measured.values())


@pytest.mark.slow
def test_studies_go_through(tmp_path, fashion):
    measured = smoke(tmp_path, fashion, "sweep", "sweep-packed", "cache-accuracy")
    assert list(measured) == ["sweep", "sweep-packed", "cache-accuracy"]
    assert len(measured["cache-accuracy"].ours) == 2


def test_a_study_that_is_made_to_be_loaded_is_loaded_whole(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["load_study", "--runs", "30", "--epochs", "5"])
    load_study.main()  # it counts runs and budget epochs
    assert capsys.readouterr().out.startswith("30 runs x 5 budget epochs: ")


def test_a_smoke_run_never_writes_over_results():
    with pytest.raises(SystemExit):
        bench.main(["--smoke"])


def flat_world(gap: float, hint: float = 0.003, branches: bool = False) -> World:
    """A world in which a quarter of the data is so much worse, at every length of training."""
    errors = np.array([0.15 + gap, 0.15])
    parts = dict.fromkeys((1, 2, 4, 8), errors)
    return World("made up", "flat", np.array([0.25, 1]), parts, 0.002, np.full(2, hint), 1000, 0.9, branches)


def test_adaptive_studies_are_played_and_written_down(tmp_path, capsys):
    asking.main(["--quick", "--out", str(tmp_path / "page.md")])
    page = (tmp_path / "page.md").read_text()
    assert all(f"## {title}" in page for title in ("Wrong answers", "What an answer takes", "Doubling", "A target"))
    assert "nan" not in page
    with pytest.raises(SystemExit):
        asking.main(["--quick"])  # would write over the results
    assert "--out" in capsys.readouterr().err


def test_pairs_of_a_world_have_its_gap_its_hint_and_its_noise():
    world = flat_world(0.02, hint=0.004)
    laboratory = Laboratory(world, 0.25, np.random.default_rng(0))
    laboratory.luck = 0.0
    for seed in range(200):
        for fraction in (0.25, 1.0):
            laboratory.train(Step(fraction, seed))
    pairs = laboratory.evidence.pairs(0.25)
    gaps = np.array([pair.gap for pair in pairs])
    spread = float(np.hypot(world.sd_of(0.25), world.sd))
    assert gaps.mean() == pytest.approx(0.02, abs=4 * spread / 200**0.5)
    assert gaps.std() == pytest.approx(spread, rel=0.2)
    hints = [np.sqrt(np.var(pair.signs) / len(pair.signs)) for pair in pairs]  # over test images, as McNemar's test
    assert np.mean(hints) == pytest.approx(0.004, rel=0.05)
    assert all(1 - run.right.mean() == pytest.approx(run.error) for pair in pairs for run in (pair.small, pair.large))


@pytest.mark.parametrize("name", ["budgets", "fashion_mnist", "networks", "lcdb"])
def test_a_shifted_world_has_the_gap_that_was_asked_for(name):
    world = next(one for one in every_world() if one.source == name)
    shifted = world.shifted(0.5, 0.01)
    assert shifted.gap(0.5) == pytest.approx(0.01)
    assert shifted.error(1.0) == world.error(1.0)
    assert shifted.error(0.125) == world.error(0.125)


def test_a_study_costs_what_it_trains():
    rng = np.random.default_rng(0)
    assert ask(flat_world(0.3), 0.25, rng, rungs=True) == ("not enough", 2 / 8, 0)
    assert ask(flat_world(0.3), 0.25, rng, rungs=False) == ("not enough", 2, 1)
    trunk = Laboratory(flat_world(0.3, branches=True), 0.25, rng)
    for part in (8, 4, 2, 1):
        trunk.train(Step(1.0, 0, part))
    assert trunk.cost == pytest.approx(1.175)  # what the notes on schedules have for four branches
    again = trunk.cost
    trunk.train(Step(1.0, 0, 4))
    assert trunk.cost == again


def test_worlds_of_lcdb_lie_below_chance():
    worlds = lcdb_worlds(20)
    assert len(worlds) == 20
    assert all(world.error(1.0) < world.chance_error for world in worlds)
