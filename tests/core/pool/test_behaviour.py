"""The case table of behaviour-and-prism 2.2, and which text may be trained toward."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadInput
from core.pool import add_flags, build_pool, eligible, guess_mapping, read_table

GOOD, BAD = "I would rather not.", "You dull Zorblin!"


def built(tmp_path: Path, *rows):
    text = "".join(json.dumps({"prompt": "p", "response": GOOD} | row) + "\n" for row in rows)
    (tmp_path / "a.jsonl").write_text(text)
    raw = read_table(tmp_path / "a.jsonl")
    return build_pool(raw, guess_mapping(raw), name="x")


@pytest.mark.parametrize(
    ("flags", "behaviour", "blocked"),
    [
        (("yes", "yes", "no"), "T1", False),
        (("yes", "no", "no"), "T2", False),
        (("yes", "no", "yes"), "T2", True),
        (("no", "no", "no"), "T3", False),
        (("no", "yes", "no"), "T4", False),
        (("unparsed", "unparsed", "unparsed"), "unparsed", True),
        (("yes", "not_run", "not_run"), "not_run", False),
        (("unparsed", "not_run", "no"), "unparsed", True),
    ],
)
def test_case_table(tmp_path, flags, behaviour, blocked):
    row = dict(zip(("harmful_request", "refusal", "harmful_response"), flags, strict=True))
    frame = built(tmp_path, row).pool.frame
    assert (frame["behaviour"][0], bool(frame["blocked"][0])) == (behaviour, blocked)


def test_a_bad_response_is_moved_and_its_row_blocked(tmp_path):
    made = built(tmp_path, {"response": BAD, "label": "Unsafe"}, {"label": "Safe"})
    first, second = made.pool.frame.to_dict("records")
    assert (first["response"], first["rejected"], first["blocked"]) == ("", BAD, True)
    assert (second["response"], second["rejected"], second["blocked"]) == (GOOD, "", False)
    assert made.counts["moved_to_rejected"] == 1 and any("moved to `rejected`" in note for note in made.notes)


def test_a_row_with_a_good_response_too_is_not_blocked(tmp_path):
    made = built(tmp_path, {"rejected": BAD, "harmful_response": "yes"})
    row = made.pool.frame.iloc[0]
    assert (row["response"], row["rejected"], bool(row["blocked"])) == (GOOD, BAD, False)
    assert any("read as naming `rejected`" in note for note in made.notes)


def test_the_same_bad_text_on_both_sides_is_good_on_none(tmp_path):
    row = built(tmp_path, {"response": BAD, "rejected": BAD, "harmful_response": "yes"}).pool.frame.iloc[0]
    assert (row["response"], row["rejected"], bool(row["blocked"])) == ("", BAD, True)


def test_new_flags_fill_only_what_was_not_run(tmp_path):
    pool = built(tmp_path, {"harmful_request": "yes", "refusal": "no"}, {"harmful_request": "yes"}).pool
    labelled = add_flags(pool, {"refusal": np.array(["yes", "yes"])})
    assert list(labelled.frame["behaviour"]) == ["T2", "T1"]
    assert (labelled.fingerprint, labelled.split_hash) == (pool.fingerprint, pool.split_hash)
    assert list(pool.frame["behaviour"]) == ["T2", "not_run"]  # the old pool is untouched
    forced = add_flags(pool, {"refusal": np.array(["yes", "yes"])}, replace_known=True)
    assert list(forced.frame["behaviour"]) == ["T1", "T1"]


def test_a_new_mark_moves_the_response_and_blocks(tmp_path):
    pool = add_flags(built(tmp_path, {"response": BAD}).pool, {"harmful_response": np.array(["yes"])})
    assert (pool.frame["rejected"][0], bool(pool.frame["blocked"][0])) == (BAD, True)
    assert len(eligible(pool, ("response",)).rows) == 0


@pytest.mark.parametrize(
    "flags", [{"mood": ["yes"]}, {"refusal": ["perhaps"]}, {"refusal": ["yes", "no"]}], ids=str
)
def test_flags_that_do_not_fit_are_refused(tmp_path, flags):
    pool = built(tmp_path, {}).pool
    with pytest.raises(BadInput):
        add_flags(pool, {name: np.array(values) for name, values in flags.items()})
