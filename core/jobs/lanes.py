"""Which job may start where: one lane per GPU, one for the CPU, and the order of those that wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from core.errors import BadInput

CPU = "cpu"
Where = Literal["first", "up", "down", "last"]
WHERE: tuple[Where, ...] = get_args(Where)


def wish(spec: Mapping[str, Any]) -> str:
    """The device a job asks for: auto, cpu, cuda, cuda:N or mps; one that names none takes the best."""
    return str(spec.get("device") or "auto")


def serving(asked: str, gpus: Sequence[str]) -> tuple[str, ...]:
    """The lanes that serve the wish, in the order they are tried.

    A wish for what this machine is not known to have goes to the CPU lane: there the library that opens
    the device refuses it with its own sentence, or finds one that nvidia-smi does not know.
    """
    if asked == CPU:
        return (CPU,)
    if asked == "auto":
        return tuple(gpus) or (CPU,)
    found = tuple(g for g in gpus if asked in (g, g.partition(":")[0]))
    return found or (CPU,)


def free(
    asked: str, gpus: Sequence[str], leased: Mapping[str, int], *, cpu_slots: int, gpu_slots: int
) -> str | None:
    """The first lane with room for the wish; None: it waits, while those behind it may take other lanes."""
    room = dict.fromkeys(gpus, gpu_slots) | {CPU: cpu_slots}
    return next((lane for lane in serving(asked, gpus) if leased.get(lane, 0) < room[lane]), None)


def reordered(ids: Sequence[str], job_id: str, where: str) -> list[str]:
    """The waiting jobs, `ids` in order, with one of them first, last, or a place up or down."""
    if where not in WHERE:
        raise BadInput(f"a job cannot be moved {where!r}; it can go {', '.join(WHERE)}")
    at, end = list(ids).index(job_id), len(ids) - 1
    to = {"first": 0, "up": max(at - 1, 0), "down": min(at + 1, end), "last": end}[where]
    rest = [i for i in ids if i != job_id]
    return [*rest[:to], job_id, *rest[to:]]
