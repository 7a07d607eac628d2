"""Reading: every common file becomes raw cells with the right line numbers, and broken lines are named."""

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from core.errors import BadInput
from core.pool import read_table

ROOT = Path(__file__).parents[3]
ROWS = [{"prompt": "Say hello", "response": "Hello"}, {"prompt": "", "response": "Good day, all"}]


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def as_jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_every_format_gives_the_same_cells(tmp_path, name):
    path = tmp_path / name
    frame = pd.DataFrame(ROWS)
    if name.endswith("parquet"):
        frame.to_parquet(path)
    elif name.endswith("gz"):
        path.write_bytes(gzip.compress(as_jsonl(ROWS).encode()))
    elif name.endswith("jsonl"):
        write(path, as_jsonl(ROWS))
    else:
        frame.to_csv(path, index=False, sep="\t" if name.endswith("tsv") else ",")
    raw = read_table(path)
    assert raw.frame.to_dict("records") == ROWS
    assert raw.origin == "a" and not raw.bad


def test_jsonl_keeps_its_line_numbers_around_broken_and_blank_lines(tmp_path):
    text = '{"prompt": "a"}\n\n{"prompt": \n[1]\n{"prompt": "b\u2028c"}\n'
    raw = read_table(write(tmp_path / "a.jsonl", text))
    assert list(raw.lines) == [1, 5]
    assert [(row.line, row.reason.split(":")[0]) for row in raw.bad] == [
        (3, "broken json"),
        (4, "not a json object with named fields"),
    ]
    assert raw.cells("prompt")[1] == "b\u2028c"  # a line separator inside a text is no end of line


def test_json_nested_without_end_is_one_bad_row(tmp_path):
    raw = read_table(write(tmp_path / "a.jsonl", '{"prompt": "a"}\n' + '{"prompt": ' + "[" * 200_000 + "\n"))
    assert len(raw.frame) == 1 and raw.bad[0].line == 2


def test_a_csv_row_is_named_by_the_line_it_begins_on(tmp_path):
    text = 'prompt,response\n"two\nlines",x\nonly one cell\nplain,y\n"broken"quote,z\nlast,w\n'
    raw = read_table(write(tmp_path / "a.csv", text))
    assert list(raw.lines) == [2, 5, 7]
    assert [row.line for row in raw.bad] == [4, 6]


def test_a_quote_that_never_closes_swallows_no_row_silently(tmp_path):
    raw = read_table(write(tmp_path / "a.csv", 'prompt,response\ngood,x\n"open,y\nlost,z\n'))
    assert list(raw.lines) == [2]
    assert raw.bad[0].line == 3 and "up to line 4" in raw.bad[0].reason


def test_a_csv_with_semicolons_and_a_byte_order_mark_is_read(tmp_path):
    raw = read_table(write(tmp_path / "a.csv", "\ufeffprompt;response\na, b;c\n"))
    assert raw.frame.to_dict("records") == [{"prompt": "a, b", "response": "c"}]


def test_a_csv_cell_may_be_longer_than_the_csv_module_allows(tmp_path):
    raw = read_table(write(tmp_path / "a.csv", "prompt\n" + "x" * 150_000 + "\n"))
    assert len(raw.cells("prompt")[0]) == 150_000


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", "prompt,response\n".encode("utf-16"), "save it as UTF-8"),
        ("a.csv", "prompt,r\u00e9ponse\n".encode("latin-1"), "header of a.csv is not UTF-8"),
        ("a.csv", b"prompt,prompt\na,b\n", "'prompt' twice"),
        ("a.parquet", b"PAR1 and then nothing", "cannot be read as parquet"),
        ("a.jsonl.gz", gzip.compress(b'{"prompt": "a"}\n' * 99, mtime=0)[:-9], "not a whole gzip file"),
        ("a.jsonl.gz", b"no gzip at all", "not a whole gzip file"),
        ("a.jsonl", b'[{"prompt": "a"}]', "one json object per line"),
        ("a.xlsx", b"PK", "no known type"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_a_sentence(tmp_path, name, data, says):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=says):
        read_table(tmp_path / name)


def test_a_missing_file_is_not_looked_for_on_the_hub(tmp_path):
    with pytest.raises(BadInput, match="there is no file or folder"):
        read_table(tmp_path / "nothing.parquet")


def test_parquet_text_that_is_not_utf8_spoils_its_own_row_only(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    broken = pa.array([b"good", b"caf\xe9"], pa.binary()).cast(pa.string(), safe=False)
    pq.write_table(pa.table({"prompt": broken}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").cells("prompt") == ["good", "caf\udce9"]


HUGGING_FACE = """
import json, sys
from core.errors import BadInput
from core.pool import build_pool, guess_mapping, read_table
folder = sys.argv[1]
raw = read_table(folder, split="test")
print(json.dumps(raw.cells("prompt")))
print(json.dumps(list(build_pool(raw, guess_mapping(raw), name="x").pool.frame["category"])))
for source, split in ((folder, None), (folder, "dev"), ("nobody/nothing-here", None)):
    try:
        read_table(source, split=split)
    except BadInput as error:
        print(error)
"""


def test_a_hugging_face_folder_is_read_by_split_and_a_name_fails_offline_with_a_sentence(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    write(folder / "train.jsonl", as_jsonl([{"prompt": "a", "category": {"x, y": True, "z": False}}] * 3))
    write(folder / "test.jsonl", as_jsonl([{"prompt": "b", "category": {"x, y": True, "z": True}}]))
    place = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", HUGGING_FACE, str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | place,
        check=True,
    )
    prompts, categories, unnamed, unknown, offline = done.stdout.splitlines()
    assert json.loads(prompts) == ["b"]
    assert json.loads(categories) == [["x, y", "z"]]
    assert "choose one of train, test" in unnamed and "no split 'dev'" in unknown
    assert "cannot be loaded" in offline and "the network" in offline


def test_a_table_of_very_many_columns_is_read_in_seconds(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(",".join(["prompt", *(f"c{i}" for i in range(20_000))]) + "\n" + "," * 20_000 + "\n")
    started = time.process_time()
    assert len(read_table(path).frame.columns) == 20_001
    assert time.process_time() - started < 5  # counting each name in the whole header took 10


def test_a_field_name_or_a_number_beyond_measure_spoils_only_its_row(tmp_path):
    path = tmp_path / "odd.jsonl"
    path.write_text(
        '{"prompt": "a", "x\\ud800": 1}\n{"prompt": "b", "n": ' + "9" * 5000 + '}\n{"prompt": "c"}\n'
    )
    raw = read_table(path)
    assert raw.cells("prompt") == ["c"]
    assert raw.bad[0].reason == "a field's name is not UTF-8 text"
    assert "integer string" in raw.bad[1].reason


def test_no_source_is_not_the_current_folder():
    with pytest.raises(BadInput, match="no source is named"):
        read_table("")
    with pytest.raises(BadInput, match="there is no file"):
        read_table("/" + "n" * 5000)
