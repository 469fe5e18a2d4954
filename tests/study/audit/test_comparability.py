from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from factories.run_folders import CLASSES, LABELS, SESSION, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from datavol.data.subsets import Subset, draw_subset
from datavol.runs.folder import RunFolder
from datavol.study.audit.comparability import audit
from datavol.study.load.study import load_study


def findings_of(folder, severity=None):
    return {f.name: f for f in audit(load_study(folder)) if severity in (None, f.severity)}


def severities(folder):
    return [(finding.name, finding.severity) for finding in audit(load_study(folder))]


def subset_of(indices, seed=0, fraction=0.25, draw="independent") -> Subset:
    indices = np.sort(indices)
    counts = tuple(np.bincount(LABELS[indices], minlength=10).tolist())
    return Subset(indices, counts, len(LABELS), fraction, draw, seed)


@settings(deadline=None, max_examples=15)
@given(
    fractions=st.sets(st.sampled_from([0.02, 0.05, 0.1, 0.2, 0.25]), min_size=2, max_size=3),
    seeds=st.sets(st.integers(0, 2), min_size=2),
    draw=st.sampled_from(["independent", "nested", "disjoint"]),
    budget=st.sampled_from(["iterations", "epochs"]),
)
def test_no_honest_study_has_one(tmp_path_factory, fractions, seeds, draw, budget):
    study = tmp_path_factory.mktemp("honest")
    overrides = (f"budget={budget}", "recipe.batch_size=8")
    for fraction, seed in product(fractions, seeds):
        write_run(study, fraction=fraction, seed=seed, draw=draw, overrides=overrides)
    assert audit(load_study(study)) == []


def test_what_a_study_varies_on_purpose_is_no_confound(clean):
    for fraction in (0.05, 0.25):
        write_run(clean, fraction=fraction, overrides=("recipe=plain",))
        write_run(clean, fraction=fraction, overrides=("budget=epochs", "recipe.batch_size=8", "recipe.name=by_passes"))
    assert audit(load_study(clean)) == []


