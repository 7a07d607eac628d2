"""Writes a selection's rows, in plain text with their reasons, for other tools to read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from core.errors import BadInput
from core.pool import load_pool
from core.values import Selection
from core.workspace import Workspace, plain, write_bytes, write_parquet

EXPORTS = (".jsonl", ".csv", ".parquet")


def check_export(path: Path) -> None:
    """BadInput unless the name says a format that `export_selection` writes."""
    if path.suffix.lower() not in EXPORTS:
        raise BadInput(f"{path.name}: cannot tell the format; end the name with {', '.join(EXPORTS)}")


def export_selection(ws: Workspace, chosen: Selection, path: Path) -> None:
    """Write the chosen rows in plain text, in their order with their reasons, as one of EXPORTS."""
    check_export(path)
    pool = load_pool(ws, chosen.recipe.pool)
    place = {row_id: i for i, row_id in enumerate(pool.ids)}
    frame = pool.frame.iloc[[place[row_id] for row_id in chosen.ids]].reset_index(drop=True)
    frame.insert(0, "rank", np.arange(1, len(frame) + 1))
    frame["reason"] = [json.dumps(plain(reason), ensure_ascii=False) for reason in chosen.reasons]
    kind = path.suffix.lower()
    if kind == ".parquet":
        write_parquet(path, frame)
    elif kind == ".jsonl":
        write_bytes(path, frame.to_json(orient="records", lines=True, force_ascii=False).encode())
    else:
        flat = frame.assign(category=["|".join(row) for row in frame["category"]])
        write_bytes(path, flat.to_csv(index=False).encode())
