"""Benign rows beside safety rows: which are drawn, which are held out, and what dose that makes."""

import numpy as np
import pytest

from core import pipeline
from core.errors import BadBudget, BadInput, MissingInput
from core.pipeline.mixes import benign_rows, check_mix, dose, dose_words, draw, training
from core.pipeline.token_masks import read_token_mask, tokenizer_hash, write_token_mask
from core.pool import Mapping, build_pool, read_table, save_pool
from core.repair import METHODS
from core.values import Budget, Mix, Recipe, RepairSpec

SFT = ("response",)


def pool_of(ws, name="mixed", rows=120, text="", split=(0.8, 0.1, 0.1)):
    """Every kind of row: T1, T2, T3, T4, blocked, unlabelled, without a response; in turn."""
    kinds = [
        {"harmful_request": "yes", "refusal": "yes"},
        {"harmful_request": "yes", "refusal": "no"},
        {"harmful_request": "no", "refusal": "no"},
        {"harmful_request": "no", "refusal": "yes"},
        {"harmful_request": "no", "refusal": "no", "harmful_response": "yes"},
        {"harmful_request": "no"},
        {"harmful_request": "no", "refusal": "no", "response": ""},
        {"harmful_request": "no", "refusal": "no"},
    ]
    table = [
        {"id": f"r{i}", "prompt": f"Ask {text}{i}", "response": f"Answer {text}{i}", "rejected": f"Bad {i}"}
        | kinds[i % len(kinds)]
        for i in range(rows)
    ]
    path = ws.path(f"{name}.csv")
    columns = list(dict.fromkeys(key for row in table for key in row))
    lines = [",".join(columns)] + [",".join(row.get(c, "") for c in columns) for row in table]
    path.write_text("\n".join(lines) + "\n")
    mapping = Mapping(columns={c: c for c in columns})
    save_pool(ws, build_pool(read_table(path), mapping, name=name, fractions=split), mapping, path.name)
    return pipeline.pool(ws, name)


def chosen_from(ws, pool, rows=10, **recipe):
    return pipeline.choose(
        ws, Recipe(pool=pool.name, strategy="uniform", budget=Budget(rows=rows), method="sft", **recipe)
    )


def place(pool, found):
    by_id = {row_id: i for i, row_id in enumerate(pool.ids)}
    return [by_id[e.id] for e in found]


def test_only_benign_train_rows_are_drawn_and_never_a_selected_one(empty):
    pool = pool_of(empty)
    chosen = chosen_from(empty, pool, 40)
    found = training(empty, chosen, pool, "sft", SFT, 8, Mix(rows=12))
    rows = place(pool, found.examples)
    assert len(rows) == len(set(rows)) == 52
    assert rows == found.rows.tolist()
    added = [r for r in rows if pool.ids[r] not in chosen.ids]
    assert len(added) == found.benign == 12
    part = pool.frame.iloc[added]
    assert set(part["split"]) == {"train"}
    assert set(part["behaviour"]) == {"T3"}
    assert not part["blocked"].any()
    assert (part["response"] != "").all()


def test_only_benign_rows_are_held_out_and_no_safety_row_ever_is(empty):
    pool = pool_of(empty, rows=400)
    chosen = chosen_from(empty, pool, 10)
    found = training(empty, chosen, pool, "sft", SFT, 8, Mix(rows=30))
    assert set(chosen.ids) <= {e.id for e in found.examples}
    held_out = pool.frame.iloc[place(pool, found.validation)]
    assert len(held_out) > 0
    assert set(held_out["behaviour"]) == {"T3"}
    assert set(held_out["split"]) == {"validation"}
    without = training(empty, chosen, pool, "sft", SFT, 64)
    assert set(pool.frame.iloc[place(pool, without.validation)]["behaviour"]) > {"T3"}


def test_they_are_shuffled_together_by_the_mix_own_seed(empty):
    pool = pool_of(empty)
    chosen = chosen_from(empty, pool, 10)

    def ids(seed, rows=20):
        mix = Mix(rows=rows, seed=seed)
        return [e.id for e in training(empty, chosen, pool, "sft", SFT, 4, mix).examples]

    assert ids(0) == ids(0)
    assert sorted(ids(0)) != sorted(ids(1))  # other rows
    safety = [i for i, row in enumerate(ids(0)) if row in chosen.ids]
    assert safety != list(range(10))
    assert [row for row in ids(0) if row in chosen.ids] != list(chosen.ids)


def test_fewer_benign_rows_than_asked_is_said_with_how_many_there_are(empty):
    pool = pool_of(empty)
    there = len(benign_rows(pool, SFT, "train"))
    assert len(draw(pool, Mix(rows=there), SFT, ())) == there
    with pytest.raises(BadBudget, match=rf"has {there} in train.*have no flags yet"):
        draw(pool, Mix(rows=there + 1), SFT, ())
    texts = {
        (e.prompt, e.response)
        for e in training(empty, chosen_from(empty, pool), pool, "sft", SFT, 0).examples
    }
    left = there - sum(
        (p, r) in texts
        for p, r in zip(
            pool.column("prompt")[benign_rows(pool, SFT, "train")],
            pool.column("response")[benign_rows(pool, SFT, "train")],
            strict=True,
        )
    )
    assert left < there
    with pytest.raises(BadBudget, match=f"ask for {left} at most"):
        draw(pool, Mix(rows=there), SFT, texts)


