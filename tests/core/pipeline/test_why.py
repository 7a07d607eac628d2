"""Why a row was taken and why not, in sentences that are true, name the cause, and hold no example's text."""

import re
from dataclasses import replace

import numpy as np
import pytest

from core import pipeline
from core.errors import MissingInput
from core.pipeline.desk import Desk
from core.pipeline.why import why
from core.selection import STRATEGIES, Ledger, Picked, Reasons
from core.values import Budget, Recipe, SemDedup

SECRET = "horrible"  # the text of rows that are not benign


def recipe(strategy="uniform", rows=10, **more):
    return Recipe(
        **{"pool": "small", "strategy": strategy, "method": "sft", "budget": Budget(rows=rows)} | more
    )


@pytest.fixture
def desk(small):
    return Desk(small)


def told(choice, row_id):
    return " ".join(why(choice, row_id).sentences)


def rebuilt(choice, picked):
    """The choice as if its strategy had picked this."""
    return replace(choice, picked=picked, order=picked)


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_every_row_of_every_strategy_has_an_answer(desk, small, strategy):
    try:
        choice = desk.choose(recipe(strategy, 12, dedup=SemDedup(eps=0.02), bans=("r1",)))
    except (pipeline.NotReady, MissingInput) as lacking:
        pytest.skip(f"the small workspace lacks an input: {lacking}")
    ids = [choice.seen.candidates.ids[row] for row in choice.picked.rows]
    for row_id in choice.seen.pool.ids:
        found = why(choice, row_id)
        assert found.chosen == (row_id in ids)
        assert found.rank == (ids.index(row_id) + 1 if found.chosen else None)
        said = " ".join(found.sentences)
        assert found.sentences and all(re.fullmatch(r"[A-Z0-9].*\.", s) for s in found.sentences), said
        assert not {SECRET, "pleasant", "nan", "None", "inf "} & set(re.findall(r"\w+ ?", said)), said
        assert row_id not in [near for near, _ in found.nearest]
        assert {near for near, _ in found.nearest} <= set(ids)


def test_a_row_that_is_not_there_or_not_eligible_is_told_why(desk):
    choice = desk.choose(recipe(method="dpo", rows=5))
    pool = choice.seen.pool.frame
    test_row = pool.loc[pool["split"] == "test", "id"].iloc[0]
    no_pair = pool.loc[(pool["split"] == "train") & (pool["rejected"] == ""), "id"].iloc[0]
    assert told(choice, "nobody") == "Pool 'small' holds no row 'nobody'; check the id."
    assert told(choice, test_row) == (
        "It is not among the rows that dpo can learn from: it is held out for test."
    )
    said = told(choice, no_pair)
    assert "dpo can learn from: it has no rejected text" in said
    assert "It is eligible for dapt, dapt_kl, sft, token_penalty." in said


def test_bans_and_pins_are_named_as_a_persons_own(desk):
    choice = desk.choose(recipe(pins=("r2",), bans=("r5",)))
    assert why(choice, "r2").rank == 1
    assert told(choice, "r2").startswith("It is pinned by hand")
    assert told(choice, "r5") == "It is banned by hand; lift the ban to let it compete."


def test_a_copy_names_the_row_that_stands_for_it(desk):
    choice = desk.choose(recipe(rows=5, dedup=SemDedup(eps=0.3)))
    ids, stands_for = choice.seen.candidates.ids, choice.picked.stands_for
    copy = int(np.flatnonzero(stands_for >= 0)[0])
    said = told(choice, ids[copy])
    assert f"near-duplicate of {ids[stands_for[copy]]} (cosine 0." in said
    cosine = float(re.search(r"cosine ([\d.]+)", said)[1])
    x = choice.seen.candidates.vectors["embedding"][[copy, stands_for[copy]]].astype(float)
    assert cosine == pytest.approx(x[0] @ x[1] / np.linalg.norm(x[0]) / np.linalg.norm(x[1]), abs=1e-3)
    chosen = next(r for r in choice.picked.rows if (stands_for == r).any())
    assert "It stands for near-duplicates that were set aside: " in told(choice, ids[chosen])


def test_a_draw_is_told_with_its_odds_and_the_budget_that_would_take_the_row(desk, small):
    choice = desk.choose(recipe(rows=10))
    n = choice.seen.candidates.n
    whole = pipeline.choose(small, recipe(rows=n)).ids
    said = told(choice, whole[30])
    assert f"10 of {n} rows were taken, drawn at random, a chance of {1000 / n:.3g} %" in said
    assert f"It would be taken from a budget of 31 rows on, {3100 / n:.3g} % of the eligible rows." in said
    taken = pipeline.choose(small, recipe(rows=31)).ids
    assert whole[30] in taken and whole[30] not in taken[:30]


def test_the_budget_that_would_take_a_row_is_read_from_the_longer_order_where_there_is_one(desk):
    longest = desk.choose(recipe("k_center", 30))
    head = desk.choose(recipe("k_center", 4))
    row_id = head.seen.candidates.ids[longest.picked.rows[20]]
    assert head.order is longest.picked
    assert "from a budget of 21 rows on" in told(head, row_id)


def test_no_long_run_is_made_to_answer(desk):
    choice = replace(desk.choose(recipe("k_center", 4)), seconds=100.0)
    outside = next(i for i in range(choice.seen.candidates.n) if i not in choice.picked.rows)
    assert "budget of" not in told(choice, choice.seen.candidates.ids[outside])
    assert "longer" not in choice.memo


