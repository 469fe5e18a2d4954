"""The loop of a sweep with jobs that only pretend to train."""

import io
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from pkgutil import resolve_name

import pytest
from rich.console import Console

from datavol.config.compose import compose
from datavol.config.run import Run
from datavol.config.sweep import SweepConfig
from datavol.errors import RunLocked
from datavol.runs.folder import RunFolder
from datavol.sweep import local as launching
from datavol.sweep import status
from datavol.sweep.job import read_job


@pytest.fixture
def pretend(monkeypatch, elsewhere):
    """Replaces job processes: `outcomes[fraction]` lists the exit code of each attempt; gives what was started."""
    started: list[tuple[float, dict[str, str]]] = []
    outcomes: dict[float, list[int]] = {}
    alive: set[object] = set()
    most = [0]

    class Pretended:
        def __init__(self, file: Path, output: Path, environment: dict[str, str]) -> None:
            self.run = read_job(file)
            fraction = self.run.config.fraction
            started.append((fraction, environment))
            self.code = outcomes.get(fraction, [0]).pop(0) if outcomes.get(fraction) else 0
            self.looks = 0
            alive.add(self)
            most[0] = max(most[0], len(alive))
            output.write_text("datavol: what it said\n")
            if self.code != 2:
                RunFolder(self.run.folder).update(state="running", hash=self.run.config.run_hash)

        def poll(self) -> int | None:
            self.looks += 1
            if self.looks < 3:
                return None
            alive.discard(self)
            if self.code == 0:
                RunFolder(self.run.folder).update(state="finished")
            return self.code

        def send_signal(self, number: int) -> None:
            if self.looks < 2:  # else it ends by itself before the signal takes effect
                self.code = -number

        def wait(self) -> int:
            self.looks = 3
            return self.poll()

    monkeypatch.setattr(launching, "JobProcess", Pretended)
    monkeypatch.setattr(launching, "POLL_SECONDS", 0)
    return started, outcomes, most


def runs(*fractions: float) -> list[Run]:
    return [compose([f"fraction={fraction}", "logger=csv"])[0] for fraction in fractions]


def launch(some: list[Run], code: int = 0, **changes) -> list[str | None]:
    """Launch a sweep that ends with an exit code, and return the states of its runs."""
    settings = SweepConfig(**{"parallel": 1, "retries": 0, "rerun": False, "fail_fast": False} | changes)
    with pytest.raises(SystemExit) if code else nullcontext() as ended:
        launching.launch_here(some, settings)
    assert code == 0 or ended.value.code == code
    return [RunFolder(run.folder).state for run in some]


def test_each_run_is_trained_once_in_order_and_then_skipped(pretend, capsys):
    started, _, most = pretend
    for _ in range(2):
        launch(runs(0.1, 0.2, 0.3))
    assert [fraction for fraction, _ in started] == [0.1, 0.2, 0.3]
    assert most == [1]
    said = capsys.readouterr().out
    assert said.count("is finished already") == 3
    assert said.endswith("3 of 3 runs finished\n")


def test_a_failure_does_not_stop_the_others_and_says_how_to_go_on(pretend, capsys):
    _, outcomes, _ = pretend
    outcomes[0.2] = [1]
    some = runs(0.1, 0.2, 0.3)
    assert launch(some, code=1) == ["finished", "failed", "finished"]
    said = capsys.readouterr()
    assert f"failed: {some[1].folder}: its process ended with exit code 1: what it said" in said.err
    assert "again: python -m datavol.run fraction=0.2 logger=csv" in said.err
    assert "2 of 3 runs finished" in said.out


def test_a_killed_job_s_record_is_closed(pretend):
    _, outcomes, _ = pretend
    outcomes[0.1] = [-9]
    (run,) = some = runs(0.1)
    launch(some, code=1)
    assert RunFolder(run.folder).record["reason"] == "its process was killed by signal 9: what it said"
    assert (run.folder / "output.log").read_text() == "datavol: what it said\n"


def test_failed_runs_are_retried_but_refused_ones_are_not(pretend):
    started, outcomes, _ = pretend
    outcomes[0.1] = [1, -9, 0]
    outcomes[0.2] = [2, 0]
    assert launch(runs(0.1, 0.2), code=1, retries=2) == ["finished", None]
    assert sorted(fraction for fraction, _ in started) == [0.1, 0.1, 0.1, 0.2]


def test_fail_fast_starts_nothing_more(pretend):
    started, outcomes, _ = pretend
    outcomes[0.1] = [1]
    launch(runs(0.1, 0.2), code=1, fail_fast=True)
    assert [fraction for fraction, _ in started] == [0.1]


