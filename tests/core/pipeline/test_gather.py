"""What a recipe sees of its pool: references never hold a test row, and every need meets its own signal."""

from dataclasses import replace

import numpy as np
import pytest

from core import pipeline
from core.errors import BadInput
from core.pipeline.gather import gather, reference, requests
from core.pool import load_pool
from core.values import Budget, Recipe, SemDedup

RECIPE = Recipe(pool="small", strategy="uniform", budget=Budget(rows=4))


def vectors_of(ws, pool):
    return pipeline.find_signal(ws, pipeline.request_for("vectors:embedding", pool.name), pool)


def test_the_own_pools_reference_is_its_validation_rows(small):
    pool = load_pool(small, "small")
    found = reference(pool, pool, vectors_of(small, pool))
    rows = pool.rows("validation")
    assert found.ids == tuple(pool.frame["id"].iloc[rows]) and len(found) == len(rows) > 0
    np.testing.assert_array_equal(found.vectors, vectors_of(small, pool).array()[rows])
    assert found.failed.tolist() == (pool.frame["rejected"].iloc[rows] != "").tolist()


def test_another_pools_test_rows_are_never_a_reference(small):
    pool = load_pool(small, "small")
    other = replace(
        pool, name="other", fingerprint="other", frame=pool.frame.assign(prompt="new", response="new")
    )
    found = reference(pool, other, vectors_of(small, pool))
    assert set(found.ids).isdisjoint(pool.frame["id"].iloc[pool.rows("test")])
    assert len(found) == len(pool.rows("train", "validation"))


def test_what_stands_in_the_candidates_test_rows_is_never_a_reference(small):
    pool = load_pool(small, "small")
    test = pool.rows("test")
    turned = pool.frame["split"].where(~pool.frame.index.isin(test), "train")
    same_prompt = replace(pool, fingerprint="other", frame=pool.frame.assign(split=turned, response="new"))
    same_text = replace(pool, fingerprint="other", frame=pool.frame.assign(split=turned))
    for other in (same_prompt, same_text):
        found = reference(pool, other, vectors_of(small, pool))
        assert set(found.ids) == set(pool.frame["id"]) - set(pool.frame["id"].iloc[test])


def test_the_own_pool_under_another_name_or_split_is_still_its_validation_rows(small):
    pool = load_pool(small, "small")
    other = replace(pool, name="copy", frame=pool.frame.assign(split="train"))
    assert (
        reference(pool, other, vectors_of(small, pool)).ids
        == reference(pool, pool, vectors_of(small, pool)).ids
    )


def test_a_reference_is_embedded_as_the_reference_pool_and_candidates_as_theirs():
    recipe = RECIPE.model_copy(update={"reference": "failures"})
    asked = requests(recipe, ("vectors:embedding", "reference:embedding@prompt"))
    assert (asked["vectors:embedding"].pool, asked["vectors:embedding"].template) == (
        "small",
        "prompt+response",
    )
    assert (asked["reference:embedding@prompt"].pool, asked["reference:embedding@prompt"].template) == (
        "failures",
        "prompt",
    )


def test_a_score_that_rows_may_lack_is_the_same_signal(small):
    strict, lenient = (requests(RECIPE, (need,)) for need in ("score:toxicity", "score:toxicity?"))
    assert strict == lenient


def test_a_token_budget_and_the_filter_bring_their_own_needs(small):
    recipe = RECIPE.model_copy(update={"budget": Budget(tokens=50), "dedup": SemDedup()})
    seen = gather(small, recipe)
    assert set(seen.signals) == {"tokens", "vectors:embedding", "cluster:kmeans"}
    assert seen.candidates.tokens.tolist() == [12] * seen.candidates.n
    chosen = pipeline.choose(small, recipe)
    assert len(chosen.ids) == 4 and chosen.tokens == 48


def test_a_pin_that_is_not_eligible_is_named(small):
    with pytest.raises(BadInput, match=r"1 pinned rows are not eligible for dpo .* 'r3'; unpin"):
        gather(small, RECIPE.model_copy(update={"pins": ("r3",)}))


def test_tokens_count_both_sides_for_methods_that_train_on_pairs():
    both, one = (
        requests(RECIPE.model_copy(update={"method": method}), ("tokens",))["tokens"].params
        for method in ("dpo", "sft")
    )
    assert (both, one) == ({"sides": "both"}, {})
