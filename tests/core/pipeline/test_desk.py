"""The desk gives what `pipeline.choose` gives, whatever it remembers, and reads as little as it can."""

import json
import threading
import time

import numpy as np
import pytest

from core import pipeline
from core.errors import BadBudget, BadInput, MissingInput, UnknownName, WinnowError
from core.pipeline import desk as module
from core.pipeline.desk import Desk, head_of
from core.pool import build_pool, guess_mapping, load_pool, read_table, save_pool
from core.selection import STRATEGIES, Picked, Reasons
from core.values import Budget, Recipe, SemDedup
from core.workspace import Workspace


def recipe(strategy="uniform", rows=10, **more):
    return Recipe(pool="small", strategy=strategy, method="sft", budget=Budget(rows=rows), **more)


def outcome(make, asked):
    """What came out, but for the time it took; a refusal by its kind and words."""
    try:
        found = make(asked)
    except WinnowError as refusal:
        return type(refusal), str(refusal)
    chosen = found.selection if isinstance(found, pipeline.Choice) else found
    return chosen.model_copy(update={"seconds": 0.0})


def variants(strategy):
    """One recipe after another as a person would change it."""
    yield recipe(strategy, 20)
    yield recipe(strategy, 7)
    yield recipe(strategy, 30)
    yield recipe(strategy, 30)
    yield recipe(strategy, 12, seed=3)
    yield recipe(strategy, 5, pins=("r9", "r2"))
    yield recipe(strategy, 12, pins=("r9", "r2"), bans=("r5", "r1", "nobody"))
    yield recipe(strategy, 0)
    yield recipe(strategy, 1, pins=("r9", "r2"))
    yield recipe(strategy, 9, bans=("r5",), pins=("r5",))
    yield recipe(strategy, 500)
    yield recipe(strategy, 15, dedup=SemDedup(eps=0.01))
    yield recipe(strategy, 4, dedup=SemDedup(eps=0.01))
    yield recipe(strategy, 4, dedup=SemDedup(eps=0.4))
    yield recipe(strategy, 3, dedup=SemDedup(eps=0.4, keep="random"))
    yield recipe(strategy, 7)
    yield recipe(strategy).model_copy(update={"budget": Budget(percent=25.0)})


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_rows_reasons_and_refusals_are_those_of_choose(small, strategy):
    desk = Desk(small)
    for asked in variants(strategy):
        assert outcome(desk.choose, asked) == outcome(lambda r: pipeline.choose(small, r), asked), asked


def test_one_desk_serves_every_strategy_in_turn(small):
    desk = Desk(small)
    for asked in [recipe(name, rows) for rows in (6, 12, 3) for name in STRATEGIES]:
        assert outcome(desk.choose, asked) == outcome(lambda r: pipeline.choose(small, r), asked), asked


def test_settings_budget_and_seed_share_one_candidates_object(small):
    desk = Desk(small)
    seen = {
        id(desk.choose(asked).seen.candidates)
        for asked in (
            recipe("saps", 10),
            recipe("saps", 20, params={"rho": 0.2}),
            recipe("saps", 20, params={"rho": 0.9}, seed=4),
        )
    }
    assert len(seen) == 1


def test_a_recipe_that_needs_less_or_pins_a_row_shares_the_arrays(small):
    desk = Desk(small)
    wide = desk.choose(recipe("saps", dedup=SemDedup())).seen.candidates
    narrow = desk.choose(recipe("k_center")).seen.candidates
    pinned = desk.choose(recipe("saps", dedup=SemDedup(), pins=("r2",))).seen.candidates
    assert set(narrow.vectors) == {"embedding"} and not narrow.clusters
    assert narrow.vectors["embedding"] is wide.vectors["embedding"]
    assert pinned.vectors["pca50"] is wide.vectors["pca50"]
    assert pinned.taken.tolist() == [pinned.ids.index("r2")]
    grown = Desk(small)
    first = grown.choose(recipe("k_center")).seen
    later = grown.choose(recipe("saps", dedup=SemDedup())).seen
    assert later.candidates.vectors["embedding"] is first.candidates.vectors["embedding"]
    assert later.pool is first.pool


