"""One W&B run per training: its files, and failures of W&B. Talks to loopback only."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
import wandb
from factories.wandb_file import WandbFile, read_wandb_file

from datavol.config.logger import WandbConfig
from datavol.errors import ConfigError
from datavol.tracking import run as wandb_run
from datavol.tracking.run import WandbRun, open_wandb_run
from datavol.tracking.session import check_wandb

API_KEY = "0123456789" * 4
CLOSED_PORT = "http://127.0.0.1:9"
HANG_SECONDS = 300.0  # after which a subprocess hangs, on the slowest machine


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No W&B account, settings, proxy or earlier use of wandb in this process."""
    for name in os.environ:
        if name.startswith("WANDB_") or name.lower().endswith("_proxy") or name == "NETRC":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB__STATS_COREWEAVE_METADATA_BASE_URL", CLOSED_PORT)
    monkeypatch.chdir(tmp_path)
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.answer(self.path, body)).encode())

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """As much of a W&B server as one run needs. It remembers the history lines, for a resumed run to go on from."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.known, self.lines = False, list[str]()
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        if path.endswith("/file_stream"):
            if stream := json.loads(body).get("files", {}).get("wandb-history.jsonl"):
                self.lines[stream["offset"] :] = stream["content"]
            return {}
        query = json.loads(body)["query"] if path == "/graphql" else ""
        project = {"id": "p", "name": "datavol", "entity": {"id": "e", "name": "me"}}
        if "RunResumeStatus" in query:
            return {"data": {"model": {**project, "bucket": self.bucket() if self.known else None}}}
        if "UpsertBucket" in query:
            self.known = True
            return {"data": {"upsertBucket": {"bucket": {**self.bucket(), "project": project}, "inserted": True}}}
        if "CreateRunFiles" in query:  # none to upload; wandb's service process dies of an answer without this
            return {"data": {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": []}}}
        return {"data": {}}

    def bucket(self) -> dict[str, Any]:
        counts = {"logLineCount": 0, "historyLineCount": len(self.lines), "eventsLineCount": 0}
        tails = {"historyTail": json.dumps(self.lines[-1:]), "eventsTail": "[]", "summaryMetrics": "{}"}
        return {"id": "b", "name": "run1", "config": "{}", "wandbConfig": '{"t": 1}', **counts, **tails}

    def iterations(self) -> list[int]:
        return [json.loads(line)["iteration"] for line in self.lines]

    def close(self) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    yield server
    server.close()


def settings(mode: str = "auto", **changes: Any) -> WandbConfig:
    values = {"name": "wandb", "mode": mode, "project": "datavol", "entity": None, "tags": ["pilot"]}
    values |= {"notes": "a first look", "group": None, "job_type": "train"}
    return WandbConfig.model_validate({**values, **changes})


def start(folder: Path, mode: str = "auto", config: dict[str, Any] | None = None) -> WandbRun:
    config = config or {"fraction": 0.5, "seed": 0, "recipe": {"name": "step90", "epochs": 90}}
    return open_wandb_run(
        settings(mode), folder=folder, run_id="run1", name="densenet 50 %", study="volumes", tags=["cpu"], config=config
    )


def train(run: WandbRun, iterations: tuple[int, ...] = (10, 20, 30)) -> None:
    for iteration in iterations:
        run.log_step(
            {"iteration": iteration - 5, "epoch": iteration // 10 - 1, "train/loss_step": 1.0}, ends_epoch=False
        )
        run.log_step({"iteration": iteration, "epoch": iteration // 10 - 1, "train/loss_step": 0.5}, ends_epoch=True)
        run.log({"iteration": iteration, "budget_epoch": iteration // 10, "val/top1": iteration / 100, "lr": 0.1})


def finish(run: WandbRun) -> None:
    run.finish({"best/val/top1": 0.4}, exit_code=0)


def train_once(folder: Path, mode: str = "auto", iterations: tuple[int, ...] = (10, 20, 30)) -> None:
    run = start(folder, mode)
    train(run, iterations)
    finish(run)


def files(folder: Path) -> list[WandbFile]:
    return [read_wandb_file(path) for path in sorted(folder.glob("wandb/offline-run-*/run-run1.wandb"))]


def curve(file: WandbFile) -> list[tuple[int, float]]:
    return [(row["iteration"], row["val/top1"]) for row in file.rows if "val/top1" in row]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Ours alone: wandb's own log goes to a file of the run."""
    return [record.getMessage() for record in caplog.records if record.name == wandb_run.logger.name]


