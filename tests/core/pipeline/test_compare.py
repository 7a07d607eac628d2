"""Choices side by side: every number is that of the plain diagnostic, and only like is set beside like."""

import time
from dataclasses import replace

import numpy as np
import pytest

from core import pipeline
from core.errors import BadInput
from core.pipeline.compare import compare, histograms, stored_scores
from core.pipeline.desk import Desk
from core.selection import Candidates, Picked, Reasons, Score
from core.selection.diagnostics import aucpr, coverage_radius, expected_jaccard, jaccard, redundancy
from core.values import Budget, Recipe


def recipe(strategy="uniform", rows=10, **more):
    return Recipe(
        **{"pool": "small", "strategy": strategy, "method": "sft", "budget": Budget(rows=rows)} | more
    )


@pytest.fixture
def desk(small):
    return Desk(small)


@pytest.fixture
def three(desk):
    return [
        desk.choose(recipe("uniform")),
        desk.choose(recipe("uniform", seed=1)),
        desk.choose(recipe("saps", 6)),
    ]


def test_geometry_is_that_of_the_plain_diagnostics_in_the_stored_space(three, small):
    found = compare(three)
    assert found.space == "pca50"
    pool = pipeline.pool(small, "small")
    stored = pipeline.find_signal(small, pipeline.request_for("vectors:pca50", "small"), pool)
    for choice, arm in zip(three, found.arms, strict=True):
        x, rows = stored.array()[choice.seen.found.rows], choice.picked.rows
        assert arm.radius == pytest.approx(coverage_radius(x, rows))
        assert arm.aucpr == pytest.approx(aucpr(x, rows))
        assert arm.redundancy == pytest.approx(redundancy(x, rows))
        assert arm.rows == len(rows) and arm.shortfall == 0


def test_overlap_is_that_of_the_rows_and_chance_is_beside_it(three):
    found = compare(three)
    a, b = three[0].picked.rows, three[2].picked.rows
    assert found.jaccard[0, 2] == pytest.approx(jaccard(a, b))
    assert found.expected[0, 2] == pytest.approx(expected_jaccard(10, 6, found.eligible))
    assert sum(count for _, count in found.intersections) == len(set(a) | set(three[1].picked.rows) | set(b))
    assert found.eligible == three[0].seen.candidates.n


def test_balance_is_against_the_eligible_rows(three):
    arm, choice = compare(three).arms[0], three[0]
    member, rows = choice.seen.candidates.categories, choice.picked.rows
    chosen, pool = member[rows].sum(axis=0), member.sum(axis=0)
    p, q = chosen / chosen.sum(), pool / pool.sum()
    assert arm.category_kl == pytest.approx(
        sum(a * np.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)
    )
    assert arm.category.names == choice.seen.candidates.category_names
    behaviour = choice.seen.candidates.behaviour
    shares = {name: np.mean(behaviour[rows] == name) for name in np.unique(behaviour)}
    assert dict(zip(arm.behaviour.names, arm.behaviour.selected_share, strict=True)) == pytest.approx(shares)
    everything = Desk(choice.ws).choose(recipe(rows=choice.seen.candidates.n))
    whole = compare([everything]).arms[0]
    assert (whole.category_kl, whole.behaviour_kl, whole.radius) == pytest.approx((0.0, 0.0, 0.0))


def test_arms_are_named_by_strategy_and_numbered_or_as_asked(three):
    assert [arm.name for arm in compare(three).arms] == ["uniform", "uniform 2", "saps"]
    assert [arm.name for arm in compare(three, ["a", "b", "c"]).arms] == ["a", "b", "c"]


def test_the_predicted_cost_rests_on_the_workspaces_runs(three):
    arm = compare(three).arms[0]
    assert arm.predicted_seconds > 0 and arm.predicted.runs == 3
    assert "measured sft runs" in arm.predicted.sentence


def put(ws, need, values):
    pool = pipeline.pool(ws, "small")
    key = pipeline.key_of(ws, pipeline.request_for(need, "small"), pool)
    ws.signals.put(key, {"values": values}, facts={"direction": "longer"}, started=time.perf_counter())
    return key


def test_tokens_are_told_only_where_they_were_counted(three, small, tmp_path):
    import shutil

    from core.workspace import Workspace

    shutil.copytree(small.root, tmp_path / "copy")
    ws = Workspace.open(tmp_path / "copy", None)
    shutil.rmtree(ws.root / "signals" / "scoring")
    choices = [replace(choice, ws=ws) for choice in three]
    bare = compare(choices)
    assert [arm.tokens for arm in bare.arms] == [None] * 3
    counts = np.arange(len(pipeline.pool(ws, "small")), dtype=np.float64)
    put(ws, "tokens", counts)
    told = compare(choices)
    rows = [choice.seen.found.rows[choice.picked.rows] for choice in choices]
    assert [arm.tokens for arm in told.arms] == [int(counts[r].sum()) for r in rows]
    lengths = [counts[r].mean() / counts[choices[0].seen.found.rows].mean() for r in rows]
    for before, after, length in zip(bare.arms, told.arms, lengths, strict=True):
        assert after.predicted_seconds == pytest.approx(before.predicted_seconds * length)