def test_what_was_remembered_outlives_fewer_needs_but_not_a_ban(small):
    desk = Desk(small)
    wide = desk.choose(recipe("saps", dedup=SemDedup())).seen.candidates
    wide.once("distances", lambda: "kept")
    assert desk.choose(recipe("saps")).seen.candidates.once("distances", lambda: "new") == "kept"
    banned = desk.choose(recipe("saps", bans=("r2",))).seen.candidates
    assert banned.once("distances", lambda: "new") == "new"


def test_a_nested_strategy_is_cut_and_runs_only_for_more(small):
    desk = Desk(small)
    whole = desk.choose(recipe("uniform", 30))
    head, tail = desk.choose(recipe("uniform", 8)), desk.choose(recipe("uniform", 40))
    assert head.order is whole.picked and head.exact.rows.tolist() == head.picked.rows.tolist()
    assert tail.order is tail.picked and desk.choose(recipe("uniform", 31)).order is tail.picked
    assert desk.choose(recipe("uniform", 8)) is head
    assert desk.instant(recipe("uniform")) and not desk.instant(recipe("saps"))


def order(rows, **more):
    return Picked(np.arange(rows), Reasons(rows, "random"), **more)


def test_an_order_with_warnings_or_pins_that_do_not_fit_is_not_cut(small):
    candidates = Desk(small).choose(recipe()).seen.candidates
    assert head_of(order(9, warnings=("only copies are left",)), Budget(rows=4), candidates) is None
    assert head_of(order(9, shortfall=1), Budget(rows=4), candidates) is None
    assert head_of(order(9), Budget(rows=0), candidates) is None
    assert head_of(order(9), Budget(rows=10), candidates) is None
    assert len(head_of(order(9), Budget(rows=9), candidates).rows) == 9
    pinned = Desk(small).choose(recipe(pins=("r2", "r9"))).seen.candidates
    assert head_of(order(9), Budget(rows=1), pinned) is None
    assert len(head_of(order(9), Budget(rows=2), pinned).rows) == 2


def test_a_budget_in_tokens_cuts_where_the_next_row_would_not_fit(small):
    from dataclasses import replace

    candidates = Desk(small).choose(recipe()).seen.candidates
    costly = replace(candidates, tokens=np.full(candidates.n, 10))
    assert len(head_of(order(9), Budget(tokens=49), costly).rows) == 4
    assert len(head_of(order(9), Budget(tokens=50), costly).rows) == 5
    assert head_of(order(9), Budget(tokens=90), costly) is None  # a tenth row might fit too
    assert head_of(order(9), Budget(tokens=9), costly) is None


@pytest.fixture
def own(tmp_path):
    """A workspace whose pool may be replaced."""
    ws = Workspace.open(tmp_path / "ws", None)

    def store(rows, seed=0):
        source = tmp_path / "mine.jsonl"
        lines = [{"id": f"r{i}", "prompt": f"question {i}", "response": f"answer {i}"} for i in range(rows)]
        source.write_text("".join(json.dumps(line) + "\n" for line in lines))
        raw = read_table(source)
        mapping = guess_mapping(raw)
        built = build_pool(raw, mapping, name="small", split_seed=seed)
        save_pool(ws, built, mapping, "mine.jsonl", replace=True)
        return ws

    return store


def test_a_pool_replaced_under_its_name_or_split_anew_is_read_anew(own):
    ws = own(40)
    desk = Desk(ws)
    before = desk.choose(recipe(rows=5))
    own(60)
    more = desk.choose(recipe(rows=5))
    assert more.seen.pool.fingerprint == load_pool(ws, "small").fingerprint != before.seen.pool.fingerprint
    own(60, seed=7)
    split = desk.choose(recipe(rows=5))
    assert split.seen.pool.split_hash != more.seen.pool.split_hash
    assert split.selection.ids == pipeline.choose(ws, recipe(rows=5)).ids
    assert desk.choose(recipe(rows=5)) is split


