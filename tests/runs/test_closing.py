"""The first reason of a failure stands, and ranks that write at once lose nothing of each other's."""

import multiprocessing

from factories.run_folders import write_run

from datavol.runs.folder import RunFolder


def test_the_reason_of_the_rank_that_failed_first_stands(tmp_path):
    folder = write_run(tmp_path, state="running")
    assert folder.close("failed", "the disk is full") == "the disk is full"
    assert folder.close("failed", "connection closed by peer") == "the disk is full"
    assert folder.close("finished", None) == "the disk is full"
    assert (folder.state, folder.record["reason"]) == ("failed", "the disk is full")


def test_a_run_that_never_started_is_not_closed(tmp_path):
    assert RunFolder(tmp_path / "none").close("failed", "too late") is None
    assert not (tmp_path / "none").exists()


def add_facts(folder: RunFolder, rank: int) -> None:
    for number in range(20):
        folder.update(**{f"fact {rank} {number}": number})


def test_processes_that_write_at_once_keep_each_other_s_facts(tmp_path):
    folder = write_run(tmp_path)
    ranks = [multiprocessing.get_context("fork").Process(target=add_facts, args=(folder, rank)) for rank in range(3)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    assert {f"fact {rank} {number}" for rank in range(3) for number in range(20)} <= set(folder.record)
