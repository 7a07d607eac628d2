"""Writes a selection's rows, in plain text with their reasons, for other tools to read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import BadInput, StorageError
from core.pool import load_pool
from core.values import Selection
from core.workspace import Workspace, atomic_folder, csv_bytes, plain, write_bytes, write_parquet
from core.workspace.files import possible

EXPORTS = (".jsonl", ".csv", ".parquet")
LISTS, FLAGS_OF_ROWS, NUMBERS = ("category",), ("blocked",), ("rank",)  # all other columns are text
MARK = "dataset_info.json"  # of a folder that holds a Hugging Face data set


def check_export(path: Path) -> None:
    """BadInput unless the name says a format that `export_selection` writes, StorageError if it is taken.

    One of EXPORTS, or no ending: a Hugging Face data set folder, which may replace only its like.
    """
    kind = path.suffix.lower()
    if kind and kind not in EXPORTS:
        raise BadInput(
            f"{path.name}: cannot tell the format; end the name with {', '.join(EXPORTS)}, or give a name "
            "without an ending for a Hugging Face data set folder"
        )
    taken = not kind and os.path.lexists(path) and not os.path.isfile(path / MARK)
    if taken and not (os.path.isdir(path) and not os.listdir(path)):
        raise StorageError(
            f"{path} is there already and is no Hugging Face data set folder; give another name, or end it "
            f"with {', '.join(EXPORTS)}. Nothing was changed"
        )


def export_selection(ws: Workspace, chosen: Selection, path: Path) -> None:
    """Write the chosen rows in plain text, in their order with their reasons, whole or not at all."""
    check_export(path)
    frame = _table(ws, chosen)
    kind = path.suffix.lower()
    if kind == ".parquet":
        write_parquet(path, frame)
    elif kind == ".jsonl":
        write_bytes(path, frame.to_json(orient="records", lines=True, force_ascii=False).encode())
    elif kind == ".csv":
        write_bytes(path, csv_bytes(frame.assign(category=["|".join(row) for row in frame["category"]])))
    else:
        _write_dataset(path, frame)


def _table(ws: Workspace, chosen: Selection) -> pd.DataFrame:
    """The chosen rows of the pool, with `rank` from 1 and `reason` as json."""
    pool = load_pool(ws, chosen.recipe.pool)
    place = {row_id: i for i, row_id in enumerate(pool.ids)}
    if pool.fingerprint != chosen.pool_fingerprint or not place.keys() >= set(chosen.ids):
        raise BadInput(
            f"pool {pool.name!r} has changed since the selection {chosen.key} was made; select again"
        )
    frame = pool.frame.iloc[[place[row_id] for row_id in chosen.ids]].reset_index(drop=True)
    frame.insert(0, "rank", np.arange(1, len(frame) + 1))
    frame["reason"] = pd.Series(
        [json.dumps(plain(reason), ensure_ascii=False) for reason in chosen.reasons], dtype="str"
    )
    return frame


def _write_dataset(path: Path, frame: pd.DataFrame) -> None:
    """A folder that `datasets.load_from_disk` reads; types are named, so an empty selection has them too."""
    import datasets

    text, lists = datasets.Value("string"), datasets.List(datasets.Value("string"))
    kinds = dict.fromkeys(frame.columns, text) | dict.fromkeys(LISTS, lists)
    kinds |= {column: datasets.Value("bool") for column in FLAGS_OF_ROWS}
    kinds |= {column: datasets.Value("int64") for column in NUMBERS}
    table = datasets.Dataset.from_dict(
        {column: frame[column].tolist() for column in frame.columns}, features=datasets.Features(kinds)
    )
    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bar()  # a terminal shows ours alone
    try:
        with possible(path), atomic_folder(path) as part:
            table.save_to_disk(part, num_shards=None if len(table) else 1)  # with none it cannot be read back
    finally:
        if bars:
            datasets.enable_progress_bar()
