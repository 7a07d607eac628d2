"""Value rules turn a source's own labels into flags, from any column, and name what they do not know."""

import json

import pytest

from core.pool import Mapping, Rule, build_pool, parse_rule, read_table


def flags(tmp_path, rows, columns=None, rules=(), name="a.jsonl"):
    text = "".join(json.dumps({"prompt": "p", "response": "r"} | row) + "\n" for row in rows)
    (tmp_path / name).write_text(text)
    fields = {"prompt": "prompt", "response": "response"} | (columns or {})
    built = build_pool(read_table(tmp_path / name), Mapping(columns=fields, rules=rules), name="x")
    return built.pool.frame, built.notes


def test_a_rule_may_hold_colons_and_equal_signs_in_its_pattern():
    assert parse_rule("refusal@final label:a:b=c=yes") == Rule("refusal", "final label", "a:b=c", "yes")
    assert parse_rule("harmful_request:=no") == Rule("harmful_request", None, "", "no")


def test_the_two_rules_of_the_manual_give_all_four_types(tmp_path):
    rows = [
        {"label": label, "kind": kind}
        for kind in ("contrast_discr", "homonyms")
        for label in ("2_full_refusal", "1_full_compliance")
    ]
    rules = (
        "refusal:2_full_refusal=yes",
        "refusal:1_full_compliance=no",
        "harmful_request@kind:*=no",
        "harmful_request@kind:contrast_*=yes",  # the later rule decides
    )
    frame, _ = flags(tmp_path, rows, {"refusal": "label"}, rules)
    assert list(frame["behaviour"]) == ["T1", "T2", "T4", "T3"]


def test_a_value_that_no_rule_knows_stays_not_run_and_is_named(tmp_path):
    rows = [{"label": "2_full_refusal"}, {"label": "3_partial_refusal"}, {"label": None}]
    frame, notes = flags(tmp_path, rows, {"refusal": "label"}, ("refusal:2_*=yes", "refusal:9_*=no"))
    assert list(frame["refusal"]) == ["yes", "not_run", "not_run"]
    assert any("'3_partial_refusal' (1)" in note for note in notes)
    assert "Value rule 'refusal:9_*=no' matched no row." in notes


@pytest.mark.parametrize(
    ("flag", "value", "meant"),
    [
        ("harmful_response", "rejected", "yes"),
        ("harmful_response", "Unsafe", "yes"),
        ("harmful_response", "chosen", "no"),
        ("harmful_response", "Safe", "no"),
        ("refusal", "Unsafe", "not_run"),
        ("refusal", True, "yes"),
        ("refusal", 0, "no"),
        ("refusal", 1.0, "yes"),
        ("harmful_request", "unparsed", "unparsed"),
        ("harmful_request", None, "not_run"),
    ],
)
def test_common_values_are_known_without_a_rule(tmp_path, flag, value, meant):
    assert list(flags(tmp_path, [{"label": value}], {flag: "label"})[0][flag]) == [meant]


def test_a_rule_overrides_what_a_value_usually_means(tmp_path):
    frame, _ = flags(
        tmp_path, [{"label": "Unsafe"}], {"harmful_response": "label"}, ("harmful_response:Unsafe=no",)
    )
    assert list(frame["harmful_response"]) == ["no"] and list(frame["response"]) == ["r"]


def test_a_rule_looks_into_lists_and_maps_of_booleans(tmp_path):
    rows = [{"kind": ["a", "x1"]}, {"kind": {"x2": True}}, {"kind": {"x2": False}}, {"kind": None}]
    frame, _ = flags(tmp_path, rows, rules=("harmful_request@kind:x?=yes",))
    assert list(frame["harmful_request"]) == ["yes", "yes", "not_run", "not_run"]


def test_types_given_by_the_source_set_the_flags_and_an_explicit_flag_decides(tmp_path):
    rows = [{"type": t} for t in ("T1", "t2", "T3", "T4", "unparsed", None, "other")]
    frame, notes = flags(tmp_path, rows, {"behaviour": "type"})
    assert list(frame["behaviour"]) == ["T1", "T2", "T3", "T4", "unparsed", "not_run", "not_run"]
    assert any("'other' (1)" in note for note in notes)
    frame, _ = flags(tmp_path, rows[:1], {"behaviour": "type"}, ("refusal@type:T1=no",))
    assert list(frame["behaviour"]) == ["T2"]
