from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_a_hundredth_of_ten_thousand_runs_loads_in_a_fraction_of_a_second():
    command = [sys.executable, "-m", "benchmarks.load_study", "--runs", "100", "--epochs", "300"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
    (seconds,) = re.findall(r"100 runs x 300 budget epochs: ([\d.]+) s", answer.stdout)
    assert float(seconds) < 1.0  # a hundredth of 20 s, and as much again five times over for a busy machine
