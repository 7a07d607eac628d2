"""Which accelerators this machine has, found out without torch: a supervisor must stay small."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping

LINE = re.compile(r"^(\s*)(?:GPU|MIG)\b.*\(UUID: ([^)]+)\)", re.MULTILINE)
PATIENCE_S = 20.0  # a driver that wakes up takes seconds


def accelerators(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Name (cuda:0, cuda:1 ... or mps) -> what CUDA_VISIBLE_DEVICES must say for a worker to see only that.

    A list that stands in CUDA_VISIBLE_DEVICES already is obeyed: someone shares this machine with others.
    """
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return {"mps": ""}
    ids = uuids(_listed())
    asked = environment.get("CUDA_VISIBLE_DEVICES")
    if ids and asked is not None:
        ids = [word.strip() for word in asked.split(",") if word.strip() not in ("", "-1", "NoDevFiles")]
    return {f"cuda:{number}": uuid for number, uuid in enumerate(ids)}


def uuids(text: str) -> list[str]:
    """The devices in what `nvidia-smi -L` says; the parts of a divided GPU (MIG) stand in its place."""
    found: list[tuple[str, list[str]]] = []
    for inset, uuid in LINE.findall(text):
        if inset and found:
            found[-1][1].append(uuid)
        else:
            found.append((uuid, []))
    return [part for whole, parts in found for part in (parts or [whole])]


def worker_environment(lane: str, asked: str, gpus: Mapping[str, str]) -> dict[str, str]:
    """What a worker is told of its lane: it sees the GPU it was given, or none when it asked for the CPU."""
    told = {"WINNOW_DEVICE": lane}
    if lane.startswith("cuda") and lane in gpus:
        told["CUDA_VISIBLE_DEVICES"] = gpus[lane]
    elif asked == "cpu":
        told["CUDA_VISIBLE_DEVICES"] = ""
    return told


def as_seen(asked: str, environment: Mapping[str, str] = os.environ) -> str:
    """The wish in a worker's own numbers: of the GPUs it sees only its own, so cuda:3 is cuda there."""
    leased = environment.get("WINNOW_DEVICE", "")
    return "cuda" if leased.startswith("cuda") and asked == leased else asked


def _listed() -> str:
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