def test_another_budget_pin_or_setting_reads_nothing_anew(own):
    ws = own(40)
    pool = load_pool(ws, "small")
    key = pipeline.key_of(ws, pipeline.request_for("vectors:embedding", "small"), pool)
    vectors = np.random.default_rng(0).normal(size=(len(pool), 4)).astype(np.float32)
    folder = ws.signals.put(key, {"values": vectors}, facts={}, started=time.perf_counter()).folder
    asked = [recipe("k_center", 5), recipe("k_center", 3, params={"start": "random"}, seed=2)]
    asked += [recipe("k_center", 9, pins=("r2", "r6")), recipe("uniform", 4)]
    told = [pipeline.choose(ws, r).ids for r in asked]
    desk = Desk(ws)
    desk.choose(asked[0])
    (folder / "values.npy").unlink()
    (ws.root / "pools" / "small" / "pool.parquet").unlink()
    for r, ids in zip(asked, told, strict=True):
        assert desk.choose(r).selection.ids == ids


def test_labels_of_a_labeller_are_not_mixed_with_those_of_the_pool(own):
    ws = own(40)
    plain, labelled = recipe(rows=5), recipe(rows=5, labeller="keyword_refusal")
    pipeline.choose(ws, labelled, make=True)
    desk = Desk(ws)
    for asked in (plain, labelled, plain.model_copy(update={"seed": 1}), labelled):
        seen = desk.choose(asked).seen
        assert set(seen.pool.frame["refusal"]) == ({"no"} if asked.labeller else {"not_run"})
        assert outcome(desk.choose, asked) == outcome(lambda r: pipeline.choose(ws, r), asked)


def test_missing_signals_are_named_each_time_until_they_are_there(own):
    ws = own(40)
    desk, asked = Desk(ws), recipe("k_center", 5)
    for _ in range(2):
        with pytest.raises(pipeline.NotReady, match="not computed yet"):
            desk.choose(asked)
    pool = load_pool(ws, "small")
    key = pipeline.key_of(ws, pipeline.request_for("vectors:embedding", "small"), pool)
    vectors = np.random.default_rng(0).normal(size=(len(pool), 4)).astype(np.float32)
    ws.signals.put(key, {"values": vectors}, facts={}, started=time.perf_counter())
    assert desk.choose(asked).selection.ids == pipeline.choose(ws, asked).ids


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"strategy": "sapz"}, UnknownName),
        ({"pool": "nobody"}, UnknownName),
        ({"params": {"rho": 0.5}}, BadInput),
        ({"pins": ("nobody",)}, BadInput),
        ({"budget": Budget(rows=-1)}, BadBudget),
        ({"reference": "nobody"}, UnknownName),
        ({"method": "dpo", "budget": Budget(rows=3), "pins": ("r3",)}, BadInput),
    ],
)
def test_a_mistake_is_the_sentence_that_choose_says(small, change, error):
    desk, asked = Desk(small), recipe().model_copy(update=change)
    desk.choose(recipe())
    with pytest.raises(error) as said:
        desk.choose(asked)
    with pytest.raises(error) as told:
        pipeline.choose(small, asked)
    assert str(said.value) == str(told.value)


def test_a_pool_without_an_eligible_row_is_refused(own):
    with pytest.raises(MissingInput, match="no row that dpo can learn from"):
        Desk(own(40)).choose(recipe().model_copy(update={"method": "dpo"}))


def test_memory_is_bounded_whatever_is_asked(small):
    desk = Desk(small)
    for i in range(30):
        desk.choose(recipe(bans=(f"r{i}",)))
    assert len(desk._sights.newest()) == module.SIGHTS
    assert len(desk._choices.newest()) == module.CHOICES
    assert desk.choose(recipe(bans=("r0",))).selection.ids == pipeline.choose(small, recipe(bans=("r0",))).ids


def test_threads_share_a_desk(small):
    desk, found = Desk(small), []

    def work():
        for rows in (5, 25, 10):
            found.append((rows, desk.choose(recipe("k_center", rows)).selection.ids))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len({ids for rows, ids in found if rows == 25}) == 1
