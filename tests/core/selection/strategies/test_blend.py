"""Blend: one weight alone orders rows as its part does, shares add up, and refused rows stay out."""

from dataclasses import replace

import numpy as np
import pytest

from core.errors import BadInput
from core.selection import STRATEGIES, Candidates, Score, select

RNG = np.random.default_rng(0)
N = 120
LABELS = RNG.integers(0, 4, N)
POOL = Candidates(
    n=N,
    vectors={"pca50": (RNG.normal(size=(N, 3)) + 3 * LABELS[:, None]).astype(np.float32)},
    clusters={"kmeans": LABELS},
    scores={"el2n": Score(RNG.normal(size=N))},
    behaviour=RNG.choice(np.array(["T1", "T2", "T3", "T4", "unparsed"], dtype=object), N),
    blocked=RNG.random(N) < 0.1,
)
ONLY = {k: {"saps": 0.0, "ccs": 0.0, "behaviour": 0.0, k: 1.0} for k in ("saps", "ccs", "behaviour")}


def run(budget, pool=POOL, **given):
    return select("blend", pool, budget, given)


def test_needs_only_what_has_a_weight():
    spec = STRATEGIES["blend"]
    assert spec.needs(spec.params(**ONLY["behaviour"])) == ("column:behaviour",)
    assert spec.needs(spec.params(**ONLY["ccs"], score="loss")) == ("score:loss",)
    assert spec.needs(spec.params(**ONLY["saps"])) == ("cluster:kmeans", "vectors:pca50")
    assert len(spec.needs(spec.params())) == 4


@pytest.mark.parametrize("given", [{}, {"saps": 0.2, "ccs": 0.9, "behaviour": 0.4}, ONLY["ccs"]])
def test_shares_of_every_row_add_to_one_and_are_parts_of_its_total(given):
    picked = run(40, **given)
    for reason in picked.reasons:
        assert sum(reason.shares.values()) == pytest.approx(1)
        assert min(reason.shares.values()) >= 0
        assert 0 <= reason.score <= 1
    assert [r.score for r in picked.reasons] == sorted((r.score for r in picked.reasons), reverse=True)


def test_only_the_proportion_of_weights_matters():
    one = run(40, saps=0.2, ccs=0.4, behaviour=0.6)
    two = run(40, saps=0.1, ccs=0.2, behaviour=0.3)
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


def test_blocked_and_unlabelled_rows_are_never_taken_and_the_shortfall_is_said():
    picked = run(N)
    good = ~POOL.blocked & (POOL.behaviour != "unparsed")
    assert set(picked.rows) == set(np.flatnonzero(good))
    assert picked.shortfall == N - good.sum() and "cannot be filled" in picked.warnings[0]


def test_without_a_behaviour_weight_labels_are_not_looked_at():
    assert len(run(N, saps=1.0, ccs=1.0, behaviour=0.0).rows) == N


def test_all_weights_zero_is_refused():
    with pytest.raises(BadInput, match="all weights are zero"):
        run(5, saps=0, ccs=0, behaviour=0)


def test_a_row_worth_nothing_still_has_shares():
    picked = run(N, t1=0, t2=0, t3=0, t4=0, **ONLY["behaviour"])
    assert {tuple(r.shares.items()) for r in picked.reasons} == {(("behaviour", 1.0),)}