def test_without_vectors_or_rows_there_is_no_geometry(three, desk, small):
    empty = desk.choose(recipe(rows=0))
    arm = compare([empty]).arms[0]
    assert (arm.radius, arm.aucpr, arm.redundancy, arm.predicted_seconds) == (None, None, None, None)
    elsewhere = replace(three[0], recipe=recipe(template="response"))
    bare = compare([elsewhere])
    assert bare.space == "" and bare.arms[0].radius is None


def test_an_arm_that_stays_is_not_measured_again(three):
    compare(three)
    kept = {id(value) for choice in three for value in choice.memo.values()}
    compare(three)
    assert {id(value) for choice in three for value in choice.memo.values()} == kept
    assert any(key[0] == "geometry" for key in three[0].memo)


def test_only_choices_among_the_same_rows_stand_side_by_side(desk, demo):
    one = desk.choose(recipe())
    with pytest.raises(BadInput, match="one is for sft, another for dpo; take one repair method"):
        compare([one, desk.choose(recipe(method="dpo", rows=5))])
    other = Desk(demo).choose(Recipe(pool="demo", strategy="uniform", method="sft"))
    with pytest.raises(BadInput, match="one is of pool 'small', another of pool 'demo'"):
        compare([one, other])
    found = replace(one.seen.found, rows=one.seen.found.rows[1:])
    with pytest.raises(BadInput, match="another labeller blocks other rows"):
        compare([one, replace(one, seen=replace(one.seen, found=found))])
    with pytest.raises(BadInput, match="nothing to compare"):
        compare([])


def test_stored_scores_are_those_of_the_eligible_rows(desk, small):
    choice = desk.choose(recipe())
    found = stored_scores(choice)
    assert "toxicity" in found and found["toxicity"].higher_is == "more toxic"
    assert len(found["toxicity"].values) == choice.seen.candidates.n
    nobody = replace(choice, recipe=recipe(scorer="/nowhere", model="/nowhere"))
    assert "toxicity" not in stored_scores(nobody)


def test_histograms_share_their_bins_and_count_what_is_missing(three):
    n = three[0].seen.candidates.n
    values = np.linspace(0.0, 1.0, n)
    values[three[0].picked.rows[:2]] = np.nan
    values[three[2].picked.rows[0]] = np.inf
    found = histograms(Score(values), three, bins=5)
    assert len(found.edges) == 6 and found.arms.shape == (3, 5)
    assert found.pool.sum() + found.pool_missing == n
    for choice, counts, missing in zip(three, found.arms, found.arms_missing, strict=True):
        kept = values[choice.picked.rows]
        kept = kept[np.isfinite(kept)]
        slow = [
            sum(low <= v < high or (v == high == found.edges[-1]) for v in kept)
            for low, high in zip(found.edges[:-1], found.edges[1:], strict=True)
        ]
        assert counts.tolist() == slow
        assert missing == choice.picked.rows.size - len(kept)
    assert found.arms_missing[0] >= 2


def test_a_constant_or_missing_score_still_has_bins(three):
    n = three[0].seen.candidates.n
    assert histograms(Score(np.full(n, 0.5)), three).pool.sum() == n
    nothing = histograms(Score(np.full(n, np.nan)), three)
    assert nothing.pool.sum() == 0 and nothing.pool_missing == n


def test_six_arms_of_the_whole_pool_take_less_than_three_seconds(three):
    """19,172 eligible rows in 50 dimensions, 10 % each: the page at its default budget."""
    n, rng = 19_172, np.random.default_rng(0)
    vectors = rng.normal(size=(n, 50)).astype(np.float32)
    behaviour = rng.choice(np.array(["T1", "T2", "T3", "T4"], dtype=object), n)
    candidates = Candidates(
        n=n,
        ids=tuple(f"r{i}" for i in range(n)),
        category_names=tuple(f"c{i}" for i in range(20)),
        categories=rng.random((n, 20)) < 0.1,
        behaviour=behaviour,
    )
    seen = replace(
        three[0].seen, candidates=candidates, found=replace(three[0].seen.found, rows=np.arange(n))
    )

    class Stored(pipeline.Choice):
        def signal(self, need):
            return _Vectors() if need == "vectors:pca50" else None

    class _Vectors:
        key = type("Key", (), {"digest": "d"})

        def array(self):
            return vectors

    choices = []
    for seed in range(6):
        rows = np.random.default_rng(seed).permutation(n)[: n // 10]
        picked = Picked(rows, Reasons(len(rows), "random"))
        choices.append(Stored(three[0].recipe, seen, picked, three[0].ws, picked))
    began = time.process_time()
    found = compare(choices)
    assert time.process_time() - began < 3.0
    assert len(found.arms) == 6 and found.arms[0].radius > 0
    began = time.process_time()
    compare(choices)
    assert time.process_time() - began < 0.5