def test_the_same_text_in_another_pool_is_not_drawn_again(empty):
    pool = pool_of(empty)
    pool_of(empty, "twin")  # the same rows under another name
    pool_of(empty, "other", text="other ")
    chosen = chosen_from(empty, pool, 40)
    for name in ("twin", "other"):
        found = training(empty, chosen, pool, "sft", SFT, 4, Mix(pool=name, rows=12))
        texts = [(e.prompt, e.response) for e in found.examples]
        assert len(texts) == len(set(texts)) == 52
        assert (found.rows == -1).sum() == 12


def test_no_row_of_another_pool_is_mixed_in_that_stands_among_the_test_rows(empty):
    pool = pool_of(empty, split=(0.5, 0.1, 0.4))
    pool_of(empty, "twin", split=(1.0, 0.0, 0.0))  # the same rows, all of them to train on
    chosen = chosen_from(empty, pool, 20)
    tested = set(pool.frame["prompt"].iloc[pool.rows("test")])
    found = training(empty, chosen, pool, "sft", SFT, 0, Mix(pool="twin", rows=8))
    assert not tested & {e.prompt for e in found.examples}
    with pytest.raises(BadBudget, match="selected already"):
        training(empty, chosen, pool, "sft", SFT, 0, Mix(pool="twin", rows=30))


def test_methods_that_need_more_than_a_response_refuse_a_mix():
    for name in ("dpo", "irepair", "npo", "rad", "dexperts", "task_negation"):
        with pytest.raises(BadInput, match=r"take .*sft.*, or leave the mix out"):
            check_mix(name, METHODS[name].columns(METHODS[name].params()))
    for name in ("sft", "dapt", "dapt_kl"):
        check_mix(name, METHODS[name].columns(METHODS[name].params()))
    with pytest.raises(BadInput, match="learns from response and rejected"):
        check_mix("sft", METHODS["sft"].columns(METHODS["sft"].params(scope="dynamic")))


def test_the_dose_by_both_definitions():
    paper = dose(100, 20_000, steps=473, batch=128)
    assert paper["percent_of_benign"] == 0.5
    assert paper["percent"] == pytest.approx(0.49751, abs=1e-5)
    assert paper["safety_per_epoch"] == 100  # not 90.05: none is held out
    assert paper["epochs"] == pytest.approx(3.0, abs=0.01)
    assert "0.5 % of the benign rows" in dose_words(100, 20_000)
    assert "inactive" not in dose_words(100, 20_000)
    assert "0.05 % of the benign rows" in dose_words(10, 20_000)
    assert "Stratification over 14 harm categories is inactive" in dose_words(10, 20_000)


def test_a_mix_is_refused_before_any_work(demo):
    recipe = Recipe(pool="demo", strategy="uniform", budget=Budget(rows=8))
    spec = RepairSpec(selection=recipe, method="dpo", mix=Mix(rows=10), device="cpu")
    with pytest.raises(BadInput, match="cannot be mixed with benign rows"):
        pipeline.run_repair(demo, spec)


def masks_of(pool):
    return [[False, True] * (i % 3) for i in range(len(pool))], [[True] * (i % 2) for i in range(len(pool))]


def test_a_token_mask_comes_back_row_by_row(empty):
    pool = pool_of(empty)
    response, rejected = masks_of(pool)
    key = write_token_mask(empty, pool, response, rejected, "cuts", "test")
    assert key == write_token_mask(empty, pool, response, rejected, "cuts", "test")
    found = read_token_mask(empty, key, pool, "cuts")
    for row in range(len(pool)):
        assert found.of(row) == (tuple(response[row]), tuple(rejected[row]))
    turned = [[not v for v in mask] for mask in response]
    assert write_token_mask(empty, pool, turned, rejected, "cuts", "test") != key


def test_a_token_mask_of_another_pool_or_tokenizer_is_refused(empty):
    pool, other = pool_of(empty), pool_of(empty, "other", text="other ")
    key = write_token_mask(empty, pool, *masks_of(pool), "cuts", "test")
    with pytest.raises(BadInput, match="other rows than 'other'"):
        read_token_mask(empty, key, other, "cuts")
    with pytest.raises(BadInput, match="another tokenizer"):
        read_token_mask(empty, key, pool, "cuts otherwise")
    with pytest.raises(MissingInput, match="no token mask 'nothing'"):
        read_token_mask(empty, "nothing", pool, "cuts")
    with pytest.raises(BadInput, match="one per row"):
        write_token_mask(empty, pool, [[True]], [[True]], "cuts", "test")


def test_padding_does_not_make_another_tokenizer(tiny_lm):
    tokenizer = tiny_lm().tokenizer
    before = tokenizer_hash(tokenizer)
    tokenizer(["a", "longer"], padding=True, truncation=True, max_length=3)
    assert tokenizer_hash(tokenizer) == before
    tokenizer.add_tokens(["<new>"])
    assert tokenizer_hash(tokenizer) != before


def test_a_method_that_penalises_tokens_asks_for_a_mask_and_others_refuse_one(demo):
    recipe = Recipe(pool="demo", strategy="uniform", budget=Budget(rows=8), method="sft")
    with pytest.raises(MissingInput, match="needs a token mask, and token_mask is empty"):
        pipeline.run_repair(demo, RepairSpec(selection=recipe, method="token_penalty", device="cpu"))
    with pytest.raises(BadInput, match="penalises no tokens"):
        pipeline.run_repair(demo, RepairSpec(selection=recipe, method="sft", token_mask="key", device="cpu"))
    assert np.size(pipeline.runs(demo)) == 0
