"""Sweeps on a real SLURM: one node on loopback, started and ended here. `make test-slurm` runs them."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from factories.small_runs import SMALL

from datavol.runs.folder import WITHIN, RunFolder, runs_of

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
MISSING = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
INSTALL = "apt-get install -y --no-install-recommends slurm-wlm munge"

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}: {INSTALL}")]

CONFIGURATION = """
ClusterName=datavol
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={port}
SlurmdPort={daemon_port}
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket,cred_expire=5
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=2
KillWait=15
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

SWEEP = ["-m", "hydra/launcher=submitit_slurm", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp"]
SWEEP += ["trainer.threads=1", "logger=csv", *SMALL]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster of this machine alone; its programs are ended by their own process ids."""
    place = tmp_path_factory.mktemp("slurm")
    place.chmod(0o755)
    for name in ("state", "spool", "munge"):
        (place / name).mkdir()
    key = place / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    conf = place / "slurm.conf"
    facts = {"host": socket.gethostname().partition(".")[0], "user": pwd.getpwuid(os.getuid()).pw_name}
    facts |= {"port": free_port(), "daemon_port": free_port(), "place": place, "cores": os.cpu_count() or 1}
    conf.write_text(CONFIGURATION.format(**facts))
    before = {name: os.environ.get(name) for name in ("SLURM_CONF", "PATH")}
    os.environ |= {"SLURM_CONF": str(conf), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    munge = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={place}/munge.socket"]
    munge += [f"--pid-file={place}/munge.pid", f"--log-file={place}/munge.log", f"--seed-file={place}/munge.seed"]
    commands = [munge, ["slurmctld", "-D", "-i"], ["slurmd", "-D", "-N", str(facts["host"])]]
    started = []
    try:
        for command in commands:
            log = (place / f"{command[0]}.out").open("w")
            started.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
            time.sleep(1)
        until(lambda: "idle" in said("sinfo", "--noheader", "--format=%T"), 300)
        yield
    finally:
        subprocess.run(["scancel", "--me"], capture_output=True)
        for process in reversed(started):
            process.terminate()
            process.wait(120)
        for name, value in before.items():
            os.environ.pop(name)
            os.environ |= {} if value is None else {name: value}


def said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout + done.stderr


def until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, said("squeue") + said("sinfo")
        time.sleep(0.1)


def start(*more: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "datavol.run", *SWEEP, *more]
    return subprocess.Popen(line, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(*more: str) -> str:
    process = start(*more)
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, out + err
    return out


def reached(study: Path, epoch: int) -> bool:
    return any(run.record.get("last", {}).get("budget_epoch", 0) >= epoch for run in runs_of(study))


def queued() -> list[str]:
    return said("squeue", "--noheader", "--array", "--format=%i").split()


def test_a_sweep_of_two_rank_jobs_and_the_same_again(slurm, elsewhere):
    finish("study=once", "fraction=0.1,0.25", "epochs=2")
    runs = runs_of(elsewhere / "studies/once")
    facts = [(run.state, run.record["world_size"], len(run.record["sessions"]), len(run.rows)) for run in runs]
    assert facts == [("finished", 2, 1, 2)] * 2
    assert sorted(path.name for path in (elsewhere / "studies").iterdir()) == [".submitit", "once"]
    logs = sorted((elsewhere / "studies/.submitit").glob("**/*"))

    again = finish("study=once", "fraction=0.1,0.25", "epochs=2")
    assert again.count("is finished already") == 2
    assert sorted((elsewhere / "studies/.submitit").glob("**/*")) == logs  # nothing was submitted
    assert not queued()


def test_a_cancelled_job_is_not_queued_again_and_resumes(slurm, elsewhere):
    study = elsewhere / "studies/cancelled"
    process = start("study=cancelled", "fraction=0.25", "epochs=12")
    until(lambda: reached(study, 2), 300)
    (job_id,) = queued()
    assert said("scancel", job_id) == ""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, out + err
    (run,) = runs_of(study)
    assert run.record["reason"] == "ended by SIGTERM; the same command goes on"
    assert not queued()
    done = len(run.rows)
    assert 2 <= done < 12

    finish("study=cancelled", "fraction=0.25", "epochs=12")
    sessions = RunFolder(run.path).record["sessions"]
    assert [session["budget_epoch"] for session in sessions] == [0, done]
    assert [row["budget_epoch"] for row in run.rows] == list(range(1, 13))


def test_ctrl_c_cancels_the_jobs(slurm, elsewhere):
    study = elsewhere / "studies/stopped"
    process = start("study=stopped", "fraction=0.25,0.5", "epochs=12")
    until(lambda: reached(study, 1), 300)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert err.rstrip().endswith("SIGINT: the sweep has ended; the same command goes on")
    assert not queued()


def test_a_warned_run_is_saved_queued_again_and_ends_as_if_it_had_not_been(slurm, elsewhere):
    """USR2 as SLURM sends it ahead of a time limit: the metrics are those of an undisturbed run, to the last bit."""
    numbers = ["fraction=0.25", "epochs=6", "check_every=4"]
    finish("study=undisturbed", *numbers)
    study = elsewhere / "studies/warned"
    process = start("study=warned", *numbers)
    until(lambda: reached(study, 2), 300)
    (job_id,) = queued()
    (run,) = runs_of(study)
    assert said("scancel", "--signal=USR2", job_id) == ""
    until(lambda: "queued again" in (run.record["reason"] or ""), 300)
    assert run.checkpoint(WITHIN).exists() or run.checkpoint("last").exists()
    out, err = process.communicate(timeout=300)  # the sweep is still waiting for it
    assert process.returncode == 0, out + err

    assert run.state == "finished"
    assert len(run.record["sessions"]) == 2
    (undisturbed,) = runs_of(elsewhere / "studies/undisturbed")
    timeless = [
        [{key: value for key, value in row.items() if "second" not in key} for row in one.rows]
        for one in (run, undisturbed)
    ]
    assert timeless[0] == timeless[1]


def test_a_rank_that_fails_ends_its_job_and_no_other(slurm, elsewhere, photos):
    (photos / "train/dog/03.png").write_bytes(b"not an image")
    own = ["data=image_folder", f"data.root={photos}", "recipe.batch_size=8", "epochs=2"]
    own += ["data.image_size=32", "data.resize=32", "recipe.optimiser.lr=1e-3"]
    process = start("study=broken", *own, "data.on_damaged=stop,replace")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert err.count("03.png") == 1
    assert not queued()
    runs = runs_of(elsewhere / "studies/broken")
    assert sorted(str(run.state) for run in runs) == ["failed", "finished"]
