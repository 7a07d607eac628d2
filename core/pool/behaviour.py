"""What follows from the three flags: behaviour type, which text is bad, and which rows are blocked.

Behaviour-and-prism 2.2 gives the types and the case table: (yes, yes) is T1, (yes, no) T2, (no, no) T3,
(no, yes) T4; what a classifier could not say is `unparsed`, never silently T3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import BadInput
from core.values import BEHAVIOURS, FLAG_VALUES, FLAGS, Pool

TYPE_OF = {("yes", "yes"): "T1", ("yes", "no"): "T2", ("no", "no"): "T3", ("no", "yes"): "T4"}


def behaviours(harmful_request: NDArray[Any], refusal: NDArray[Any]) -> NDArray[Any]:
    """(n,) of T1..T4, "unparsed" where either flag is, else "not_run" where either flag is."""
    result = np.full(len(harmful_request), "not_run", dtype=object)
    for (request, refused), name in TYPE_OF.items():
        result[(harmful_request == request) & (refusal == refused)] = name
    result[(harmful_request == "unparsed") | (refusal == "unparsed")] = "unparsed"
    return result


def settle(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Move bad responses to `rejected`, derive `behaviour` and `blocked`; and how many rows were moved.

    A row with both sides says itself which text is the bad one: a mark on it is read as naming `rejected`,
    and the row keeps its good response. The same text on both sides is bad on both.
    """
    flags = {flag: frame[flag].to_numpy(dtype=object) for flag in FLAGS}
    response, rejected = (frame[side].to_numpy(dtype=object) for side in ("response", "rejected"))
    marked = flags["harmful_response"] == "yes"
    two_sided = marked & (response != "") & (rejected != "") & (response != rejected)
    moved = marked & (response != "") & ~two_sided
    rejected, response = np.where(moved, response, rejected), np.where(moved, "", response)
    unparsed = np.any([flags[flag] == "unparsed" for flag in FLAGS], axis=0)
    settled = frame.assign(
        response=pd.Series(response, index=frame.index, dtype="str"),
        rejected=pd.Series(rejected, index=frame.index, dtype="str"),
        behaviour=pd.Series(
            behaviours(flags["harmful_request"], flags["refusal"]), index=frame.index, dtype="str"
        ),
        blocked=(marked & (response == "")) | unparsed,
    )
    return settled, {"moved_to_rejected": int(moved.sum()), "marked_two_sided": int(two_sided.sum())}


def add_flags(pool: Pool, flags: Mapping[str, NDArray[Any]], *, replace_known: bool = False) -> Pool:
    """The pool with flags filled in where they were `not_run` (everywhere with `replace_known`).

    Each array is (n,) of FLAG_VALUES. The fingerprint and the split stay those of the stored pool: labels are
    a signal with a key of their own, and texts keep their vectors and scores.
    """
    frame = pool.frame
    for flag, values in flags.items():
        if flag not in FLAGS:
            raise BadInput(f"{flag!r} is no flag; the flags are {', '.join(FLAGS)}")
        values = np.asarray(values, dtype=object)
        if values.shape != (len(pool),) or not set(values) <= set(FLAG_VALUES):
            raise BadInput(
                f"flag {flag!r} needs one of {', '.join(FLAG_VALUES)} for each of the {len(pool):,} rows"
            )
        open_rows = (frame[flag] == "not_run").to_numpy(dtype=bool) | replace_known
        filled = np.where(open_rows, values, frame[flag].to_numpy(dtype=object))
        frame = frame.assign(**{flag: pd.Series(filled, index=frame.index, dtype="str")})
    return replace(pool, frame=settle(frame)[0])


def behaviour_counts(frame: pd.DataFrame) -> dict[str, int]:
    """Rows per behaviour, all kinds named."""
    return {name: int((frame["behaviour"] == name).sum()) for name in (*BEHAVIOURS, "unparsed", "not_run")}
