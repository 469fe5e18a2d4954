"""A CPU process keeps the memory that it frees."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from datavol.training.hardware.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(64 << 20, dtype=np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = [faults(), faults()][1]
keep_freed_memory()
print(first, [faults(), faults()][1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="nothing to set in another C library")
def test_freed_memory_is_used_again_without_page_faults():
    said = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True).stdout
    before, after = map(int, said.split())
    assert before > 10
    assert after < before / 10
