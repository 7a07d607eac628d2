"""Building: bad rows are listed and nothing else is lost; categories and groups are read as meant."""

import json

import pytest

from core.errors import BadInput
from core.pool import Mapping, build_pool, guess_mapping, read_table


def build(tmp_path, rows, name="a.jsonl", columns=None, **options):
    text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    raw = read_table(tmp_path / name)
    mapping = Mapping(columns=columns) if columns else guess_mapping(raw)
    return build_pool(raw, mapping, name="x", **options)


def test_each_kind_of_bad_row_is_listed_with_its_line_and_the_good_ones_are_kept(tmp_path):
    lines = [
        '{"id": "a", "prompt": "p", "response": "r"}',
        '{"id": "b", "prompt": null, "response": "r"}',
        '{"id": "a", "prompt": "q", "response": "r"}',
        '{"id": "c", "prompt": "", "response": " \\n"}',
        '{"id": "d", "prompt": 7, "response": "r"}',
        '{"id": "e", "prompt": "p", "response": "%s"}' % ("x" * 200_001),
        '{"id": "f", "prompt": "caf\udce9", "response": "r"}',
        '{"id": "g", "prompt": "\\ud800", "response": "r"}',
        '{"id": "h", "prompt": ',
        '{"id": "i", "prompt": "p", "response": ["r"]}',
        '{"id": "j", "response": "no prompt at all"}',
        '{"id": "k", "prompt": "", "response": "%s"}' % ("x" * 200_000),
    ]
    built = build(tmp_path, "\n".join(lines))
    assert built.pool.ids == ["a", "k"]
    assert [(row.line, row.id) for row in built.bad] == [
        *[(2, "b"), (3, "a"), (4, "c"), (5, "d"), (6, "e"), (7, "f"), (8, "g"), (9, ""), (10, "i"), (11, "j")]
    ]
    told = [
        "null",
        "duplicate id, first used in line 1",
        "no text on any side",
        "not text but int",
        "200,001",
    ]
    told += ["not UTF-8", "not UTF-8", "broken json", "not text but list", "null"]
    for row, words in zip(built.bad, told, strict=True):
        assert words in row.reason
    assert built.counts["rows_read"] == built.counts["rows"] + built.counts["bad"] == 12


def test_an_empty_prompt_is_legal_and_an_unmapped_one_is_empty(tmp_path):
    rows = [{"prompt": "", "response": "a kind sentence"}]
    assert build(tmp_path, rows).counts["empty_prompt"] == 1
    assert build(tmp_path, rows, columns={"response": "response"}).pool.texts() == ["a kind sentence"]


def test_a_prompt_without_any_response_is_a_row(tmp_path):
    assert build(tmp_path, [{"prompt": "p"}]).counts["with_response"] == 0


def test_a_pool_without_a_usable_row_says_why(tmp_path):
    with pytest.raises(BadInput, match=r"no usable row: all 2 are bad \(line 1: the prompt is null"):
        build(tmp_path, [{"prompt": None}, {"prompt": None}])
    with pytest.raises(BadInput, match="holds no rows"):
        build(tmp_path, "prompt,response\n", name="a.csv")
    with pytest.raises(BadInput, match="broken json"):
        build(tmp_path, "{\n{\n")


def test_one_row_and_rows_all_alike_are_pools(tmp_path):
    one = build(tmp_path, [{"prompt": "p", "response": "r"}])
    assert one.counts["train"] == 1 and any("one group" in note for note in one.notes)
    alike = build(tmp_path, [{"prompt": "p", "response": "r"}] * 50)
    assert alike.counts["duplicates"] == 49 and alike.counts["train"] == 50
    collapsed = build(tmp_path, [{"prompt": "p", "response": "r"}] * 50, collapse_duplicates=True)
    assert len(collapsed.pool) == 1 and collapsed.counts["collapsed"] == 49


def test_only_equal_texts_on_all_sides_are_duplicates(tmp_path):
    rows = [
        {"prompt": "p", "response": "r"},
        {"prompt": "p", "response": "R"},
        {"prompt": "p", "response": "r"},
    ]
    assert build(tmp_path, rows, collapse_duplicates=True).pool.ids == ["a:1", "a:2"]


def test_categories_are_never_split_at_commas(tmp_path):
    rows = [
        {"prompt": "a", "category": ["theft, fraud", "lies"]},
        {"prompt": "b", "category": {"theft, fraud": True, "lies": False}},
        {"prompt": "c", "category": "theft, fraud|x"},
        {"prompt": "d", "category": None},
    ]
    assert list(build(tmp_path, rows).pool.frame["category"]) == [
        ["theft, fraud", "lies"],
        ["theft, fraud"],
        ["theft, fraud|x"],  # a bar means something in csv only
        [],
    ]
    text = 'prompt,category\na,"theft, fraud| lies |theft, fraud"\nb,\n'
    assert list(build(tmp_path, text, name="a.csv").pool.frame["category"]) == [["theft, fraud", "lies"], []]


def test_made_ids_are_stable_and_name_the_line(tmp_path):
    text = "prompt\nfirst\n\nthird\n"
    assert build(tmp_path, text, name="my.csv").pool.ids == ["my:2", "my:4"]


def test_rows_that_share_a_prompt_share_a_group_and_a_split(tmp_path):
    rows = [
        {"prompt": f"Tell me  about {i % 40}" if i % 2 else f"tell me ABOUT {i % 40}"} for i in range(400)
    ]
    rows += [{"prompt": "", "response": f"text {i % 20}"} for i in range(60)]
    frame = build(tmp_path, rows).pool.frame
    assert frame["group"].nunique() == 60
    assert (frame.groupby("group")["split"].nunique() == 1).all()
    assert set(frame["split"]) == {"train", "validation", "test"}


def test_a_mapped_group_is_kept_and_a_missing_one_is_made(tmp_path):
    rows = [{"prompt": "a", "group": "g1"}, {"prompt": "b", "group": "g1"}, {"prompt": "b", "group": None}]
    groups = list(build(tmp_path, rows).pool.frame["group"])
    assert groups[:2] == ["g1", "g1"] and len(groups[2]) == 12


def test_the_fingerprint_sees_every_column_and_the_order(tmp_path):
    rows = [{"id": "1", "prompt": "a", "response": "b"}, {"id": "2", "prompt": "c", "response": "d"}]
    same = build(tmp_path, rows).pool.fingerprint
    assert build(tmp_path, rows).pool.fingerprint == same
    others = [rows[::-1], [rows[0], rows[1] | {"category": ["x"]}], [rows[0], rows[1] | {"refusal": "yes"}]]
    others += [[{"id": "1", "prompt": "a", "response": "bc"}, {"id": "2", "prompt": "", "response": "d"}]]
    assert same not in {build(tmp_path, other).pool.fingerprint for other in others}


def test_another_split_is_another_split_hash_of_the_same_rows(tmp_path):
    rows = [{"prompt": f"p{i}"} for i in range(30)]
    first, second = build(tmp_path, rows).pool, build(tmp_path, rows, split_seed=1).pool
    assert first.fingerprint == second.fingerprint and first.split_hash != second.split_hash
    assert list(first.frame["split"]) != list(second.frame["split"])


def test_a_name_that_is_a_path_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "p"}\n')
    raw = read_table(tmp_path / "a.jsonl")
    with pytest.raises(BadInput, match="pool name"):
        build_pool(raw, guess_mapping(raw), name="../x")
