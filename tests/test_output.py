"""Every command ends quietly, or in one line, when its output takes nothing more."""

import subprocess
import sys

import pytest

CUT = {"subset": ["fraction=0.9", "plan.images=50000"], "run": ["--help"]}
FULL = "datavol: the output must be writable, got No space left on device; make room or write it elsewhere\n"


@pytest.mark.parametrize("entry", CUT)
def test_a_full_disk_is_one_line(entry, elsewhere):
    with open("/dev/full", "w") as full:
        line = [sys.executable, "-m", f"datavol.{entry}", *CUT[entry]]
        answer = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, cwd=elsewhere)
    assert (answer.returncode, answer.stderr) == (1, FULL)


@pytest.mark.parametrize("entry", CUT)
def test_a_reader_that_has_had_enough_ends_the_command_quietly(entry, elsewhere):
    line = [sys.executable, "-m", f"datavol.{entry}", *CUT[entry]]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=elsewhere) as process:
        process.stdout.close()  # before the first line, as no `head` could be sooner
        assert process.stderr.read() == ""
    assert process.returncode == 141
