"""From raw cells to a pool: every row is checked, normalised and grouped, or listed with a reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.errors import BadInput
from core.pool.behaviour import behaviour_counts, settle
from core.pool.mapping import TEXTS, Mapping, check_mapping
from core.pool.read import BadRow, RawTable
from core.pool.rules import flag_columns, words
from core.pool.splits import assign_splits, check_fractions, text_group
from core.values import FLAGS, SPLITS, Pool
from core.workspace import content_key, safe_name

LONGEST = 200_000  # characters per text; longer ones are no examples but whole files
DERIVED = ("behaviour", "blocked", "split")
NORMALISED = ("id", *TEXTS, "category", *FLAGS, "group", "source")
SHOWN = 3  # bad rows named in a message
NAMED = 30  # unused columns named in a note
FRACTIONS = (0.8, 0.1, 0.1)


@dataclass(frozen=True)
class Built:
    """A new pool, the rows that are not in it, and what happened on the way."""

    pool: Pool
    bad: tuple[BadRow, ...]
    counts: dict[str, int]
    notes: tuple[str, ...]
    split_seed: int = 0
    fractions: tuple[float, ...] = FRACTIONS


def build_pool(
    raw: RawTable,
    mapping: Mapping,
    *,
    name: str,
    split_seed: int = 0,
    fractions: Sequence[float] = FRACTIONS,
    collapse_duplicates: bool = False,
) -> Built:
    """Check and normalise every row, derive flags and groups, split by group.

    BadInput for a mapping that does not fit, and when no row at all can be used.
    """
    safe_name(name, "pool name")
    check_fractions(fractions)
    if raw.frame.empty:
        raise BadInput(_no_rows(raw, raw.bad))
    check_mapping(raw, mapping)
    keep, ids, bad = _sift(raw, mapping)
    bad = sorted([*raw.bad, *bad], key=lambda row: row.line)
    if not keep:
        raise BadInput(_no_rows(raw, bad))
    flags, notes = flag_columns(raw, mapping.columns, mapping.rules)
    frame = _normalise(raw, mapping, keep, ids).assign(
        **{flag: pd.Series(values[keep], dtype="str") for flag, values in flags.items()}
    )
    frame, moves = settle(frame)
    frame, duplicates = _duplicates(frame, collapse_duplicates)
    frame["split"] = pd.Series(assign_splits(list(frame["group"]), split_seed, fractions), dtype="str")
    frame = frame[[*NORMALISED, *DERIVED]]
    fingerprint = _fingerprint(frame)
    split_hash = content_key([fingerprint, split_seed, [float(f) for f in fractions]])
    counts = {"rows_read": len(raw.frame) + len(raw.bad), "bad": len(bad), "duplicates": duplicates}
    counts |= {"collapsed": duplicates if collapse_duplicates else 0} | moves | _counts(frame)
    notes += _notes(raw, mapping, counts, collapse_duplicates)
    pool = Pool(name, frame, fingerprint, split_hash)
    return Built(pool, tuple(bad), counts, tuple(notes), split_seed, tuple(fractions))


def _no_rows(raw: RawTable, bad: Sequence[BadRow]) -> str:
    if not bad:
        return f"{raw.origin} holds no rows; a pool needs one at least"
    named = "; ".join(f"line {row.line}: {row.reason}" for row in bad[:SHOWN])
    return f"{raw.origin} has no usable row: all {len(bad):,} are bad ({named}). Check the column mapping"


def _sift(raw: RawTable, mapping: Mapping) -> tuple[list[int], list[str], list[BadRow]]:
    """Row numbers that can be used, their ids, and the bad rows."""
    nothing: list[Any] = [""] * len(raw.frame)  # an unmapped side is empty, and an empty prompt is legal
    sides = [raw.cells(mapping.columns[s]) if s in mapping.columns else nothing for s in TEXTS]
    given = raw.cells(mapping.columns["id"]) if "id" in mapping.columns else [None] * len(raw.frame)
    keep: list[int] = []
    first: dict[str, int] = {}  # id -> its line
    bad: list[BadRow] = []
    for i, (cell, *texts) in enumerate(zip(given, *sides, strict=True)):
        line = int(raw.lines[i])
        row_id = _row_id(cell, raw.origin, line)
        reason = _fault(texts)
        if reason is None and not _is_text(row_id):
            reason, row_id = "the id is not UTF-8 text", ""
        if reason is None and row_id in first:
            reason = f"duplicate id, first used in line {first[row_id]}"
        if reason is None:
            first[row_id] = line
            keep.append(i)
        else:
            bad.append(BadRow(line=line, id=row_id if _is_text(row_id) else "", reason=reason))
    return keep, list(first), bad


def _row_id(cell: Any, origin: str, line: int) -> str:
    """The source's id, or one made of source and line where it has none: the same for the same file."""
    found = words(cell)[:1]
    return found[0].strip() if found and found[0].strip() else f"{origin}:{line}"


