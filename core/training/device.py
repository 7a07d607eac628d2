"""What training asks of the device: precision, time, memory, and words for when there is too little of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from core.errors import OutOfMemory
from core.training.schedule import TrainingParams
from core.workspace.signals import peak_bytes as resident_bytes

# torch raises a plain RuntimeError with these words where memory ends on CPUs, in cuBLAS and on Apple's GPUs
WORDS_OF_FULL = ("can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED", "out of memory")
GIB = 1 << 30


def precision(device: str, params: TrainingParams) -> AbstractContextManager[Any]:
    """Bfloat16 autocast on CUDA devices that have it, else nothing: on CPUs it brought no speed."""
    import torch

    if params.precision == "auto" and device.startswith("cuda") and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


class Meter:
    """Seconds and peak memory of a training, and of nothing that is done aside meanwhile."""

    def __init__(self, device: str) -> None:
        """Begins at once; what the process did before, such as sampling, is not in it."""
        self.device, self._began, self._peak = device, time.perf_counter(), 0
        _forget_peak(device)

    def go_on(self, seconds: float, peak: int) -> None:
        """Count in what an earlier process spent."""
        self._began -= seconds
        self._peak = max(self._peak, peak)

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._began

    @property
    def peak(self) -> int:
        """Bytes at most so far: on the CUDA device, else in this process (since its start)."""
        self._peak = max(self._peak, _peak_bytes(self.device))
        return self._peak

    @contextmanager
    def aside(self) -> Iterator[None]:
        """The clock stands still inside, and a peak inside is none of ours."""
        _, began = self.peak, time.perf_counter()
        yield
        self._began += time.perf_counter() - began
        _forget_peak(self.device)


@contextmanager
def enough_memory(what: str, *, device: str, lower: str, kept: bool) -> Iterator[None]:
    """Turn the many ways in which memory runs out into one OutOfMemory.

    `what` was asked for when it happened ("step 3 with 4 examples ..."), `lower` names the settings to lower;
    `kept` tells whether there is a checkpoint to go on from. Other errors pass.
    """
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _too_little(what, device, lower, kept) from error
    except RuntimeError as error:
        if not any(words in str(error) for words in WORDS_OF_FULL):
            raise
        raise _too_little(what, device, lower, kept) from error


def _too_little(what: str, device: str, lower: str, kept: bool) -> OutOfMemory:
    where = f"the memory of {device}" if device != "cpu" else "the machine's memory"
    after = (
        "Started again with the same settings where more memory is free, it goes on from its last "
        "checkpoint; with other settings it begins anew."
        if kept
        else "No checkpoint was asked for, so it begins anew."
    )
    return OutOfMemory(
        f"{what} did not fit into {where}{_room(device)}. Lower {lower}. Scope lora, or one that moves a "
        "block at a time, keeps gradients and optimiser state for fewer weights; a KL term keeps a second "
        f"copy of the model. {after}"
    )


def _room(device: str) -> str:
    """How much there is in all, and how much of it torch holds, where the device tells."""
    import torch

    if not device.startswith("cuda") or not torch.cuda.is_available():
        return ""
    total = torch.cuda.get_device_properties(device).total_memory
    return (
        f" ({total / GIB:.1f} GiB, of which {torch.cuda.memory_reserved(device) / GIB:.1f} are in use here)"
    )


def _forget_peak(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def _peak_bytes(device: str) -> int:
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    return resident_bytes()
