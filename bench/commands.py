"""Runs the project's own command line, as a user would, and shows each command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from core.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]


def winnow(ws: Workspace, *words: str) -> None:
    """One command of the project; its output goes where ours goes, its failure is ours."""
    print("$ python -m core " + " ".join(words), flush=True)
    command = [sys.executable, "-m", "core", *words, "--workspace", str(ws.root)]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code != 0:
        raise SystemExit(code)  # the command has said why