PLANTED = {
    "iterations": ("major", {"budget.iterations": 7, "last.iteration": 7}),
    "recipe_json": ("major", {"config.recipe.optimiser.lr": 0.5}),
    "model_settings": ("major", {"config.model.stem": "small"}),
    "parent": ("minor", {"parent": {"checkpoint": "somewhere/last.ckpt"}}),
    "fingerprint": ("major", {"subset.fingerprint": "e" * 64}),
    "commit": ("major", {"sessions.0.code.commit": "b" * 40}),
    "precision": ("major", {"precision": "bf16-mixed"}),
    "short_side": ("major", {"short_side": 256}),
    "world_size": ("major", {"world_size": 4}),
    "validation_images": ("minor", {"last.val/images": 358.0}),
    "damaged": ("minor", {"damaged": {"val": {"count": 1, "classes": {"cat": {"damaged": 1, "of": 3}}}}}),
    "pixel_range": ("major", {"sessions.0.pixel_range": "integers of 12 bits (0 to 4,095)"}),
    "changed_files": ("major", {"sessions": [SESSION | {"content": "a"}, SESSION | {"content": "b"}]}),
    "grouped_by": ("minor", {"subset.groups": {"by": "folder", "shared": 0}}),
    "threads": ("minor", {"threads": 1}),
    "memory_format": ("minor", {"memory_format": "contiguous"}),
    "processor": ("minor", {"sessions.0.machine.processor": "AMD EPYC (avx2)"}),
    "versions": ("minor", {"sessions.0.versions": {"torch": "2.10.0"}}),
    "best": ("note", {"best.val/top1": 0.9}),
    "code_changed": ("note", {"sessions.0.code.changed": True}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_difference_is_found_alone_and_its_run_is_named(clean, name):
    severity, planted = PLANTED[name]
    odd = write_run(clean, fraction=0.5, seed=0, planted=planted)
    (finding,) = audit(load_study(clean))
    assert (finding.name, finding.severity, finding.runs) == (name, severity, (odd.path.name,))
    assert str(finding).startswith(f"{severity}: ")
    assert "\n" not in str(finding)


def duplicates(**found: int) -> dict[str, dict[str, int]]:
    whole = {"images": 719, "repeated": 0, "validation_images": 360, "leaked": 0, "leaked_identical": 0}
    return {"subset.duplicates": whole | {"disagreeing": 0, "damaged": 0} | found}


def test_images_in_both_splits_are_told_with_what_they_may_add_and_that_they_bend_the_curve(tmp_path):
    write_run(tmp_path, fraction=0.05, planted=duplicates(leaked=1))
    write_run(tmp_path, fraction=0.5, planted=duplicates(leaked=18, leaked_identical=12))
    (finding,) = audit(load_study(tmp_path))
    assert (finding.severity, finding.name) == ("major", "leaks")
    assert finding.what == (
        "of the data of digits, 18 of 360 validation images are also in train (12 with the same bytes or pixels, 6 "
        "alike, resized, saved anew, brightened or mirrored): accuracy may be too good by up to 5 points; in smaller "
        "subsets fewer, down to 1, which makes the curve too steep"
    )


def test_labels_that_disagree_and_repeated_images_are_told_and_clean_data_are_not(tmp_path):
    write_run(tmp_path, fraction=0.05, planted=duplicates())
    write_run(tmp_path, fraction=0.5, planted=duplicates(disagreeing=4, repeated=36))
    found = {finding.name: finding for finding in audit(load_study(tmp_path))}
    assert [(name, finding.severity) for name, finding in found.items()] == [("labels", "minor"), ("repeated", "note")]
    assert found["labels"].what == "of the data of digits, 4 images have a copy with another label"
    assert found["repeated"].what == "of the data of digits, 36 of 719 training images (5 %) repeat another one"


@pytest.mark.parametrize("name", ["content", "weights_sha256"])
def test_contents_that_differ_are_found_and_those_of_earlier_versions_are_unknown(name, tmp_path):
    path = "sessions.0.content" if name == "content" else name
    write_run(tmp_path, fraction=0.05)  # of an earlier version
    write_run(tmp_path, fraction=0.1, planted={path: "a" * 16})
    assert audit(load_study(tmp_path)) == []
    odd = write_run(tmp_path, fraction=0.5, planted={path: "b" * 16})
    write_run(tmp_path, fraction=0.2, planted={path: "a" * 16})
    (finding,) = audit(load_study(tmp_path))
    assert (finding.name, finding.severity, finding.runs) == (name, "major", (odd.path.name,))
    assert "none" not in finding.what


def test_files_that_were_decoded_by_other_rules_are_found(tmp_path):
    files = {"config.data.on_damaged": "stop"}
    write_run(tmp_path, fraction=0.05, planted=files)  # of an earlier version, by the first rules
    write_run(tmp_path, fraction=0.1, planted=files | {"sessions.0.decoding": 2})
    write_run(tmp_path, fraction=0.2, planted=files | {"sessions.0.decoding": 2})
    assert severities(tmp_path) == [("decoding", "minor")]


def test_damaged_images_are_counted_where_the_accuracy_is_judged(clean):
    damaged = {"val": {"count": 3, "images": [], "classes": {"cat": {"damaged": 3, "of": 4}}}}
    damaged["train"] = {"count": 1, "images": ["cat/3.png"]}  # as an earlier version counted
    write_run(clean, fraction=0.5, planted={"damaged": damaged, "last.val/images": 356.0})
    what = (
        "1 damaged training image replaced; 3 damaged validation images left out (3 of 4 of cat); accuracies are of "
        "356 of 359 validation images"
    )
    assert findings_of(clean)["damaged"].what == what


def test_recipes_that_differ_are_reported_key_by_key_and_versions_package_by_package(clean):
    write_run(clean, fraction=0.5, planted={"config.recipe.optimiser.lr": 0.5, "sessions.0.versions.torch": "2.10.0"})
    findings = findings_of(clean)
    assert "optimiser.lr 0.003, 0.5" in findings["recipe_json"].what
    assert findings["versions"].what.endswith(': torch "2.9.0", "2.10.0"')


def test_a_recipe_that_every_fraction_has_is_a_note(tmp_path):
    for fraction, lr in product((0.05, 0.25), (0.001, 0.003)):
        write_run(tmp_path, fraction=fraction, planted={"config.recipe.optimiser.lr": lr})
    assert severities(tmp_path) == [("recipe_json", "note")]


def test_unequal_training_is_found_twice(clean):
    write_run(clean, fraction=0.5, epochs=8)
    assert set(findings_of(clean, "major")) == {"iterations", "evaluations"}


def test_a_schedule_that_had_not_ended_is_found(clean):
    odd = write_run(clean, fraction=0.5, done=3)
    majors = findings_of(clean, "major")
    assert set(majors) == {"evaluations", "schedule"}
    assert majors["schedule"].runs == (odd.path.name,)


def test_draws_that_overlap_too_much_are_found(tmp_path):
    first = write_run(tmp_path, seed=0)
    honest = draw_subset(LABELS, CLASSES, 0.25, "independent", 1).indices
    half = np.union1d(first.indices[::2], honest)
    second = write_run(tmp_path, seed=1, subset=subset_of(half[: len(first.indices)], seed=1))
    (finding,) = audit(load_study(tmp_path))
    assert (finding.name, finding.severity) == ("overlap", "major")
    assert set(finding.runs) == {first.path.name, second.path.name}


def test_disjoint_draws_may_share_nothing(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, seed=seed, draw="disjoint")
    assert audit(load_study(tmp_path)) == []
    first, third = (draw_subset(LABELS, CLASSES, 0.25, "disjoint", seed).indices for seed in (0, 2))
    write_run(tmp_path, seed=2, draw="disjoint", subset=subset_of([first[0], *third[1:]], 2, draw="disjoint"))
    (finding,) = audit(load_study(tmp_path))
    assert finding.name == "overlap"
    assert "share 1 images, more than the 0 that disjoint draws allow" in finding.what


def test_nested_draws_of_two_seeds_may_not_share_more_than_chance(tmp_path):
    small = write_run(tmp_path, fraction=0.05, seed=0, draw="nested")
    large = np.union1d(small.indices, draw_subset(LABELS, CLASSES, 0.25, "nested", 1).indices)
    write_run(tmp_path, fraction=0.25, seed=1, draw="nested", subset=subset_of(large, 1, draw="nested"))
    assert set(findings_of(tmp_path)) == {"overlap"}


def test_equal_subsets_under_two_names_are_found_and_the_full_set_is_not(tmp_path):
    first = write_run(tmp_path, seed=0)
    write_run(tmp_path, seed=1, subset=subset_of(first.indices, seed=1))
    for seed in (0, 1):
        write_run(tmp_path, seed=seed, fraction=1.0)
    assert set(findings_of(tmp_path)) == {"equal_subsets"}


def test_one_list_may_serve_two_seeds(tmp_path):
    subset = subset_of(draw_subset(LABELS, CLASSES, 0.25, "independent", 0).indices, draw="listed")
    for seed in (0, 1):
        write_run(tmp_path, seed=seed, subset=subset)
    assert audit(load_study(tmp_path)) == []


def test_missing_classes_are_found(tmp_path):
    for seed in (0, 1):
        whole = draw_subset(LABELS, CLASSES, 0.25, "independent", seed).indices
        write_run(tmp_path, seed=seed, subset=subset_of(whole[LABELS[whole] < 8], seed=seed))
    assert "2 of 10 classes" in findings_of(tmp_path)["classes"].what


def test_a_subset_that_cannot_be_read_is_a_minor_finding(clean):
    (write_run(clean, fraction=0.5).path / "subset.npy").unlink()
    assert severities(clean) == [("damaged_subset", "minor")]


def test_one_run_and_mixed_data_are_notes(tmp_path):
    write_run(tmp_path)
    assert set(findings_of(tmp_path, "note")) == {"one_run"}
    write_run(tmp_path, planted={"config.data.name": "cifar10", "subset.fingerprint": "e" * 64})
    assert set(findings_of(tmp_path)) == {"data_sets"}


def test_a_configuration_that_counts_twice_is_found(clean):
    known = load_study(clean).runs.query("model == 'resnet50' and fraction == 0.25 and seed == 1")
    again = write_run(clean, "resnet50", 0.25, seed=1, top1=0.5, planted={"hash": known["hash"].item()})
    (finding,) = audit(load_study(clean))
    assert (finding.name, finding.runs) == ("repeated", (known["run"].item(), again.path.name))


def test_runs_that_are_left_out_are_listed_and_the_gravest_comes_first(clean):
    write_run(clean, state="running", done=2)
    write_run(clean, state="failed", done=1)
    write_run(clean, seed=5).supersede()
    (write_run(clean, seed=6).path / "run.json").write_text("{")
    write_run(clean, fraction=0.5, planted={"world_size": 2})
    names = [name for name, _ in severities(clean)]
    assert names == ["world_size", "unreadable", "failed", "running", "superseded"]


def test_a_study_without_a_finished_run_is_audited(tmp_path):
    write_run(tmp_path, state="running", done=0)
    assert set(findings_of(tmp_path)) == {"running"}


def test_a_run_that_others_moved_away_is_no_traceback(clean):
    study = load_study(clean)
    RunFolder(next(iter(clean.glob("mobilenet_v2-25pct*")))).supersede()
    assert {finding.name for finding in audit(study)} == {"damaged_subset"}


def test_files_that_were_left_out_and_notes_are_findings(tmp_path):
    """Not those that tools leave behind, of which every folder may have some."""
    found = {"left_out": {".gif": 3, "hidden or left by tools": 2}, "notes": ["classes A, a differ in case only"]}
    for seed in (0, 1):
        write_run(tmp_path / "s", seed=seed, planted={"subset.found": {"train": "train", "val": "val"} | found})
    findings = findings_of(tmp_path / "s")
    assert findings["left_out"].what == "of the data of digits, these were left out: 3 .gif"
    assert (findings["data"].severity, findings["data"].what) == (
        "minor",
        "of the data of digits: classes A, a differ in case only",
    )
    assert len(findings["data"].runs) == 2
    warnings = [  # as newer records have
        "1 of 2 classes has no validation image: cat",
        "folders and files of tools lie among the images: @eaDir; they are left out",
    ]
    warned = found | {"notes": [], "warnings": warnings}
    write_run(tmp_path / "new", planted={"subset.found": {"train": "train", "val": "val"} | warned})
    assert findings_of(tmp_path / "new")["data"].what.endswith("1 of 2 classes has no validation image: cat")


def test_a_warning_of_the_data_keeps_its_own_remedy(tmp_path):
    found = {"train": "train", "val": "val", "left_out": {}, "notes": [], "warnings": ["thumbnails count; move them"]}
    write_run(tmp_path / "s", planted={"subset.found": found})
    finding = findings_of(tmp_path / "s")["data"]
    assert (finding.what, finding.remedy) == ("of the data of digits: thumbnails count", "move them")


def test_groups_in_train_and_val_are_a_major_finding_and_groups_apart_are_none(tmp_path):
    groups = {"by": "folder", "train": 9, "val": 4, "shared": 0, "shared_val_images": 0, "shared_names": []}
    shared = groups | {"shared": 4, "shared_val_images": 12, "shared_names": ["a/1", "a/2", "b/1"]}
    for name, planted in (("apart", groups), ("shared", shared)):
        for seed in (0, 1):
            write_run(tmp_path / name, seed=seed, planted={"subset.groups": planted})
    assert "shared_groups" not in {finding.name for finding in audit(load_study(tmp_path / "apart"))}
    study = load_study(tmp_path / "shared")
    (found,) = (finding for finding in audit(study) if finding.name == "shared_groups")
    images = 12 / int(study.runs["validation_images"].iloc[0])
    assert (found.severity, len(found.runs)) == ("major", 2)
    assert "4 groups lie in train and in val (a/1, a/2, b/1 and 1 more), with " in found.what
    assert f"{100 * images:.3g} % of the validation images" in found.what


def groups_of(uneven: bool):
    """Some fourteen groups in each class."""
    groups = np.empty(len(LABELS), dtype=np.int64)
    for label in range(10):
        own = np.flatnonzero(label == LABELS)
        random = np.sort(np.random.default_rng(label).integers(0, 14, len(own)))
        groups[own] = 100 * label + (random if uneven else np.arange(len(own)) * 14 // len(own))
    return groups


def write_grouped(study, groups, seed, by="groups", draw="independent", fraction=0.25, subset=None):
    subset = subset or draw_subset(LABELS, CLASSES, fraction, draw, seed, groups=groups, by=by)
    sizes = np.unique(groups, return_counts=True)[1]
    facts = {"by": "folder", "train": len(sizes), "val": 9, "size": float((sizes**2).sum() / sizes.sum())}
    facts |= {"shared": 0, "shared_val_images": 0, "shared_names": [], "drawn": subset.groups}
    return write_run(study, fraction=fraction, seed=seed, draw=draw, subset=subset, planted={"subset.groups": facts})


@pytest.mark.parametrize("draw", ["independent", "disjoint", "nested"])
def test_honest_draws_by_groups_are_no_finding(tmp_path, draw):
    """Whole groups overlap in lumps, which a law of single images would call too much."""
    groups = groups_of(uneven=True)
    for by in ("groups", "items"):
        for seed in range(3):
            write_grouped(tmp_path, groups, seed, by, draw)
            write_grouped(tmp_path, groups, seed, by, draw, fraction=0.5 if draw != "disjoint" else 0.125)
    assert "overlap" not in findings_of(tmp_path)


def test_draws_of_whole_groups_that_overlap_too_much_are_found(tmp_path):
    groups = groups_of(uneven=False)
    first = write_grouped(tmp_path / "s", groups, 0)
    other = draw_subset(LABELS, CLASSES, 0.25, "independent", 1, groups=groups, by="groups")
    kept = np.unique(groups[first.indices])[1:]  # all but one group of the other draw
    indices = np.flatnonzero(np.isin(groups, kept))
    counts = tuple(np.bincount(LABELS[indices], minlength=10).tolist())
    planted = replace(other, indices=indices, images_per_class=counts, groups=len(kept))
    write_grouped(tmp_path / "s", groups, 1, subset=planted)
    assert "overlap" in findings_of(tmp_path / "s")
