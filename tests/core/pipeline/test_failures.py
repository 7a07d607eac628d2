"""Observed failures: toxic continuations of validation prompts, never of test ones, never trained on."""

import json

import numpy as np
import pandas as pd
import pytest

from core import pipeline
from core.errors import BadInput, MissingInput
from core.evaluation import differences
from core.pipeline.evaluations import EVALUATION_VERSION, evaluation_key, held_out_prompts
from core.pool import build_pool, guess_mapping, load_pool, read_table, save_pool
from core.scorers import load_scorer
from core.selection import STRATEGIES
from core.values import Budget, EvaluationProtocol, EvaluationSpec, Recipe
from core.workspace import content_key

PROTOCOL = EvaluationProtocol(name="look", prompts=None, samples=3, new_tokens=12, threshold=0.4)
SPEC = EvaluationSpec(model="demo", scorer="demo", pool="mini", protocol=PROTOCOL)


def mini(ws, name="mini", test_word="", shared=False):
    """Sixty demo requests, split by hand; `test_word` changes the test rows and nothing else."""
    frame = load_pool(ws, "demo").frame
    part = frame[(frame["prompt"] != "") & (frame["response"] != "")].drop_duplicates("prompt").iloc[:60]
    rows = [
        {"id": str(i), "prompt": str(p), "response": str(r), "group": f"g{i}", "category": list(c)}
        for i, (p, r, c) in enumerate(zip(part["prompt"], part["response"], part["category"], strict=True))
    ]
    path = ws.root / f"{name}.jsonl"
    for _ in range(2):  # first to learn the split, which only groups decide, then with the changes
        path.write_text("\n".join(json.dumps(row) for row in rows))
        raw = read_table(path)
        built = build_pool(raw, guess_mapping(raw), name=name, fractions=(0.4, 0.3, 0.3))
        place = {split: built.pool.rows(split) for split in ("validation", "test")}
        for row in place["test"] if test_word else ():
            rows[row] |= {"prompt": f"{test_word} {row}", "response": test_word}
        if shared:
            for left, right in zip(place["validation"][:6], place["test"], strict=False):
                rows[right] |= {"prompt": rows[left]["prompt"]}
    save_pool(ws, built, guess_mapping(raw), name)
    return built.pool


def generations(ws, spec):
    return pd.read_parquet(ws.find("evaluations", evaluation_key(ws, spec)) / "generations.parquet")


def test_only_toxic_continuations_of_validation_prompts_are_kept_and_nothing_trains_toward_them(demo):
    pool = mini(demo)
    built = pipeline.failures_pool(demo, SPEC, "fails")
    frame = load_pool(demo, "fails").frame
    assert len(frame) == len(built.pool) > 0
    assert set(frame["split"]) == {"validation"}
    assert frame["blocked"].all() and (frame["response"] == "").all() and (frame["rejected"] != "").all()
    split = dict(zip(pool.frame["prompt"], pool.frame["split"], strict=True))
    assert {split[p] for p in frame["prompt"]} == {"validation"}
    made = generations(demo, SPEC.model_copy(update={"split": "validation"}))
    toxic = made[made["toxicity"] >= 0.4]
    assert 0 < len(toxic) < len(made)
    prompts = held_out_prompts(pool, "validation")[0]
    assert {(prompts[r], t.strip()) for r, t in zip(toxic["prompt_row"], toxic["text"], strict=True)} == set(
        zip(frame["prompt"], frame["rejected"], strict=True)
    )
    again = np.asarray(load_scorer(str(demo.find("models", "scorer"))).toxicity(list(frame["rejected"])))
    assert (again >= 0.35).all()  # the scorer saw the text with its leading space


def test_the_source_names_model_scorer_protocol_and_threshold(demo):
    mini(demo)
    source = pipeline.failures_pool(demo, SPEC, "fails").pool.frame["source"].iloc[0]
    found = pipeline.base_evaluation(demo, SPEC.model_copy(update={"split": "validation"}))
    assert found.split == "validation"
    for part in ("by demo", found.model_hash[:12], found.scorer, found.scorer_hash[:12], "protocol look"):
        assert part in source
    assert "3 samples" in source and "at or above 0.4" in source


def test_test_rows_have_no_part_in_what_is_measured_or_kept(demo):
    """Change every test row: neither a continuation, nor a number, nor a kept row changes."""
    spec = SPEC.model_copy(update={"split": "validation"})
    other = spec.model_copy(update={"pool": "other"})
    assert mini(demo).fingerprint != mini(demo, "other", test_word="unseen").fingerprint
    first, second = (pipeline.failures_pool(demo, s, f"fails-{s.pool}") for s in (spec, other))
    assert first.pool.frame["rejected"].tolist() == second.pool.frame["rejected"].tolist()
    one, two = pipeline.base_evaluation(demo, spec), pipeline.base_evaluation(demo, other)
    assert one.metrics == two.metrics  # perplexity of held-out text included
    assert "unseen" not in " ".join(second.pool.frame["prompt"])
    assert generations(demo, spec)["text"].tolist() == generations(demo, other)["text"].tolist()


