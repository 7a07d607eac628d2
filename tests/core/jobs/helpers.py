"""What the tests of running jobs share: waiting, and looking for processes."""

import time

import psutil

WAIT_S = 60


def processes_of(ws):
    """All living processes that name the workspace on their command line."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if any(str(ws.root) in word for word in words) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def until(condition, timeout=WAIT_S):
    """Wait for the condition and return its value; the test fails when it never comes true."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


def started(jobs, kind):
    """Submit and wait until the worker is at work."""
    job_id = jobs.submit(kind, {}, kind)
    until(lambda: jobs.get(job_id).state == "running")
    return job_id