def _is_text(text: str) -> bool:
    """Whether the text can be written as UTF-8 (bytes that were none came in as lone surrogates)."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _null(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell)


def _fault(texts: Sequence[Any]) -> str | None:
    """Why a row's three texts cannot be used, or None."""
    if _null(texts[0]):
        return "the prompt is null (an empty text is legal, a missing one is not)"
    for side, cell in zip(TEXTS, texts, strict=True):
        if _null(cell):
            continue
        if not isinstance(cell, str):
            return f"the {side} is not text but {type(cell).__name__}"
        if len(cell) > LONGEST:
            return f"the {side} has {len(cell):,} characters; {LONGEST:,} are allowed"
        if not _is_text(cell):
            return f"the {side} is not UTF-8 text; save the file as UTF-8"
    if not any(not _null(cell) and cell.strip() for cell in texts):
        return "no text on any side (prompt, response and rejected are all empty)"
    return None


def _clean(text: Any) -> str:
    """Any cell's text that parquet can hold; labels with broken bytes keep the rest of their letters."""
    return str(text).encode("utf-8", errors="replace").decode()


def _categories(cell: Any, bars: bool) -> list[str]:
    """Category names of one cell, once each: a list, a map of booleans, or text (csv: split at "|")."""
    if isinstance(cell, str):
        names: Sequence[str] = cell.split("|") if bars else [cell]
    else:
        names = words(cell)
    return list(dict.fromkeys(_clean(n).strip() for n in names if n.strip()))


def _normalise(raw: RawTable, mapping: Mapping, keep: Sequence[int], ids: Sequence[str]) -> pd.DataFrame:
    """The kept rows' id, texts, category, group and source; whitespace alone is no response."""

    def column(field: str) -> list[Any]:
        cells = raw.cells(mapping.columns[field]) if field in mapping.columns else None
        return [None] * len(keep) if cells is None else [cells[i] for i in keep]

    prompt = ["" if _null(cell) else cell for cell in column("prompt")]
    response, rejected = (
        [cell if not _null(cell) and cell.strip() else "" for cell in column(side)] for side in TEXTS[1:]
    )
    groups = [
        _clean(found[0]) if (found := words(cell)) and found[0] else text_group(p, a or b)
        for cell, p, a, b in zip(column("group"), prompt, response, rejected, strict=True)
    ]
    sources = [_clean(found[0]) if (found := words(cell)) else raw.origin for cell in column("source")]
    texts = {
        "id": ids,
        "prompt": prompt,
        "response": response,
        "rejected": rejected,
        "group": groups,
        "source": sources,
    }
    frame = pd.DataFrame({name: pd.Series(cells, dtype="str") for name, cells in texts.items()})
    return frame.assign(
        category=pd.Series([_categories(cell, raw.bars) for cell in column("category")], dtype=object)
    )


def _duplicates(frame: pd.DataFrame, collapse: bool) -> tuple[pd.DataFrame, int]:
    """How many rows repeat an earlier row's three texts exactly, and the frame without them if wished."""
    again = frame.duplicated(subset=list(TEXTS)).to_numpy()
    kept = frame.loc[~again].reset_index(drop=True) if collapse else frame
    return kept, int(again.sum())


def _fingerprint(frame: pd.DataFrame) -> str:
    digest = hashlib.sha256()
    for row in zip(*(frame[name] for name in NORMALISED), strict=True):
        digest.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def _counts(frame: pd.DataFrame) -> dict[str, int]:
    response, rejected = (frame["response"] != "").to_numpy(), (frame["rejected"] != "").to_numpy()
    counts = {
        "rows": len(frame),
        "empty_prompt": int((frame["prompt"] == "").sum()),
        "with_response": int(response.sum()),
        "with_rejected": int(rejected.sum()),
        "pairs": int((response & rejected).sum()),
        "blocked": int(frame["blocked"].sum()),
        "categories": len({name for row in frame["category"] for name in row}),
        "with_category": int(np.count_nonzero([len(row) for row in frame["category"]])),
        "groups": int(frame["group"].nunique()),
    }
    return counts | behaviour_counts(frame) | {s: int((frame["split"] == s).sum()) for s in SPLITS}


def _notes(raw: RawTable, mapping: Mapping, counts: dict[str, int], collapsed: bool) -> list[str]:
    """Sentences on what the reader would otherwise have to find out."""
    unused = [str(c) for c in raw.frame.columns if c not in mapping.columns.values()]
    unused = [c for c in unused if not any(f"@{c}:" in rule for rule in mapping.rules)]
    moved, two_sided, repeats = counts["moved_to_rejected"], counts["marked_two_sided"], counts["duplicates"]
    notes = []
    if unused:
        more = f" and {len(unused) - NAMED:,} more" if len(unused) > NAMED else ""
        notes.append(f"Columns not used: {', '.join(unused[:NAMED])}{more}.")
    if moved:
        notes.append(
            f"{moved:,} responses are marked as bad and were moved to `rejected`; their rows are blocked."
        )
    if two_sided:
        notes.append(
            f"{two_sided:,} rows with both sides are marked harmful: the mark is read as naming `rejected`. "
            "If it names the response, leave `rejected` unmapped."
        )
    if repeats:
        done = "were left out" if collapsed else "are kept; they can be collapsed"
        notes.append(f"{repeats:,} rows repeat an earlier row's texts exactly and {done}.")
    if counts["groups"] == 1:
        notes.append("All rows share one group: they are all in one split, and nothing is held out.")
    return notes
