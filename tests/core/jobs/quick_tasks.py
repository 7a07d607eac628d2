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


def where(ws, spec, folder, reporter):
    """Tells which device it was given."""
    sees = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"device": spec["device"], "lane": os.environ["WINNOW_DEVICE"], "sees": sees}


def listens(ws, spec, folder, reporter):
    """Writes down what it is asked, until it is stopped."""
    heard = []
    for _ in range(END_S * 20):
        for what in ("evaluate", "save"):
            if reporter.asked(what):
                heard.append(what)
                (folder / f"heard-{what}").touch()
        if reporter.stopping():
            break
        time.sleep(0.05)
    return {"heard": heard}


EACH = (add, refuse, crash, leave, patient, keeps_the_best, stubborn, where, listens)
TASKS = {task.__name__: task for task in EACH}