def test_fail_fast_leaves_finished_what_finishes_meanwhile(pretend, capsys):
    _, outcomes, _ = pretend
    outcomes[0.1] = [1]
    assert launch(runs(0.1, 0.2), code=1, fail_fast=True, parallel=2) == ["failed", "finished"]
    assert "1 of 2 runs finished" in capsys.readouterr().out


@pytest.mark.parametrize(("meanwhile", "state"), [(0, "finished"), (-15, "failed")])
def test_what_finishes_while_a_sweep_is_stopped_is_finished(pretend, monkeypatch, capsys, meanwhile, state):
    _, outcomes, _ = pretend
    outcomes[0.1] = [1]
    real = launching.JobProcess.poll

    def slower(self):  # the second run is still training when the first has failed
        if self.run.config.fraction == 0.2 and self.looks < 3:
            return None
        return real(self)

    monkeypatch.setattr(launching.JobProcess, "poll", slower)
    monkeypatch.setattr(launching.JobProcess, "send_signal", lambda self, _: setattr(self, "code", meanwhile))
    assert launch(runs(0.1, 0.2), code=1, fail_fast=True, parallel=2) == ["failed", state]
    assert f"{(meanwhile == 0):d} of 2 runs finished" in capsys.readouterr().out


def refuse(*_: object) -> None:
    raise OSError(28, "No space left on device", "somewhere")


def torn(self) -> None:
    """Tears a record while its run trains."""
    if self.run.config.fraction == 0.1:
        (self.run.folder / "run.json").write_text('{"state": "runn')
        self.code = 1


