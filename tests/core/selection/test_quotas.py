"""Quotas by hand: who takes first, what flows on, what is said aloud, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadBudget, BadInput
from core.selection import Candidates
from core.selection.allocation import proportional, water_fill
from core.selection.draw import NOBODY
from core.selection.quotas import Labels, QuotaParams, fill, quota_needs
from core.selection.ranking import best

# rows 0-1 theft, 2-4 fraud, 5-9 insult, 10-11 no category; a lower row is worth more
NAMES = ("insult", "fraud", "theft", "arson")
MEMBER = np.zeros((12, 4), dtype=bool)
MEMBER[5:10, 0] = MEMBER[2:5, 1] = MEMBER[:2, 2] = True
POOL = Candidates(n=12, category_names=NAMES, categories=MEMBER)


def run(budget, pool=POOL, **given_settings):
    params = QuotaParams(**given_settings)
    labels = Labels.of(pool, params.quota_by, pool.usable)
    worth = -np.arange(pool.n, dtype=float)
    filled = fill(
        params, labels, pool.free, pool.taken, budget, lambda rows, count, _: best(rows, worth[rows], count)
    )
    names = [labels.names.get(int(number), "") for number in labels.number(filled.by)]
    return filled.rows.tolist(), names, filled.said


def counts(names):
    return {name: names.count(name) for name in sorted(set(names))}


def test_needs_what_tells_the_labels():
    assert quota_needs(QuotaParams()) == ()
    assert quota_needs(QuotaParams(quota="equal")) == ("column:category",)
    assert quota_needs(QuotaParams(quota="equal", quota_by="behaviour")) == ("column:behaviour",)
    assert quota_needs(QuotaParams(quota="custom", quota_by="hdbscan")) == ("cluster:hdbscan",)


def test_equal_shares_are_water_filled_the_rarest_label_first():
    rows, names, said = run(9, quota="equal")
    assert rows == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert counts(names) == {"fraud": 3, "insult": 4, "theft": 2}
    assert said == ("asked 3 of category theft, it has 2; asked 3 of category arson, it has 0",)


def test_proportional_shares_follow_the_sizes():
    assert counts(run(5, quota="proportional")[1]) == {"fraud": 2, "insult": 2, "theft": 1}
    assert run(5, quota="proportional")[2] == ()


def test_rows_without_a_label_come_only_when_the_labels_are_empty():
    for quota in ("equal", "proportional"):
        assert not {10, 11} & set(run(10, quota=quota)[0])
        rows, names, _ = run(11, quota=quota)
        assert rows[-1] == 10 and names[-1] == ""


def test_a_minimum_comes_first_and_the_rest_goes_by_utility():
    rows, names, said = run(8, quota="minimum", minimum=2)
    assert rows == [0, 1, 2, 3, 5, 6, 4, 7]  # theft, fraud, insult, then the two that are worth most
    assert names[-2:] == ["", ""]
    assert said == ("asked 2 of category arson, it has 0",)


def test_what_a_label_lacks_is_said_and_flows_on():
    rows, _, said = run(12, quota="minimum", minimum=4)
    assert len(rows) == 12
    assert (
        "asked 4 of category theft, it has 2" in said[0] and "asked 4 of category fraud, it has 3" in said[0]
    )


def test_minimums_above_the_budget_are_shared_evenly_and_that_is_said():
    rows, names, said = run(4, quota="minimum", minimum=3)
    assert counts(names) == {"fraud": 1, "insult": 2, "theft": 1} and len(rows) == 4
    assert "3 rows of each category are 8 rows together, more than the budget" in said[0]


def test_a_small_label_leaves_its_part_of_a_tight_budget_to_the_others():
    label = np.array([2] * 5 + [1] * 5 + [0])
    pool = Candidates(n=11, clusters={"kmeans": label})
    rows, names, _ = run(7, pool, quota="minimum", minimum=4, quota_by="kmeans")
    assert counts(names) == {"0": 1, "1": 3, "2": 3} and len(rows) == 7


def test_a_table_gives_each_label_its_rows_and_the_rest_by_utility():
    rows, names, said = run(6, quota="custom", table={"insult": 3, "fraud": 1})
    assert rows == [2, 5, 6, 7, 0, 1] and names == ["fraud", "insult", "insult", "insult", "", ""]
    assert said == ()
    assert run(3, quota="custom")[0] == [0, 1, 2]  # an empty table asks nothing


def test_a_table_that_asks_for_more_than_a_label_has_is_answered_aloud():
    rows, names, said = run(9, quota="custom", table={"theft": 5, "arson": 1})
    assert counts(names) == {"": 7, "theft": 2} and len(rows) == 9
    assert said == ("asked 5 of category theft, it has 2; asked 1 of category arson, it has 0",)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"insult": 4, "fraud": 3}, "asks for 7 rows, more than the budget of 6"),
        ({"insult": 1, "arson": 6}, "asks for 7 rows"),
        ({"slander": 1}, "names 'slander', which is no category of these rows; there are: insult, fraud"),
    ],
)
def test_tables_that_no_choice_meets_are_refused(table, words):
    with pytest.raises((BadInput, BadBudget), match=words):
        run(6, quota="custom", table=table)


@pytest.mark.parametrize("rows", [-1, 2.5])
def test_a_table_holds_whole_numbers_of_rows(rows):
    with pytest.raises(ValueError, match="is not a number of rows"):
        QuotaParams(quota="custom", table={"insult": rows})


def test_a_row_of_two_labels_counts_once_for_the_rarer():
    member = MEMBER.copy()
    member[:2, 0] = True  # theft is insult too
    pool = replace(POOL, categories=member)
    rows, names, _ = run(4, pool, quota="custom", table={"theft": 2, "insult": 2})
    assert rows == [0, 1, 5, 6] and counts(names) == {"insult": 2, "theft": 2}
    _, names, said = run(7, pool, quota="custom", table={"theft": 2, "insult": 5})
    assert counts(names) == {"insult": 5, "theft": 2} and said == ()
    _, names, said = run(9, pool, quota="custom", table={"theft": 2, "insult": 7})
    assert said == ("asked 7 of category insult, 2 of its 7 count for others",)


def test_pins_count_for_their_label():
    pool = replace(POOL, taken=np.array([0, 5, 6]))
    rows, names, _ = run(3, pool, quota="custom", table={"theft": 2, "insult": 3})
    assert rows == [1, 7, 2] and names == ["theft", "insult", ""]
    assert counts(run(3, pool, quota="equal")[1]) == {"fraud": 2, "theft": 1}
    with pytest.raises(BadBudget, match="asks for 4 rows, more than the budget of 3"):
        run(3, pool, quota="custom", table={"fraud": 4})


def test_behaviour_types_and_clusters_are_labels_and_noise_is_none():
    kinds = np.array(["T1", "T3", "T3", "not_run", "T4", "unparsed"], dtype=object)
    pool = Candidates(n=6, behaviour=kinds, clusters={"hdbscan": np.array([7, -1, 7, 3, -1, 7])})
    _, names, said = run(4, pool, quota="custom", quota_by="behaviour", table={"T3": 1, "T2": 2})
    assert counts(names) == {"": 3, "T3": 1} and said == ("asked 2 of behaviour type T2, it has 0",)
    rows, names, _ = run(5, pool, quota="equal", quota_by="hdbscan")
    assert rows == [3, 0, 2, 5, 1] and names == ["3", "7", "7", "7", ""]


def test_many_thin_labels_are_not_all_listed():
    pool = Candidates(n=30, clusters={"kmeans": np.arange(30)})
    given_settings = {"quota": "minimum", "minimum": 2, "quota_by": "kmeans"}
    assert run(30, pool, **given_settings | {"minimum": 1})[2] == ()
    (said,) = run(30, pool, **given_settings)[2]
    assert said.startswith("asked 2 of cluster 0, it has 1; ") and said.endswith("; and 22 more")


@given(data=st.data(), equal=st.booleans())
def test_labels_that_do_not_overlap_get_what_the_rule_gives_their_best_rows(data, equal):
    label = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=1, max_size=25)))
    pool = Candidates(n=len(label), clusters={"kmeans": label})
    budget = data.draw(st.integers(1, len(label)))
    params = QuotaParams(quota="equal" if equal else "proportional", quota_by="kmeans")
    labels = Labels.of(pool, "kmeans", pool.usable)
    worth = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(label), max_size=len(label))), float)
    filled = fill(
        params, labels, pool.free, pool.taken, budget, lambda rows, count, _: best(rows, worth[rows], count)
    )
    assert len(set(filled.rows.tolist())) == budget
    sizes = [len(rows) for rows in labels.members]
    goal = (water_fill if equal else proportional)(sizes, budget)
    for place, rows in enumerate(labels.members):
        mine = sorted(rows.tolist(), key=lambda r: (-worth[r], r))[: goal[place]]
        assert filled.rows[filled.by == place].tolist() == mine
    rest = sorted(np.flatnonzero(label < 0), key=lambda r: (-worth[r], r))
    assert filled.rows[filled.by == NOBODY].tolist() == rest[: budget - goal.sum()]


def two_clusters(pins):
    return Candidates(n=200, clusters={"kmeans": np.repeat([0, 1], 100)}, taken=np.arange(pins))


def test_pins_beyond_a_minimum_do_not_hide_that_the_budget_was_too_small():
    _, names, said = run(2, two_clusters(18), quota="minimum", quota_by="kmeans")
    assert names == ["1", "1"]
    assert said == (
        "10 rows of each cluster take 10 beside the pins, more than the 2 left of the budget: "
        "these were shared evenly among them",
    )
    assert run(10, two_clusters(18), quota="minimum", quota_by="kmeans")[2] == ()


def test_equal_shares_that_pins_of_others_use_up_are_not_laid_on_an_overlap():
    _, names, said = run(2, two_clusters(18), quota="equal", quota_by="kmeans")
    assert names == ["1", "1"]
    assert said == ("asked 10 of cluster 1, the pins outside it leave it 2",)
    assert run(2, two_clusters(0), quota="equal", quota_by="kmeans")[2] == ()


def test_equal_shares_that_an_overlap_starves_are_said():
    member = np.zeros((40, 2), dtype=bool)
    member[:10, 0] = member[:20, 1] = True
    pool = Candidates(n=40, category_names=("a", "b"), categories=member)
    _, names, said = run(30, pool, quota="equal")
    assert counts(names) == {"": 10, "a": 10, "b": 10}
    assert said == (
        "asked 15 of category a, it has 10; asked 15 of category b, 10 of its 20 count for others",
    )
    assert run(20, pool, quota="equal")[2] == ()


def test_row_counts_of_warnings_have_thousands_commas():
    pool = Candidates(n=6000, clusters={"kmeans": np.repeat([0, 1], [1200, 4800])})
    (said,) = run(4000, pool, quota="equal", quota_by="kmeans")[2]
    assert said == "asked 2,000 of cluster 0, it has 1,200"


@given(data=st.data(), quota=st.sampled_from(["equal", "minimum"]))
def test_what_is_said_of_a_label_adds_up_whatever_overlaps(data, quota):
    n, k = data.draw(st.integers(2, 14)), data.draw(st.integers(1, 3))
    rows = st.lists(st.booleans(), min_size=n, max_size=n)
    member = np.array([data.draw(rows) for _ in range(k)], dtype=bool).T
    pool = Candidates(n=n, category_names=("a", "b", "c")[:k], categories=member)
    budget, least = data.draw(st.integers(1, n)), data.draw(st.integers(0, 5))
    _, names, said = run(budget, pool, quota=quota, minimum=least)
    asked = budget // max(int(member.any(axis=0).sum()), 1) if quota == "equal" else least
    assert "pins" not in "".join(said)  # there are none
    for column, name in enumerate(pool.category_names):
        got = names.count(name)
        if got < asked and "together" not in "".join(said):
            has = int(member[:, column].sum())
            why = f"it has {has}" if has < asked else f"{has - got} of its {has} count for others"
            assert f"asked {asked} of category {name}, {why}" in said[0]