def test_a_cut_is_explained_by_its_own_end_not_by_that_of_the_longer_order(desk):
    choice = desk.choose(recipe(rows=4))
    n = choice.seen.candidates.n
    early = Picked(np.arange(4), Reasons(4, "best"), ledger=Ledger(value=np.arange(n, 0, -1.0)))
    late = Picked(np.arange(9), Reasons(9, "best"), ledger=Ledger(value=np.zeros(n)))
    cut = replace(choice, picked=replace(early, ledger=late.ledger), order=late)
    cut.__dict__["exact"] = early
    assert f"its score {n - 6} ranks 7th of {n}, the last one taken has {n - 3}" in told(
        cut, choice.seen.candidates.ids[6]
    )


def test_a_row_out_of_the_race_is_told_the_strategys_reason(desk):
    choice = desk.choose(recipe(rows=3))
    out = np.arange(choice.seen.candidates.n) == 7
    ledger = Ledger(
        value=np.ones(len(out)), out=out, out_reason="it is among the hardest 10 % that beta cuts off"
    )
    hard = rebuilt(choice, Picked(np.arange(3), Reasons(3, "stratum"), ledger=ledger))
    assert told(hard, choice.seen.candidates.ids[7]) == (
        "It was out of the race: it is among the hardest 10 % that beta cuts off."
    )


def test_a_chosen_row_is_told_its_group_rank_and_the_parts_of_its_total(desk):
    choice = desk.choose(recipe("saps", rows=3))
    n = choice.seen.candidates.n
    value = np.linspace(1.0, 0.0, n)
    shares = {"saps": [0.7, 0.5, 0.2], "ccs": [0.2, 0.1, 0.2], "behaviour": [0.1, 0.4, 0.6]}
    reasons = Reasons(3, "blend", score=value[:3], shares=shares, penalty=[0.0, 0.05, 0.0])
    ledger = Ledger(value=value, value_name="total utility", group=np.arange(n) % 2, group_kind="category")
    blended = rebuilt(choice, Picked(np.arange(3), reasons, ledger=ledger))
    said = told(blended, choice.seen.candidates.ids[2])
    assert f"Its total utility is {value[2]:.3g}, 2nd of {(n + 1) // 2} in category 0." in said
    assert f"In category 0, 2 of {(n + 1) // 2} rows were taken." in said
    assert "Most of its total utility comes from behaviour (60 %), least from saps (20 %)." in said
    assert "0.05 was taken off for likeness" in told(blended, choice.seen.candidates.ids[1])


def test_the_parts_of_a_row_that_was_passed_over_come_from_the_longer_order(desk):
    choice = desk.choose(recipe(rows=3))
    n = choice.seen.candidates.n
    reasons = Reasons(5, "blend", shares={"saps": [0.9] * 5, "ccs": [0.1] * 5})
    order = Picked(
        np.arange(5), reasons, ledger=Ledger(value=np.arange(n, 0.0, -1), value_name="total utility")
    )
    head = replace(choice, picked=replace(order, rows=order.rows[:3], reasons=reasons[:3]), order=order)
    said = told(head, choice.seen.candidates.ids[4])
    assert "Most of its total utility comes from saps (90 %), least from ccs (10 %)." in said
    assert "from a budget of 5 rows on" in said


def test_the_nearest_chosen_rows_are_those_of_the_largest_cosine(desk):
    choice = desk.choose(recipe("k_center", 6))
    x = choice.seen.candidates.vectors["embedding"].astype(float)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    ids = choice.seen.candidates.ids
    for row in (int(choice.picked.rows[2]), 40):
        others = [r for r in choice.picked.rows if r != row]
        cosine = {ids[r]: float(unit[r] @ unit[row]) for r in others}
        found = why(choice, ids[row], nearest=2)
        assert [name for name, _ in found.nearest] == sorted(cosine, key=lambda i: -cosine[i])[:2]
        assert found.nearest[0][1] == pytest.approx(max(cosine.values()), abs=1e-5)
        assert found.space == "embedding"


def test_vectors_the_strategy_did_not_ask_for_are_read_where_they_are_stored(desk, demo):
    stored = why(desk.choose(recipe(rows=6)), "r2")
    assert stored.space == "embedding" and len(stored.nearest) == 3
    assert not desk.choose(recipe(rows=6)).seen.candidates.vectors


def test_an_empty_choice_says_that_the_budget_is_nothing(desk):
    choice = desk.choose(recipe(rows=0))
    found = why(choice, choice.seen.candidates.ids[0])
    assert found.sentences == ("Nothing was chosen: the budget is 0.",)
    assert found.nearest == ()


def test_a_strategy_without_a_ledger_is_not_made_to_say_more_than_it_knows(desk):
    choice = desk.choose(recipe("saps", rows=3))
    silent = rebuilt(choice, Picked(np.arange(3), Reasons(3, "mystery", cluster=[4, 5, 6])))
    assert told(silent, choice.seen.candidates.ids[9]) == (
        "The strategy keeps no record of the rows it passes over."
    )
    assert told(silent, choice.seen.candidates.ids[1]) == (
        'It was taken as number 2 of 3, in the role "mystery", from cluster 5.'
    )


def test_pins_are_told_apart_from_the_rows_that_were_drawn(desk):
    pins = tuple(desk.choose(recipe(rows=10)).seen.candidates.ids[i] for i in (2, 3, 4))
    choice = desk.choose(recipe(rows=5, pins=pins))
    n = choice.seen.candidates.n
    outside = next(i for i in range(n) if i not in choice.picked.rows)
    assert (
        f"2 of {n - 3} rows were taken and 3 pinned; the taken ones were drawn at random, "
        f"a chance of {200 / (n - 3):.3g} %: it was not among them."
    ) in told(choice, choice.seen.candidates.ids[outside])
