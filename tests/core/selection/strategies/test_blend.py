"""Blend: one weight alone orders rows as its part does, shares add up, and refused rows stay out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.selection import STRATEGIES, Candidates, Score, select

RNG = np.random.default_rng(0)
N = 120
LABELS = RNG.integers(0, 4, N)
X = (RNG.normal(size=(N, 3)) + 3 * LABELS[:, None]).astype(np.float32)
POOL = Candidates(
    n=N,
    vectors={"pca50": X, "embedding": X - X.mean(axis=0)},
    clusters={"kmeans": LABELS},
    scores={"el2n": Score(RNG.normal(size=N)), "loss": Score(RNG.normal(size=N))},
    category_names=("insult", "threat", "fraud"),
    categories=RNG.random((N, 3)) < [0.5, 0.2, 0.02],
    behaviour=RNG.choice(np.array(["T1", "T2", "T3", "T4", "unparsed"], dtype=object), N),
    blocked=RNG.random(N) < 0.1,
)
NONE = {"saps": 0.0, "ccs": 0.0, "behaviour": 0.0}
ONLY = {k: NONE | {k: 1.0} for k in NONE}
LOSS = NONE | {"scores": {"loss": 1.0}}


def run(budget, pool=POOL, **asked):
    return select("blend", pool, budget, asked)


def test_needs_only_what_has_a_weight():
    spec = STRATEGIES["blend"]

    def needs(**given):
        return spec.needs(spec.params(**given))

    assert needs(**ONLY["behaviour"]) == ("column:behaviour",)
    assert needs(**ONLY["ccs"], score="loss") == ("score:loss",)
    assert needs(**ONLY["saps"]) == ("cluster:kmeans", "vectors:pca50")
    assert len(needs()) == 4
    assert needs(**NONE, scores={"loss": -0.1, "length": 0.0}) == ("score:loss?",)
    assert needs(**LOSS, diversity=0.1) == ("score:loss?", "vectors:embedding")
    assert needs(**LOSS, quota="equal", quota_by="kmeans") == ("score:loss?", "cluster:kmeans")


@pytest.mark.parametrize(
    "given", [{}, {"saps": 0.2, "ccs": 0.9, "behaviour": 0.4}, ONLY["ccs"], {"scores": {"loss": -0.7}}]
)
def test_shares_of_every_row_add_to_one_and_are_parts_of_its_total(given):
    picked = run(40, **given)
    for reason in picked.reasons:
        assert sum(reason.shares.values()) == pytest.approx(1)
        assert min(reason.shares.values()) >= 0
        assert 0 <= reason.score <= 1
    assert [r.score for r in picked.reasons] == sorted((r.score for r in picked.reasons), reverse=True)


def test_shares_are_what_each_weight_brings_by_hand():
    pool = Candidates(n=4, scores={"loss": Score(np.arange(4.0)), "length": Score(np.array([9, 8, 7, 6.0]))})
    picked = run(2, pool=pool, **NONE, scores={"loss": 1.0, "length": -0.5})
    assert picked.rows.tolist() == [3, 2]  # the highest loss is the shortest too
    assert picked.reasons[0].score == 1 and picked.reasons[0].shares == pytest.approx(
        {"loss": 2 / 3, "length": 1 / 3}
    )
    picked = run(4, pool=pool, **NONE, scores={"loss": 1.0, "length": 0.5})
    assert picked.rows.tolist() == [3, 2, 1, 0]  # (4 + 0.5 * 1) / 6, (3 + 1) / 6, ...
    assert [r.score for r in picked.reasons] == pytest.approx([4.5 / 6, 4 / 6, 3.5 / 6, 3 / 6])
    assert picked.reasons[0].shares == pytest.approx({"loss": 4 / 4.5, "length": 0.5 / 4.5})


def test_only_the_proportion_of_weights_matters():
    one = run(40, saps=0.2, ccs=0.4, behaviour=0.6, scores={"loss": -0.8})
    two = run(40, saps=0.1, ccs=0.2, behaviour=0.3, scores={"loss": -0.4})
    np.testing.assert_array_equal(one.rows, two.rows)


@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
def test_saps_alone_takes_the_rows_that_saps_takes(rho):
    even = np.repeat(np.arange(4), 30)  # clusters of one size, so that both share the budget alike
    pool = replace(POOL, clusters={"kmeans": even})
    blended = run(40, pool=pool, rho=rho, boundary="centroid", **ONLY["saps"]).rows
    assert set(blended) == set(select("saps", pool, 40, {"rho": rho, "boundary": "centroid"}).rows)


def test_ccs_alone_covers_strata_as_ccs_does_and_leaves_the_hard_tail():
    given = {"strata": 6, "beta": 0.25}
    blended, plain = run(30, **given, **ONLY["ccs"]), select("ccs", POOL, 30, given)
    score = POOL.scores["el2n"].values
    edges = np.linspace(score.min(), np.sort(score)[89], 7)[1:-1]  # the 30 hardest of 120 are cut

    def strata(picked):
        return np.bincount(np.digitize(score[picked.rows], edges), minlength=6)

    assert abs(strata(blended) - strata(plain)).max() <= 1
    assert score[blended.rows].max() <= np.sort(score)[89]


def test_behaviour_alone_takes_types_by_their_worth_ties_by_row():
    picked = run(30, t1=0.1, t2=0.0, t3=1.0, t4=0.0, **ONLY["behaviour"])
    may = ~POOL.blocked
    t3 = np.flatnonzero((POOL.behaviour == "T3") & may)
    t1 = np.flatnonzero((POOL.behaviour == "T1") & may)
    assert picked.rows.tolist() == [*t3, *t1][:30]


def test_a_score_alone_takes_its_high_end_and_below_zero_its_low_end():
    order = np.argsort(POOL.scores["loss"].values)
    assert run(30, **LOSS).rows.tolist() == order[::-1][:30].tolist()
    assert run(30, **NONE, scores={"loss": -0.3}).rows.tolist() == order[:30].tolist()


def test_rows_without_a_score_come_last_and_are_counted_aloud():
    values = np.array([3.0, np.nan, 1.0, np.nan])
    pool = Candidates(n=4, scores={"loss": Score(values)})
    for weight, order in ((1.0, [0, 2, 1, 3]), (-1.0, [2, 0, 1, 3])):
        picked = run(4, pool=pool, **NONE, scores={"loss": weight})
        assert picked.rows.tolist() == order
        assert picked.warnings == ("2 of 4 eligible rows have no score 'loss': it counts 0 for them",)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_takes_what_a_stable_sort_of_all_rows_takes(data):
    n = data.draw(st.integers(4, 40))
    levels = st.lists(st.integers(0, 3), min_size=n, max_size=n).map(lambda v: np.array(v, dtype=float))
    pool = Candidates(n=n, scores={"loss": Score(data.draw(levels)), "length": Score(data.draw(levels))})
    pins = data.draw(st.lists(st.integers(0, n - 1), max_size=3, unique=True))
    pool = replace(pool, taken=np.array(pins, dtype=int))
    weights = {"loss": data.draw(st.sampled_from([-1, 0.3, 1])), "length": 0.5}
    picked = run(data.draw(st.integers(len(pins) + 1, n)), pool=pool, **NONE, scores=weights)
    total = picked.ledger.value
    slow = [row for row in sorted(range(n), key=lambda r: (-total[r], r)) if row not in pins]
    assert picked.rows.tolist() == [*pins, *slow][: len(picked.rows)]


def test_another_weight_makes_nothing_slow_again():
    pool = replace(POOL)
    run(40, pool=pool, scores={"loss": 0.5})
    known = dict(pool.memo)
    run(30, pool=pool, saps=0.3, ccs=0.1, t1=0.2, scores={"loss": 0.1}, quota="none")
    assert pool.memo == known and len(known) >= 6
    run(30, pool=pool, rho=0.9)
    assert len(pool.memo) == len(known) + 1  # the line of each cluster; distances stay


def test_seeds_decide_only_what_ccs_draws():
    rows = {seed: tuple(select("blend", POOL, 30, ONLY["ccs"], seed=seed).rows) for seed in (0, 1, 0)}
    assert rows[0] != rows[1]
    for fixed in (ONLY["saps"], LOSS):
        assert len({tuple(select("blend", POOL, 30, fixed, seed=seed).rows) for seed in range(3)}) == 1


def test_diversity_spreads_rows_and_says_what_it_took_off():
    plain, varied = run(40, **LOSS), run(40, **LOSS, diversity=0.8)

    def likeness(rows):
        unit = POOL.vectors["embedding"][rows]
        unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
        return (unit @ unit.T - 2 * np.eye(len(rows))).max(axis=1).mean()

    assert likeness(varied.rows) < likeness(plain.rows)
    assert varied.reasons[0].penalty == 0 and plain.reasons[0].penalty is None
    value = [r.score - r.penalty for r in varied.reasons]
    assert value == pytest.approx(sorted(value, reverse=True))


def test_diversity_counts_pins_as_chosen():
    x = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    pool = Candidates(n=3, vectors={"embedding": x}, scores={"loss": Score(np.array([2.0, 3.0, 1.0]))})
    assert run(2, pool=replace(pool, taken=np.array([0])), **LOSS, diversity=1.0).rows.tolist() == [0, 2]


def test_quotas_share_by_category_and_a_category_takes_its_best():
    picked = run(30, quota="custom", table={"threat": 12, "fraud": 50 - 32}, **LOSS)
    loss = POOL.scores["loss"].values
    fraud, threat = (np.flatnonzero(POOL.categories[:, c]) for c in (2, 1))
    by = [r.category for r in picked.reasons]
    assert by.count("fraud") == len(fraud) and by.count("threat") == 12
    open_threat = np.setdiff1d(threat, fraud)
    best = open_threat[np.argsort(-loss[open_threat])][:12]
    assert picked.rows[[b == "threat" for b in by]].tolist() == best.tolist()
    assert [r.role for r in picked.reasons] == ["quota" if b else "rest" for b in by]
    assert f"asked 18 of category fraud, it has {len(fraud)}" in picked.warnings[0]


def test_rows_that_may_not_be_taken_fill_no_quota():
    given = {"quota": "equal", "quota_by": "behaviour", "saps": 0.0, "ccs": 0.0}
    picked = run(40, **given)
    assert {r.category for r in picked.reasons} == {"T1", "T2", "T3", "T4"}
    assert not POOL.blocked[picked.rows].any()


def test_a_cluster_quota_names_the_cluster_and_the_ledger_who_competed_where():
    picked = run(20, quota="equal", quota_by="kmeans", **LOSS)
    assert [r.cluster for r in picked.reasons] == LABELS[picked.rows].tolist()
    assert np.bincount([r.cluster for r in picked.reasons]).tolist() == [5, 5, 5, 5]
    np.testing.assert_array_equal(picked.ledger.group, LABELS)
    assert picked.ledger.group_kind == "cluster" and picked.ledger.group_names[2] == "2"
    last = {c: min(picked.ledger.value[picked.rows[LABELS[picked.rows] == c]]) for c in range(4)}
    rest = np.setdiff1d(np.arange(N), picked.rows)
    assert all(picked.ledger.value[row] <= last[LABELS[row]] for row in rest)


def test_only_a_blend_without_quotas_is_nested():
    spec = STRATEGIES["blend"]
    assert spec.nested(spec.params(diversity=0.5)) and not spec.nested(spec.params(quota="minimum"))


def test_blocked_and_unlabelled_rows_are_never_taken_and_the_shortfall_is_said():
    picked = run(N)
    good = ~POOL.blocked & (POOL.behaviour != "unparsed")
    assert set(picked.rows) == set(np.flatnonzero(good))
    assert picked.shortfall == N - good.sum() and "cannot be filled" in picked.warnings[0]
    np.testing.assert_array_equal(picked.ledger.out, ~good)
    assert "no behaviour type" in picked.ledger.out_reason


def test_without_a_behaviour_weight_labels_are_not_looked_at():
    assert len(run(N, saps=1.0, ccs=1.0, behaviour=0.0).rows) == N


def test_all_weights_zero_is_refused_scores_included():
    with pytest.raises(BadInput, match="all weights are zero"):
        run(5, **NONE)
    with pytest.raises(BadInput, match="all weights are zero"):
        run(5, **NONE, scores={"loss": 0.0})


def test_a_score_weight_beyond_one_is_refused():
    with pytest.raises(BadInput, match=r"loss has the weight -2; give -1 to 1"):
        run(5, scores={"loss": -2.0})


def test_a_row_worth_nothing_still_has_shares():
    picked = run(N, t1=0, t2=0, t3=0, t4=0, **ONLY["behaviour"])
    assert {tuple(r.shares.items()) for r in picked.reasons} == {(("behaviour", 1.0),)}


def test_with_diversity_the_ledger_shows_totals_not_the_bounds_found_on_the_way():
    """A copy of the first row is passed over early, and what it would lose is never worked out again."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(20_000, 8)).astype(np.float32)
    x[1] = x[0]
    loss = rng.random(20_000)
    loss[:2] = 2.0, 0.05
    pool = Candidates(n=20_000, vectors={"embedding": x}, scores={"loss": Score(loss)})
    plain, varied = run(50, pool=pool, **LOSS), run(50, pool=pool, **LOSS, diversity=0.3)
    assert varied.rows[0] == 0 and 1 not in varied.rows
    np.testing.assert_array_equal(varied.ledger.value, plain.ledger.value)
    assert plain.ledger.value_name == "total utility"
    assert varied.ledger.value_name == "total utility before likeness"
    assert [r.score for r in varied.reasons] == varied.ledger.value[varied.rows].tolist()


def test_the_shortfall_has_thousands_commas():
    kinds = np.array(["T1"] * 1000 + ["unparsed"] * 1330, dtype=object)
    picked = run(2330, pool=Candidates(n=2330, behaviour=kinds), **ONLY["behaviour"])
    assert picked.warnings[-1].startswith("1,330 rows of the budget cannot be filled")
