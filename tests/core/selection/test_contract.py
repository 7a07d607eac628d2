"""What every strategy promises, checked for every file in core/selection/strategies."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args, get_origin

import numpy as np
import pytest
from annotated_types import Ge, Le
from hypothesis import given, settings
from hypothesis import strategies as st

import core.selection.strategies
from core.scoring import SCORES
from core.selection import STRATEGIES, Candidates, Reference, Score, select

NAMES = list(STRATEGIES)
VECTORS = ("embedding", "embedding@prompt", "embedding@prompt+response", "pca50", "umap10")
MAY_FALL_SHORT = {
    "sss",
    "pss",
    "cossim",
    "stratified",
    "blend",
}  # they refuse rows; the others always fill the budget


def make_pool(n, d, levels, seed, dtype=np.float32):
    """A pool with every input, full of duplicates and ties: that is where greedy code breaks."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, levels, (n, d)).astype(dtype)
    return Candidates(
        n=n,
        ids=tuple(f"row-{i}" for i in range(n)),
        vectors=dict.fromkeys(VECTORS, x),
        clusters={"kmeans": rng.integers(0, 4, n), "hdbscan": rng.integers(-1, 3, n)},
        membership={name: rng.integers(0, 3, n) / 2 for name in ("kmeans", "hdbscan")},
        scores={name: Score(rng.integers(0, levels, n).astype(dtype)) for name in SCORES},
        category_names=("insult", "threat", "fraud, theft"),
        categories=rng.random((n, 3)) < 0.4,
        behaviour=rng.choice(np.array(["T1", "T2", "T3", "T4", "unparsed"], dtype=object), n),
        blocked=rng.random(n) < 0.1,
        group=np.arange(n),
        tokens=rng.integers(1, 50, n),
        references={
            space: Reference(
                rng.integers(0, levels, (7, d)).astype(dtype),
                tuple(f"reference-{i}" for i in range(7)),
                ("insult", "threat", "fraud, theft"),
                np.eye(3, dtype=bool)[rng.integers(0, 3, 7)],
                np.arange(7) < 5,
            )
            for space in VECTORS
        },
    )


@st.composite
def pools(draw):
    n, d, levels = draw(st.integers(1, 40)), draw(st.integers(1, 4)), draw(st.integers(1, 5))
    return make_pool(n, d, levels, draw(st.integers(0, 2**16)))


def any_value(field):
    """A hypothesis strategy for one settings field, from the same facts its form is drawn from."""
    if get_origin(field.annotation) is Literal:
        return st.sampled_from(get_args(field.annotation))
    if field.annotation is bool:
        return st.booleans()
    if field.annotation is float:
        low = next(m.ge for m in field.metadata if isinstance(m, Ge))
        high = next(m.le for m in field.metadata if isinstance(m, Le))
        return st.sampled_from([low, (low + high) / 2, high, field.default])
    if field.json_schema_extra == {"registry": "score"} and get_origin(field.annotation) is dict:
        return st.dictionaries(st.sampled_from(list(SCORES)), st.sampled_from([-1.0, 0.0, 0.4]), max_size=3)
    return st.just(field.default)


def any_settings(name):
    fields = STRATEGIES[name].params.model_fields
    drawn = st.fixed_dictionaries({key: any_value(field) for key, field in fields.items()})
    return drawn.filter(lambda s: name != "blend" or s["saps"] + s["ccs"] + s["behaviour"] > 0)


def test_every_file_is_one_strategy_of_its_own_name():
    files = {p.stem for p in Path(core.selection.strategies.__path__[0]).glob("[!_]*.py")}
    assert set(STRATEGIES) == files


def test_every_strategy_has_a_test_of_its_meaning():
    tests = {p.stem.removeprefix("test_") for p in (Path(__file__).parent / "strategies").glob("test_*.py")}
    assert set(STRATEGIES) <= tests


