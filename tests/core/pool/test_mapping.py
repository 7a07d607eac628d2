"""The guessed mapping names the columns that real sources use, and a wrong one is refused with a hint."""

from pathlib import Path

import pandas as pd
import pytest

from core.errors import BadInput
from core.pool import Mapping, build_pool, guess_mapping, read_table


def raw_of(tmp_path: Path, **columns):
    pd.DataFrame(columns).to_parquet(tmp_path / "some.parquet")
    return read_table(tmp_path / "some.parquet")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            ["prompt", "chosen", "rejected"],
            {"prompt": "prompt", "response": "chosen", "rejected": "rejected"},
        ),
        (
            ["prompt_text", "unpert_gen_text", "pert_gen_text"],
            {"prompt": "prompt_text", "response": "unpert_gen_text", "rejected": "pert_gen_text"},
        ),
        (["question", "answer"], {"prompt": "question", "response": "answer"}),
        (["instruction", "input", "output"], {"prompt": "instruction", "response": "output"}),
        (["Context", "Completion"], {"prompt": "Context", "response": "Completion"}),
        (["text"], {"response": "text"}),
        (
            ["prompt", "harm_category", "prompt_group", "source"],
            {"prompt": "prompt", "category": "harm_category", "group": "prompt_group", "source": "source"},
        ),
    ],
)
def test_names_that_sources_use_are_known(tmp_path, columns, expected):
    assert guess_mapping(raw_of(tmp_path, **{name: ["x"] for name in columns})).columns == expected


def test_a_label_column_goes_where_its_values_point(tmp_path):
    def guess(*values, **more):
        columns = {"prompt": ["p"] * len(values), "response": ["r"] * len(values), "label": list(values)}
        return guess_mapping(raw_of(tmp_path, **columns | more)).columns

    assert guess("Safe", "Unsafe")["harmful_response"] == "label"
    assert guess("T1", "T4")["behaviour"] == "label"
    assert guess("2_full_refusal", "1_full_compliance")["refusal"] == "label"
    assert not {"harmful_response", "behaviour", "refusal"} & guess("0", "1").keys()  # may mean anything


def test_a_safety_label_on_prompts_alone_is_about_the_request(tmp_path):
    raw = raw_of(tmp_path, prompt=["p", "q"], label=["safe", "unsafe"])
    mapping = guess_mapping(raw)
    assert mapping.columns["harmful_request"] == "label"
    assert list(build_pool(raw, mapping, name="x").pool.frame["harmful_request"]) == ["no", "yes"]


def test_is_safe_is_turned_round(tmp_path):
    raw = raw_of(tmp_path, prompt=["p", "q"], response=["r", "s"], is_safe=[True, False])
    frame = build_pool(raw, guess_mapping(raw), name="x").pool.frame
    assert list(frame["harmful_response"]) == ["no", "yes"]
    assert list(frame["rejected"]) == ["", "s"]


def test_a_column_that_repeats_is_no_id(tmp_path):
    raw = raw_of(tmp_path, id=["a", "a", "b"], prompt=["p", "q", "r"])
    assert "id" not in guess_mapping(raw).columns


@pytest.mark.parametrize(
    ("columns", "rules", "says"),
    [
        ({"promt": "prompt"}, (), "did you mean 'prompt'"),
        ({"prompt": "promt"}, (), "no column 'promt'; did you mean 'prompt'"),
        ({"id": "prompt"}, (), "no column is mapped to prompt, response or rejected"),
        ({"prompt": "prompt"}, ("refusal@lable:x=yes",), "no column 'lable'; did you mean 'label'"),
        ({"prompt": "prompt"}, ("refusal:x=yes",), "names no column and none is mapped to 'refusal'"),
        ({"prompt": "prompt"}, ("refusal=yes",), "cannot be read"),
        ({"prompt": "prompt"}, ("refused@label:x=yes",), "the flags are"),
        ({"prompt": "prompt"}, ("refusal@label:x=maybe",), "cannot be read"),
    ],
)
def test_a_wrong_mapping_is_refused_with_a_hint(tmp_path, columns, rules, says):
    raw = raw_of(tmp_path, prompt=["p"], label=["x"])
    with pytest.raises(BadInput, match=says):
        build_pool(raw, Mapping(columns=columns, rules=rules), name="x")
