"""Long work in processes of its own: it survives closed pages and restarted apps, and can be stopped.

A page or command submits; one supervisor per workspace starts workers; everybody reads their files.
"""

from core.jobs.files import Progress, read_metrics, read_progress, tail_log
from core.jobs.start import ensure_supervisor, stop_supervisor, supervisor_pid
from core.jobs.table import ACTIVE, ENDED, STATES, Job, Jobs

__all__ = [
    "ACTIVE",
    "ENDED",
    "STATES",
    "Job",
    "Jobs",
    "Progress",
    "ensure_supervisor",
    "read_metrics",
    "read_progress",
    "stop_supervisor",
    "supervisor_pid",
    "tail_log",
]
