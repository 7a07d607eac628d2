"""A tiny task table for real workers; every task ends by itself within a minute, whatever a test forgets."""

import math
import os
import signal
import subprocess
import sys
import time

from core.errors import BadInput

END_S = 40


def add(ws, spec, folder, reporter):
    """Count to the sum, with progress and measurements."""
    total = spec["a"] + spec["b"]
    for done in range(total + 1):
        reporter.progress(done, total, "adding")
        reporter.record({"step": done, "loss": math.nan if done == 0 else 1.0 / done})
    sys.stdout.write(f"the sum is {total}\n")
    return {"sum": total, "policy": os.environ["OMP_WAIT_POLICY"]}


def refuse(ws, spec, folder, reporter):
    """A user's mistake."""
    raise BadInput("this pool has no column `rejected`; map one")


def crash(ws, spec, folder, reporter):
    """Our own bug."""
    return {}["nothing"]


def leave(ws, spec, folder, reporter):
    """A library that ends the process without a word."""
    os._exit(3)


def patient(ws, spec, folder, reporter):
    """Works on until it is asked to stop, or the file `go` appears."""
    for step in range(END_S * 20):
        reporter.progress(step, END_S * 20, "waiting")
        if (folder / "go").exists():
            return {"went": True}
        time.sleep(0.05)
    return {}


def keeps_the_best(ws, spec, folder, reporter):
    """Ends cleanly when asked, with a result."""
    while not reporter.stopping():
        time.sleep(0.05)
    return {"kept": "best"}


def stubborn(ws, spec, folder, reporter):
    """Hears nothing, and has a child that hears nothing either."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep({END_S})"
    subprocess.Popen([sys.executable, "-c", code, str(folder)])
    (folder / "deaf").touch()
    time.sleep(END_S)


TASKS = {task.__name__: task for task in (add, refuse, crash, leave, patient, keeps_the_best, stubborn)}