TROUBLES = {
    "a full disk": ("datavol.sweep.local.write_job", "its process could not be started: .* No space left on device"),
    "no process": ("datavol.sweep.local.JobProcess", "its process could not be started: .* No space left on device"),
    "a torn record": (None, "run.json must be a whole file that datavol wrote, got JSONDecodeError"),
    "no scratch folder": (None, "finished"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_one_job_s_trouble_closes_that_job_alone(trouble, pretend, monkeypatch, capsys, tmp_path):
    started, _, _ = pretend
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    where, said = TROUBLES[trouble]
    real, calls = resolve_name(where) if where else None, []

    def once(*given: object) -> object:  # for the first job
        calls.append(given)
        return refuse() if len(calls) == 1 else real(*given)

    def strike(self) -> int | None:
        if trouble == "a torn record":
            torn(self)
        for scratch in tmp_path.glob("datavol-*" if trouble == "no scratch folder" else "none"):
            shutil.rmtree(scratch)
        return poll(self)

    poll = launching.JobProcess.poll
    if where:
        monkeypatch.setattr(where, once)
    else:
        monkeypatch.setattr(launching.JobProcess, "poll", strike)
    some = runs(0.1, 0.2, 0.3)
    whole = trouble == "no scratch folder"
    with nullcontext() if whole else pytest.raises(SystemExit):
        launching.launch_here(some, SweepConfig(parallel=1, retries=0, rerun=False, fail_fast=False))
    assert [fraction for fraction, _ in started][-2:] == [0.2, 0.3]
    shown = capsys.readouterr()
    assert re.search(said, shown.err + shown.out)
    assert f"{3 if whole else 2} of 3 runs finished" in shown.out


def test_a_reader_that_leaves_ends_no_sweep(pretend, monkeypatch, capsys):
    """`python -m datavol.run -m ... | head -1`."""

    class Closed(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("sys.stdout", Closed())
    assert launch(runs(0.1, 0.2)) == ["finished", "finished"]
    assert "datavol: note: the work goes on unseen, as its output is closed: Broken pipe" in capsys.readouterr().err


def test_a_terminal_that_is_gone_ends_no_sweep(pretend, monkeypatch):
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(status, "Console", lambda: Console(file=Gone(), force_terminal=True, width=160))
    assert launch(runs(0.1, 0.2)) == ["finished", "finished"]


def test_a_rerun_moves_nothing_while_one_of_its_runs_is_trained(pretend):
    some = runs(0.1, 0.2)
    launch(some)
    with other_process_holds(some[1].folder), pytest.raises(RunLocked, match="is being trained by another process"):
        launching.launch_here(some, SweepConfig(parallel=1, retries=0, rerun=True, fail_fast=False))
    assert [RunFolder(run.folder).state for run in some] == ["finished", "finished"]
    assert not (some[0].folder.parent / "superseded").exists()


@contextmanager
def other_process_holds(folder: Path) -> Iterator[None]:
    """A lock is a process's own, so that one process cannot hold it against itself."""
    pipes = [os.pipe(), os.pipe()]
    if (pid := os.fork()) == 0:
        with RunFolder(folder).held():
            os.write(pipes[0][1], b"x")
            os.read(pipes[1][0], 1)
        os._exit(0)
    os.read(pipes[0][0], 1)
    try:
        yield
    finally:
        os.write(pipes[1][1], b"x")
        os.waitpid(pid, 0)


def test_rerun_moves_the_old_run_away(pretend):
    started, _, _ = pretend
    (run,) = some = runs(0.1)
    for _ in range(3):
        assert launch(some, rerun=True) == ["finished"]
    assert len(started) == 3
    attic = run.folder.parent / "superseded"
    assert sorted(path.name for path in attic.iterdir()) == [f"{run.folder.name}.{i}" for i in (1, 2)]
    (attic / f"{run.folder.name}.1").rename(attic / "elsewhere")  # a hole in the numbers
    launch(some, rerun=True)
    assert (attic / f"{run.folder.name}.3").is_dir()


@pytest.mark.parametrize(("state", "code"), [("running", 75), ("finished", 0)])
def test_a_run_that_another_process_trains_is_left_to_it(pretend, monkeypatch, capsys, state, code):
    """And the sweep ends with 75, unless it was finished there meanwhile."""
    _, outcomes, _ = pretend
    outcomes[0.1] = [75]
    first, second = runs(0.1, 0.2)
    real = launching.JobProcess.poll

    def beside_another(self):
        if self.code == 75:
            RunFolder(first.folder).update(state=state)
        return real(self)

    monkeypatch.setattr(launching.JobProcess, "poll", beside_another)
    launch([first, second], code)
    said = capsys.readouterr()
    assert f"{first.folder} is being trained by another process" in said.out
    assert f"{1 + (code == 0)} of 2 runs finished" in said.out
    left = (
        f"not finished: {first.folder}: is being trained by another process; wait for it, or type the command again\n"
    )
    assert said.err == (left if code else "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_sweep_with_its_code(number, code, pretend, monkeypatch):
    real = launching.JobProcess.poll

    def told(self):
        if self.looks == 1:
            self.looks = -9
            signal.raise_signal(number)
        return real(self)

    monkeypatch.setattr(launching.JobProcess, "poll", told)
    before = signal.getsignal(number)
    assert launch(runs(0.1, 0.2), code) == ["failed", None]
    assert signal.getsignal(number) is before


def test_runs_at_once_share_the_machine(pretend, monkeypatch):
    started, _, most = pretend
    monkeypatch.setattr("datavol.sweep.devices.cores", lambda: 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    launch(runs(0.1, 0.2, 0.3), parallel=2)
    assert most == [2]
    assert {environment["OMP_NUM_THREADS"] for _, environment in started} == {"2"}


def test_finished_runs_count_so_that_a_resumed_sweep_gives_the_others_the_same_threads(pretend, monkeypatch):
    started, _, _ = pretend
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("datavol.sweep.devices.cores", lambda: 4)
    some = runs(0.1, 0.2)
    RunFolder(some[0].folder).update(state="finished", hash=some[0].config.run_hash)
    launch(some, parallel="auto")
    assert [environment["OMP_NUM_THREADS"] for _, environment in started] == ["2"]


def test_the_user_s_number_of_threads_stays(pretend, monkeypatch):
    started, _, _ = pretend
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    launch(runs(0.1, 0.2), parallel=2)
    assert {environment["OMP_NUM_THREADS"] for _, environment in started} == {"3"}


def test_in_a_terminal_a_table_shows_every_run_at_once(pretend, monkeypatch, capsys):
    screen = io.StringIO()
    monkeypatch.setattr(status, "Console", lambda: Console(file=screen, force_terminal=True, width=160))
    _, outcomes, _ = pretend
    outcomes[0.2] = [1]
    some = runs(0.1, 0.2, 0.3)
    RunFolder(some[2].folder).update(state="finished", hash=some[2].config.run_hash)
    launch(some, code=1)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    first = shown[: shown.index("└")]
    assert all(state in first for state in ("running", "waiting"))
    final = shown[shown.rindex("run ") :]  # the table as it is left standing
    for run, state in zip(some, ("finished", "failed", "skipped"), strict=True):
        assert re.search(rf"{re.escape(str(run.folder))}\s*│ {state}", final)
    assert "its process ended with exit code 1: what it said" in final
    assert capsys.readouterr().out == "2 of 3 runs finished\n"
