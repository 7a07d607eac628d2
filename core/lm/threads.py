"""How many CPU threads torch may use: small models are faster on one."""

from __future__ import annotations

import os

SMALL = 20_000_000  # weights; below this a second thread costs more than it brings (design section 4)


def use_threads(weights: int) -> int:
    """Set torch's thread count for a model of so many weights, and return it; WINNOW_THREADS overrides."""
    import torch

    wanted = os.environ.get("WINNOW_THREADS", "")
    count = (
        int(wanted) if wanted.isdigit() and int(wanted) > 0 else 1 if weights < SMALL else os.cpu_count() or 1
    )
    torch.set_num_threads(count)
    return count
