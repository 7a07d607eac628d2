"""Every format holds the same rows in plain text; only csv changes a cell, where it would run."""

import json

import pandas as pd
import pytest

from core import pipeline
from core.errors import BadInput, StorageError
from core.pool import Mapping, build_pool, read_table, save_pool
from core.values import Budget, Recipe

NAMES = ("rows.jsonl", "rows.csv", "rows.parquet", "rows")
EVIL = "=HYPERLINK(1)"
TEXTS = ("id", "prompt", "response", "rejected", "group", "source")
MAPPING = Mapping(columns={name: name for name in (*TEXTS, "category")})


def read(path):
    if path.suffix == ".jsonl":
        return pd.read_json(path, lines=True, dtype=False)
    if path.suffix == ".csv":
        frame = pd.read_csv(path, keep_default_na=False)
        return frame.assign(category=[cell.split("|") if cell else [] for cell in frame["category"]])
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    import datasets

    return datasets.load_from_disk(str(path)).to_pandas()


@pytest.fixture
def hostile(own, tmp_path):
    """A pool whose every text column begins like a formula, and a selection of all its rows."""
    rows = [{name: f"{EVIL}{name}{i}" for name in TEXTS} | {"category": [EVIL, "b"]} for i in range(12)]
    source = tmp_path / "hostile.jsonl"
    source.write_text("\n".join(json.dumps(row) for row in rows))
    built = build_pool(read_table(source), MAPPING, name="hostile", fractions=(1.0, 0.0, 0.0))
    save_pool(own, built, MAPPING, "hostile")
    asked = Recipe(pool="hostile", strategy="uniform", budget=Budget(percent=100.0), pins=(f"{EVIL}id3",))
    return pipeline.choose(own, asked)


def test_all_formats_hold_the_same_rows_with_rank_and_reasons(own, tmp_path):
    asked = Recipe(pool="small", strategy="uniform", budget=Budget(rows=9), method="sft", pins=("r8",))
    chosen = pipeline.choose(own, asked)
    pool = pipeline.pool(own, "small").frame.set_index("id")
    for name in NAMES:
        pipeline.export_selection(own, chosen, tmp_path / name)
        frame = read(tmp_path / name)
        assert list(frame["id"]) == list(chosen.ids)
        assert list(frame["rank"]) == list(range(1, 10))
        assert [json.loads(text)["role"] for text in frame["reason"]] == [r.role for r in chosen.reasons]
        assert list(frame["prompt"]) == list(pool.loc[list(chosen.ids), "prompt"])
        assert [list(c) for c in frame["category"]] == list(pool.loc[list(chosen.ids), "category"])
        assert list(frame["blocked"]) == [False] * 9


def test_no_text_column_of_a_csv_can_run_and_the_other_formats_are_exact(own, tmp_path, hostile):
    for name in NAMES:
        pipeline.export_selection(own, hostile, tmp_path / name)
        frame = read(tmp_path / name)
        front = "'" if name.endswith("csv") else ""
        for column in TEXTS:
            assert frame[column].str.startswith(f"{front}{EVIL}{column}").all(), (name, column)
    text = (tmp_path / "rows.csv").read_text()
    assert f"'{EVIL}|b" in text and f",{EVIL}" not in text


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_selection_is_an_empty_table_with_all_its_columns(name, own, tmp_path):
    nothing = pipeline.choose(own, Recipe(pool="small", strategy="uniform", budget=Budget(rows=0)))
    pipeline.export_selection(own, nothing, tmp_path / name)
    frame = read(tmp_path / name)
    assert len(frame) == 0
    assert name.endswith("jsonl") or {"rank", "prompt", "reason"} <= set(frame.columns)


def test_a_data_set_folder_is_replaced_by_its_like_and_by_nothing_else(own, tmp_path):
    folder = tmp_path / "rows"
    for budget in (5, 3):
        asked = Recipe(pool="small", strategy="uniform", budget=Budget(rows=budget), method="sft")
        pipeline.export_selection(own, pipeline.choose(own, asked), folder)
        assert len(read(folder)) == budget
    chosen = pipeline.choose(own, asked)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    for name in ("mine", "file", "."):
        with pytest.raises(StorageError, match="is no Hugging Face data set folder; give another name"):
            pipeline.export_selection(own, chosen, tmp_path / name)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert (tmp_path / "file").read_text() == "x"
    (tmp_path / "empty").mkdir()
    pipeline.export_selection(own, chosen, tmp_path / "empty")
    assert not [p for p in tmp_path.iterdir() if p.name.endswith((".part", ".old"))]


def test_a_folder_below_a_file_is_a_sentence(own, tmp_path):
    chosen = pipeline.choose(own, Recipe(pool="small", strategy="uniform", budget=Budget(rows=2)))
    (tmp_path / "file").write_text("x")
    for name in ("rows", "rows.csv"):
        with pytest.raises(StorageError, match="cannot be made"):
            pipeline.export_selection(own, chosen, tmp_path / "file" / name)


def test_a_data_set_that_fails_half_way_leaves_the_old_one(own, tmp_path, monkeypatch):
    import datasets

    asked = Recipe(pool="small", strategy="uniform", budget=Budget(rows=4), method="sft")
    pipeline.export_selection(own, pipeline.choose(own, asked), tmp_path / "rows")
    shown = datasets.is_progress_bar_enabled()

    def full(table, path, **_):
        (path / "data").write_text("half")
        raise OSError(28, "no space left")

    monkeypatch.setattr(datasets.Dataset, "save_to_disk", full)
    other = pipeline.choose(own, asked.model_copy(update={"budget": Budget(rows=2)}))
    with pytest.raises(StorageError, match="is full"):
        pipeline.export_selection(own, other, tmp_path / "rows")
    assert len(read(tmp_path / "rows")) == 4
    assert datasets.is_progress_bar_enabled() == shown
    assert not list(tmp_path.glob(".rows*"))


def test_rows_of_a_pool_that_has_changed_are_not_written(own, tmp_path, hostile):
    built = build_pool(
        read_table(tmp_path / "hostile.jsonl"), MAPPING, name="hostile", collapse_duplicates=False
    )
    frame = built.pool.frame.iloc[1:]
    path = tmp_path / "fewer.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in frame[[*TEXTS, "category"]].to_dict("records")))
    save_pool(own, build_pool(read_table(path), MAPPING, name="hostile"), MAPPING, "x", replace=True)
    with pytest.raises(BadInput, match="pool 'hostile' has changed since the selection"):
        pipeline.export_selection(own, hostile, tmp_path / "rows.csv")
    assert not (tmp_path / "rows.csv").exists()


@pytest.mark.parametrize("name", ["rows.txt", "rows.v2", "rows.csv.gz"])
def test_an_ending_that_says_no_format_is_told_the_formats(name, tmp_path):
    with pytest.raises(BadInput, match=r"cannot tell the format; end the name with \.jsonl, \.csv, \.parq"):
        pipeline.check_export(tmp_path / name)
