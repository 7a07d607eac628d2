"""Query-focused facility location: the vectors of selection 9.2, plain greedy, who is the query."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import core.selection.coverage
import core.selection.strategies.facility_location_query as module
from core.errors import MissingInput
from core.selection import Candidates, Reference, select

CANDIDATES = [(0.9, 0.1), (0.8, 0.2), (0.1, 0.7)]  # cosines of a, b, c to the queries (1, 0), (0, 1)


def pool_of(x, queries, failed=None, **more):
    x, queries = np.asarray(x, dtype=np.float32), np.asarray(queries, dtype=np.float32)
    reference = Reference(queries, failed=None if failed is None else np.asarray(failed, dtype=bool))
    return Candidates(n=len(x), vectors={"embedding": x}, references={"embedding": reference}, **more)


def hand_pool(**more):
    """a, b, c with a third coordinate that makes them unit vectors, so that their cosines are as given."""
    x = np.array([(p, q, np.sqrt(1 - p * p - q * q)) for p, q in CANDIDATES])
    return pool_of(x, [(1, 0, 0), (0, 1, 0)], **more)


def scores(picked):
    return [reason.score for reason in picked.reasons]


def unit(x):
    x = np.asarray(x, dtype=np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0)


def value(s, rows, eta):
    """The FL variant by its formula; s (candidates, queries)."""
    if len(rows) == 0:
        return 0.0
    part = np.maximum(s[rows], 0)
    return part.max(axis=0).sum() + eta * part.max(axis=1).sum()


def test_follows_the_hand_checked_order_and_gains():
    picked = select("facility_location_query", hand_pool(), 3, {"kernel": "cos"})
    assert picked.rows.tolist() == [0, 2, 1]
    np.testing.assert_allclose(scores(picked), [1.9, 1.3, 0.8], atol=1e-5)
    np.testing.assert_allclose(picked.trace["objective"], [1.9, 3.2, 4.0], atol=1e-5)
    np.testing.assert_allclose([r.shares["nearness"] for r in picked.reasons], [9 / 19, 7 / 13, 1], atol=1e-5)
    second = select("facility_location_query", hand_pool(), 1, {"kernel": "cos"}).ledger.value
    np.testing.assert_allclose(second, [1.9, 0.9, 1.3], atol=1e-5)


def test_the_graph_cut_form_takes_the_hand_checked_order():
    settings = {"kernel": "cos", "objective": "graph_cut"}
    picked = select("facility_location_query", hand_pool(), 3, settings)
    assert picked.rows.tolist() == [0, 1, 2]
    np.testing.assert_allclose(scores(picked), [2.0, 2.0, 1.6], atol=1e-5)


def test_without_eta_only_the_coverage_of_failures_counts():
    picked = select("facility_location_query", hand_pool(), 3, {"kernel": "cos", "eta": 0.0})
    np.testing.assert_allclose(scores(picked), [1.0, 0.6, 0.0], atol=1e-5)
    assert picked.rows.tolist() == [0, 2, 1]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n=st.integers(1, 25),
    m=st.integers(1, 8),
    eta=st.sampled_from([0.0, 0.3, 1.0]),
    kernel=st.sampled_from(["cos01", "cos"]),
)
def test_takes_what_plain_greedy_takes_with_pins_bans_ties_and_duplicates(seed, n, m, eta, kernel):
    rng = np.random.default_rng(seed)
    x, queries = rng.integers(-2, 3, (n, 3)), rng.integers(-2, 3, (m, 3))
    marks = rng.choice(["pin", "ban", "", "", ""], n)
    pins, usable = np.flatnonzero(marks == "pin"), np.flatnonzero(marks != "ban")
    pool = pool_of(x, queries, taken=pins, allowed=marks != "ban")
    if len(usable) == len(pins):
        return  # nothing to choose
    picked = select("facility_location_query", pool, len(usable), {"kernel": kernel, "eta": eta})
    s = unit(x) @ unit(queries).T
    s = s if kernel == "cos" else 0.5 + 0.5 * s
    held, left = pins.tolist(), set(usable) - set(pins)
    for row, gain in list(zip(picked.rows, scores(picked), strict=True))[len(pins) :]:
        more = {j: value(s, [*held, j], eta) - value(s, held, eta) for j in left}
        assert more[row] >= max(more.values()) - 1e-4
        assert gain == pytest.approx(more[row], abs=1e-4)
        held.append(row)
        left.remove(row)
    assert picked.trace["objective"][-1] == pytest.approx(value(s, usable, eta), abs=1e-4)


def test_is_at_least_1_minus_1_over_e_of_the_best_of_all_subsets():
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, queries = rng.normal(size=(9, 3)), rng.normal(size=(5, 3))
        s = 0.5 + 0.5 * unit(x) @ unit(queries).T
        best = max(value(s, list(rows), 1.0) for rows in combinations(range(9), 3))
        chosen = select("facility_location_query", pool_of(x, queries), 3).rows
        assert (1 - 1 / np.e) * best <= value(s, chosen, 1.0) <= best + 1e-5


def test_only_failed_reference_rows_are_the_query():
    x, queries = [(1, 0), (0, 1)], [(1, 0), (0, 1)]
    for failed, first in (([True, False], 0), ([False, True], 1)):
        picked = select("facility_location_query", pool_of(x, queries, failed), 1)
        assert picked.rows.tolist() == [first]


def test_no_failure_on_record_is_said_and_what_to_do():
    with pytest.raises(MissingInput, match=r"none of the 2 reference rows failed.*name a reference pool"):
        select("facility_location_query", pool_of([(1, 0)], np.eye(2), [False, False]), 1)


def test_a_pinned_row_leaves_its_failures_to_nobody():
    """With c pinned, query 2 is nearly covered; b would come before a only if that were forgotten."""
    pool = replace(hand_pool(), taken=np.array([2]))
    picked = select("facility_location_query", pool, 3, {"kernel": "cos"})
    assert picked.rows.tolist() == [2, 0, 1]
    np.testing.assert_allclose(picked.trace["objective"], [1.5, 3.2, 4.0], atol=1e-5)


def test_large_tables_keep_only_the_nearest_rows_of_each_failure(monkeypatch):
    rng = np.random.default_rng(2)
    pool = pool_of(rng.normal(size=(60, 4)), rng.normal(size=(7, 4)))
    dense = select("facility_location_query", pool, 7)
    monkeypatch.setattr(module, "DENSE_ROWS", 10)
    monkeypatch.setattr(module, "NEIGHBOURS", 60)
    full = select("facility_location_query", pool, 7)
    np.testing.assert_array_equal(full.rows, dense.rows)
    np.testing.assert_allclose(scores(full), scores(dense), atol=1e-5)
    monkeypatch.setattr(module, "NEIGHBOURS", 5)
    few = select("facility_location_query", pool, 7)
    s = 0.5 + 0.5 * unit(pool.vectors["embedding"]) @ unit(pool.references["embedding"].vectors).T
    assert value(s, few.rows, 1.0) > 0.95 * value(s, dense.rows, 1.0)
    assert core.selection.coverage.DENSE_ROWS == 10_000


def test_failures_in_one_corner_draw_rows_from_that_corner():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 5)) + np.where(np.arange(200) < 40, 4, 0)[:, None]
    pool = pool_of(x, rng.normal(size=(10, 5)) + 4)
    assert (select("facility_location_query", pool, 20).rows < 40).all()


def test_a_failure_unlike_every_row_counts_as_nothing_as_the_setting_says():
    pool = pool_of([(1, 0), (0, 1)], [(-1, 0)])
    assert scores(select("facility_location_query", pool, 2, {"kernel": "cos"})) == [0, 0]
    described = module.FacilityLocationQueryParams.model_fields["kernel"].description
    assert described.endswith("cos is the cosine, below 0 counts as 0.")
