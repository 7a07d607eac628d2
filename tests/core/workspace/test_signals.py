"""Peak memory is a process's own."""

import subprocess
import sys

import numpy as np

from core.workspace.signals import peak_bytes


def test_a_process_does_not_inherit_the_peak_of_the_one_that_started_it():
    held = np.ones(50_000_000)  # 400 MB
    script = "from core.workspace.signals import peak_bytes; print(peak_bytes())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 10 << 20 < int(done.stdout) < held.nbytes < peak_bytes()
