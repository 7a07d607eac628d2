"""Where everything lies on disk: keys, manifests, atomic writes, locks.

Nothing here knows what a pool or a run is; it only keeps files whole, findable and never half written.
"""

from core.workspace.csv_text import csv_bytes
from core.workspace.files import (
    atomic_folder,
    content_key,
    finite,
    folder_hash,
    json_line,
    plain,
    read_as,
    read_json,
    safe_name,
    write_bytes,
    write_json,
    write_parquet,
)
from core.workspace.memo import Memo
from core.workspace.signals import Signal, SignalKey, SignalStore
from core.workspace.store import Workspace

__all__ = [
    "Memo",
    "Signal",
    "SignalKey",
    "SignalStore",
    "Workspace",
    "atomic_folder",
    "content_key",
    "csv_bytes",
    "finite",
    "folder_hash",
    "json_line",
    "plain",
    "read_as",
    "read_json",
    "safe_name",
    "write_bytes",
    "write_json",
    "write_parquet",
]
