"""Uniform: no row is favoured, and a ban leaves the order of the others alone."""

from dataclasses import replace

import numpy as np

from core.selection import Candidates, select

POOL = Candidates(n=10)


def test_every_row_is_taken_about_equally_often():
    counts = np.bincount(np.concatenate([select("uniform", POOL, 5, seed=s).rows for s in range(400)]))
    assert abs(counts - 200).max() < 5 * np.sqrt(
        400 * 0.25
    )  # five standard deviations of a binomial(400, 1/2)


def test_different_seeds_give_different_choices():
    assert len({tuple(select("uniform", POOL, 5, seed=s).rows) for s in range(20)}) > 15


def test_a_ban_takes_one_row_out_and_keeps_the_order_of_the_rest():
    order = select("uniform", POOL, 10).rows
    allowed = np.arange(10) != order[3]
    banned = select("uniform", replace(POOL, allowed=allowed), 9).rows
    np.testing.assert_array_equal(banned, np.delete(order, 3))


def test_the_ledger_knows_nothing_but_chance():
    ledger = select("uniform", POOL, 3).ledger
    assert ledger.at_random and ledger.value is None and ledger.group is None