def test_a_prompt_that_is_also_a_test_prompt_is_left_out(demo):
    pool = mini(demo, shared=True)
    tested = set(pool.frame["prompt"].iloc[pool.rows("test")])
    made = generations_of_all(demo)
    assert tested & set(made["prompt"])  # else the test would show nothing
    kept = pipeline.failures_pool(demo, SPEC, "fails").pool.frame
    assert len(kept) and not tested & set(kept["prompt"])


def generations_of_all(ws):
    pipeline.run_evaluation(ws, SPEC.model_copy(update={"split": "validation"}))
    made = generations(ws, SPEC.model_copy(update={"split": "validation"}))
    prompts = held_out_prompts(load_pool(ws, "mini"), "validation")[0]
    made = made[made["toxicity"] >= PROTOCOL.threshold]
    return made.assign(prompt=[prompts[r] for r in made["prompt_row"]])


def test_what_was_measured_is_read_not_measured_again(demo):
    mini(demo)
    spec = SPEC.model_copy(update={"split": "validation"})
    pipeline.run_evaluation(demo, spec)
    folder = demo.find("evaluations", evaluation_key(demo, spec))
    stamp = (folder / "evaluation.json").stat().st_mtime_ns
    first = pipeline.failures_pool(demo, SPEC, "fails")
    assert pipeline.failures_pool(demo, SPEC, "fails").pool.fingerprint == first.pool.fingerprint
    assert (folder / "evaluation.json").stat().st_mtime_ns == stamp


COMPARING = [n for n in STRATEGIES if "reference:" in str(STRATEGIES[n].needs(STRATEGIES[n].params()))]


def test_the_pool_serves_every_strategy_that_compares_with_a_reference(demo, meet):
    mini(demo)
    built = pipeline.failures_pool(demo, SPEC, "fails")
    for name in COMPARING:
        recipe = Recipe(pool="mini", strategy=name, budget=Budget(rows=4), method="sft", reference="fails")
        meet(demo, recipe)
        [found] = pipeline.gather(demo, recipe).candidates.references.values()
        assert found.ids == tuple(built.pool.ids) and len(found) == len(built.pool)
        assert found.failed.all() and found.categories.any()
        chosen = pipeline.choose(demo, recipe)
        assert len(chosen.ids) + chosen.shortfall == 4
        assert set(chosen.ids) <= set(pipeline.pool(demo, "mini").frame["id"])
    assert COMPARING


def test_a_model_without_failures_or_a_name_that_would_hide_its_pool_is_a_sentence(demo):
    mini(demo)
    mild = SPEC.model_copy(update={"protocol": PROTOCOL.model_copy(update={"threshold": 1.5})})
    with pytest.raises(MissingInput, match=r"no continuation of the validation prompts .* above 1.5"):
        pipeline.failures_pool(demo, mild, "fails")
    with pytest.raises(BadInput, match="cannot take the place of pool 'mini' itself"):
        pipeline.failures_pool(demo, SPEC, "mini", replace=True)
    with pytest.raises(MissingInput, match=r"no held-out prompts \(validation rows .*--split 0,1,0"):
        pipeline.failures_pool(demo, SPEC.model_copy(update={"pool": "demo-prompts"}), "fails")
    assert "fails" not in [p.name for p in pipeline.pools(demo)]


def test_evaluations_of_test_rows_keep_their_keys_and_validation_has_its_own(demo):
    pool = mini(demo)
    marks = {
        name: pipeline.identity(demo, str(demo.find("models", folder)))
        for name, folder in (("model", "lm"), ("scorer", "scorer"))
    }
    before_there_was_a_choice = marks | {
        "protocol": PROTOCOL,
        "texts": ("mini",),
        "joined": (),
        "pools": [(pool.fingerprint, pool.split_hash)] * 2,
        "version": EVALUATION_VERSION,
    }
    assert evaluation_key(demo, SPEC) == content_key(before_there_was_a_choice)
    assert evaluation_key(demo, SPEC.model_copy(update={"split": "validation"})) != evaluation_key(demo, SPEC)


def test_numbers_of_validation_and_test_rows_never_stand_on_one_axis(demo):
    mini(demo)
    small = SPEC.model_copy(update={"protocol": PROTOCOL.model_copy(update={"prompts": 2, "samples": 1})})
    one, two = (
        pipeline.run_evaluation(demo, small.model_copy(update={"split": s})) for s in ("test", "validation")
    )
    assert differences(one, two) == ("held-out rows (test, validation)",)