@pytest.mark.parametrize("name", NAMES)
def test_a_form_can_be_drawn_from_the_settings(name):
    for key, field in STRATEGIES[name].params.model_fields.items():
        kind = field.annotation
        assert kind in (int, float, bool, str, dict[str, float]) or get_origin(kind) is Literal, key
        assert field.description and not field.is_required(), key
        assert kind not in (int, float) or any(isinstance(m, Ge) for m in field.metadata), key


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=80, deadline=None)
@given(pool=pools(), data=st.data())
def test_fills_the_budget_with_distinct_rows_or_says_how_many_are_missing(name, pool, data):
    budget = data.draw(st.integers(1, pool.n))
    picked = select(name, pool, budget, data.draw(any_settings(name)), seed=3)
    assert len(set(picked.rows.tolist())) == len(picked.rows) == len(picked.reasons)
    assert len(picked.rows) + picked.shortfall == budget
    assert picked.shortfall == 0 or (name in MAY_FALL_SHORT and picked.warnings)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(pool=pools(), data=st.data())
def test_pins_come_first_and_bans_never(name, pool, data):
    marks = data.draw(
        st.lists(st.sampled_from(["pin", "ban", "none", "none"]), min_size=pool.n, max_size=pool.n)
    )
    pins = np.flatnonzero(np.array(marks) == "pin")
    allowed = np.array(marks) != "ban"
    pool = replace(pool, taken=pins[::-1].copy(), allowed=allowed)
    budget = data.draw(st.integers(len(pins), pool.n))
    picked = select(name, pool, budget)
    assert picked.rows[: len(pins)].tolist() == pins[::-1].tolist()
    roles = [r.role == "pin" for r in picked.reasons]
    assert roles == [True] * len(pins) + [False] * (len(picked.rows) - len(pins))
    assert allowed[picked.rows].all()
    assert len(picked.rows) + picked.shortfall == budget
    if name not in MAY_FALL_SHORT:
        assert len(picked.rows) == min(budget, int(allowed.sum()))
    for trace in picked.trace.values():
        assert len(trace) == len(picked.rows)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(pool=pools(), data=st.data())
def test_same_seed_same_choice(name, pool, data):
    given_settings = data.draw(any_settings(name))
    one, two = (select(name, pool, pool.n, given_settings, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.rows, two.rows)
    assert one.reasons == two.reasons


@pytest.mark.parametrize("name", [n for n in STRATEGIES if STRATEGIES[n].nested(STRATEGIES[n].params())])
@settings(max_examples=25, deadline=None)
@given(pool=pools(), data=st.data())
def test_nested_strategies_only_add_rows_when_the_budget_grows(name, pool, data):
    nested = STRATEGIES[name].nested
    given_settings = data.draw(any_settings(name).filter(lambda s: nested(STRATEGIES[name].params(**s))))
    small = data.draw(st.integers(1, pool.n))
    few = select(name, pool, small, given_settings).rows
    np.testing.assert_array_equal(select(name, pool, pool.n, given_settings).rows[: len(few)], few)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_reads_read_only_inputs_and_leaves_them_alone(name, dtype):
    pool = make_pool(30, 3, 5, seed=1, dtype=dtype)
    frozen = [*pool.vectors.values(), *pool.clusters.values(), *pool.membership.values()]
    frozen += [pool.scores["el2n"].values, pool.categories, pool.behaviour, pool.blocked]
    before = [a.copy() for a in frozen]
    for a in frozen:
        a.flags.writeable = False
    select(name, pool, 10)
    for a, b in zip(frozen, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_a_pin_never_changes_what_is_allowed_in_the_input(name):
    allowed = np.ones(30, dtype=bool)
    select(name, replace(make_pool(30, 3, 5, seed=2), allowed=allowed), 10)
    assert allowed.all()


@pytest.mark.parametrize("name", NAMES)
def test_reasons_are_plain_numbers_that_can_be_stored(name):
    for reason in select(name, make_pool(40, 2, 3, seed=4), 20).reasons:
        assert type(reason).model_validate_json(reason.model_dump_json()) == reason
        assert reason.role