def sync(*paths: Path) -> None:
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", *map(str, paths)]
    subprocess.run(command, check=True, capture_output=True, timeout=HANG_SECONDS)


def family() -> set[int]:
    """Every process that this one started, and those that they started."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended while we looked
            continue
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def test_an_offline_run_holds_config_curves_and_summary_and_prints_how_to_sync(folder, capfd, caplog):
    train_once(folder)
    assert capfd.readouterr() == ("", "datavol: W&B: offline; `wandb sync run/wandb/offline-run-*` sends it\n")
    assert not warnings(caplog)
    (file,) = files(folder)
    assert (file.run.run_id, file.run.run_group, list(file.run.tags)) == ("run1", "volumes", ["pilot", "cpu"])
    assert (file.run.project, file.run.display_name, file.exit_code) == ("datavol", "densenet 50 %", 0)
    assert (file.run.notes, file.run.job_type) == ("a first look", "train")
    assert (file.config["fraction"], file.config["seed"], file.config["recipe"]["epochs"]) == (0.5, 0, 90)
    assert curve(file) == [(10, 0.1), (20, 0.2), (30, 0.3)]
    steps = [(row["iteration"], row["epoch"], row["train/loss_step"]) for row in file.rows]
    assert steps == [(5, 0, 1.0), (10, 0, 0.5), (15, 1, 1.0), (20, 1, 0.5), (25, 2, 1.0), (30, 2, 0.5)]
    assert all(row["_step"] == row["iteration"] == row["trainer/global_step"] for row in file.rows)
    assert ("*", "iteration") in [(metric.glob_name, metric.step_metric) for metric in file.metrics]
    assert [metric.name for metric in file.metrics if metric.options.hidden] == ["iteration"]
    ours = {key: value for key, value in file.summary.items() if not key.startswith("_")}
    last = {"iteration": 30, "budget_epoch": 3, "epoch": 2, "trainer/global_step": 30, "train/loss_step": 0.5}
    assert ours == last | {"val/top1": 0.3, "lr": 0.1, "best/val/top1": 0.4}


def test_the_reader_joins_records_that_span_blocks(folder):
    long = [str(number) for number in range(20_000)]
    finish(start(folder, config={"long": long, "short": 1}))
    (file,) = files(folder)
    assert file.config["long"] == long
    assert file.exit_code == 0


def test_nothing_of_wandb_remains_after_finish(folder):
    before = family()
    run = start(folder)
    started = family() - before
    assert started
    finish(run)
    assert not [process for process in started if Path(f"/proc/{process}").exists()]
    assert "WANDB_SERVICE" not in os.environ


def test_a_failed_training_is_marked(folder):
    start(folder).finish({}, exit_code=1)
    assert files(folder)[0].exit_code == 1


def test_a_resumed_training_goes_on_in_the_same_offline_run(folder, server):
    for iterations in ((10, 20), (30, 40)):
        train_once(folder, "offline", iterations)
    first, second = sorted(files(folder), key=lambda file: file.rows[0]["iteration"])
    assert first.run.run_id == second.run.run_id
    assert curve(first) + curve(second) == [(10, 0.1), (20, 0.2), (30, 0.3), (40, 0.4)]
    sync(*folder.glob("wandb/offline-run-*"))
    assert server.iterations() == [5, 10, 15, 20, 25, 30, 35, 40]


def test_a_resumed_training_goes_on_in_the_same_online_run_and_loses_no_row(folder, server, capfd):
    run = start(folder)
    train(run, (10, 20))
    run.log_step({"iteration": 25, "epoch": 2, "train/loss_step": 1.0}, ends_epoch=False)
    run.log_step({"iteration": 30, "epoch": 2, "train/loss_step": 0.5}, ends_epoch=True)  # ended while it evaluated
    finish(run)
    train_once(folder, iterations=(20, 30, 40))  # row 20 is sent again, and 25 measured again
    assert server.iterations() == [5, 10, 15, 20, 25, 30, 35, 40]
    assert [json.loads(line).get("val/top1") for line in server.lines][1::2] == [0.1, 0.2, 0.3, 0.4]
    assert capfd.readouterr() == ("", f"datavol: W&B: {server.url}/me/datavol/runs/run1\n" * 2)


def test_a_run_that_somebody_left_open_is_not_ours(folder):
    theirs = wandb.init(mode="offline", id="theirs", settings=wandb.Settings(silent=True, console="off"))
    train_once(folder)
    assert theirs is not None
    assert len(curve(files(folder)[0])) == 3


MODES: dict[str, tuple[str, dict[str, str], str]] = {
    "nobody logged in": ("auto", {}, "offline"),
    "key in the environment": ("auto", {"WANDB_API_KEY": API_KEY}, "online"),
    "key in netrc": ("auto", {"NETRC": "netrc"}, "online"),
    "key in netrc for another server": ("auto", {"NETRC": "netrc", "WANDB_BASE_URL": CLOSED_PORT}, "offline"),
    "WANDB_MODE wins over a key": ("auto", {"WANDB_API_KEY": API_KEY, "WANDB_MODE": "offline"}, "offline"),
    "WANDB_MODE disabled": ("auto", {"WANDB_MODE": "disabled"}, "disabled"),
    "WANDB_MODE under its old name": ("auto", {"WANDB_MODE": "dryrun"}, "offline"),
    "`wandb offline` was called": ("auto", {"WANDB_API_KEY": API_KEY, "WANDB_CONFIG_DIR": "saved"}, "offline"),
    "the key over WANDB_MODE": ("online", {"WANDB_API_KEY": API_KEY, "WANDB_MODE": "disabled"}, "online"),
    "offline with a key": ("offline", {"WANDB_API_KEY": API_KEY}, "offline"),
    "offline with half a key": ("offline", {"WANDB_API_KEY": "abc"}, "offline"),
}


@pytest.mark.parametrize(("mode", "environment", "expected"), MODES.values(), ids=MODES.keys())
def test_mode(mode, environment, expected, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text(f"machine api.wandb.ai login user password {API_KEY}\n")
    (tmp_path / "netrc").chmod(0o600)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "settings").write_text("[default]\nmode = offline\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert check_wandb(settings(mode)) == expected


REFUSED: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "online without a key": ({"mode": "online"}, {}, "logger.mode must be .* got online; try `wandb login`"),
    "WANDB_MODE online without a key": ({}, {"WANDB_MODE": "online"}, "WANDB_MODE must be .* got online"),
    "no such WANDB_MODE": ({}, {"WANDB_MODE": "sometimes"}, "sometimes.*try logger=csv"),
    "half a key": ({}, {"WANDB_API_KEY": "abc"}, "WANDB_API_KEY invalid.*try logger=csv"),
    "a project with a slash": ({"project": "a/b"}, {}, "Invalid project name 'a/b'.*try logger=csv"),
    "an endless tag": ({"tags": ["x" * 65]}, {}, "64 characters.*try logger=csv"),
}


@pytest.mark.parametrize(("changes", "environment", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_work_is_refused_in_one_line(changes, environment, message, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message) as caught:
        check_wandb(settings(**changes))
    assert "\n" not in str(caught.value)


def test_disabled_leaves_nothing(folder, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    train_once(folder)
    assert not list(folder.iterdir())


def test_a_killed_service_process_costs_one_warning(folder, caplog):
    before = family()
    run = start(folder)
    train(run)
    for process in family() - before:
        os.kill(process, SIGKILL)
    time.sleep(0.5)
    train(run, (40, 50, 60))
    finish(run)
    (warning,) = warnings(caplog)
    assert "`wandb sync" in warning


def test_a_folder_that_cannot_be_written_costs_one_warning(folder, caplog):
    (folder / "wandb").write_text("a file where wandb wants a folder")
    train_once(folder)
    (warning,) = warnings(caplog)
    assert "goes on without it" in warning


def test_a_service_process_that_ends_badly_does_not_end_ours(folder, monkeypatch):
    run = start(folder)
    with monkeypatch.context() as patch:
        patch.setattr(wandb, "teardown", lambda: sys.exit(2))  # what it does with the service's exit code
        finish(run)


def test_our_own_mistakes_are_not_taken_for_failures_of_wandb(folder):
    run = start(folder)
    with pytest.raises(KeyError):
        run.log({"budget_epoch": 1, "val/top1": 0.5})
    finish(run)


@pytest.mark.slow
def test_a_closed_port_costs_one_warning(folder, monkeypatch, caplog, capfd):
    monkeypatch.setenv("WANDB_BASE_URL", CLOSED_PORT)
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    train_once(folder, "online")
    assert len(warnings(caplog)) == 1
    assert capfd.readouterr().err.count("`wandb sync run/wandb/offline-run-*` sends it") == 1
    (file,) = files(folder)
    assert curve(file) == [(10, 0.1), (20, 0.2), (30, 0.3)]


def test_wandb_waits_for_its_server_no_longer_than_our_patience(folder, monkeypatch):
    opened = []
    real = wandb.init
    monkeypatch.setattr(wandb, "init", lambda **options: opened.append(real(**options)) or opened[-1])
    monkeypatch.delenv("WANDB_ERROR_REPORTING")
    finish(start(folder))
    (run,) = opened
    assert run.settings.init_timeout == run.settings.finish_timeout == wandb_run.PATIENCE_SECONDS
    assert run.settings.finish_timeout_raises
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"  # else they would wait for the server at exit


def test_an_offline_run_can_be_synced_later(folder, server, monkeypatch, capfd):
    monkeypatch.setattr(wandb_run, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setenv("WANDB_BASE_URL", CLOSED_PORT)
    train_once(folder)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    pattern = capfd.readouterr().err.partition("`wandb sync ")[2].partition("`")[0]
    sync(*Path().glob(pattern))
    assert server.iterations() == [5, 10, 15, 20, 25, 30]


def test_a_server_that_dies_costs_one_warning_and_no_row(folder, server, monkeypatch, caplog):
    monkeypatch.setattr(wandb_run, "PATIENCE_SECONDS", 2.0)
    run = start(folder)
    train(run, (10,))
    server.close()
    train(run, (20, 30))
    finish(run)
    assert len(warnings(caplog)) == 1
    again = Server()
    monkeypatch.setenv("WANDB_BASE_URL", again.url)
    sync(Path(warnings(caplog)[0].partition("--include-online ")[2].partition("`")[0]))
    assert again.iterations() == [5, 10, 15, 20, 25, 30]
    again.close()


@pytest.mark.slow
def test_a_server_that_never_answers_does_not_hold_up_the_exit(folder, monkeypatch):
    monkeypatch.delenv("WANDB_ERROR_REPORTING")
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    code = f"""if True:
        from pathlib import Path
        from tests.tracking import test_run as module
        module.wandb_run.PATIENCE_SECONDS = 1.0
        module.train_once(Path({str(folder)!r}))
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        root = Path(__file__).parents[2]
        monkeypatch.setenv("PYTHONPATH", f"{root}{os.pathsep}{root / 'tests'}")
        subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG_SECONDS)
    assert len(curve(files(folder)[0])) == 3


def test_importing_the_module_is_cheap():
    code = "import sys, datavol.tracking.run; print(*{'wandb', 'torch', 'lightning'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
