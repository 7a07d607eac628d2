"""Early stopping, batches and learning rates."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.training.schedule import EarlyStopping, TrainingParams, batches, rate, total_steps


def test_f16_strict_improvement_stops_at_the_fifth_and_keeps_the_second():
    watch = EarlyStopping(patience=3)
    better, stopped = [], []
    for value in (5.0, 4.0, 4.1, 4.0, 4.2):
        better.append(watch.better(value))
        stopped.append(watch.exhausted)
    assert better == [True, True, False, False, False]
    assert stopped == [False, False, False, False, True]


def test_nan_is_never_an_improvement():
    watch = EarlyStopping(patience=2)
    assert not watch.better(math.nan) and watch.better(1.0) and not watch.better(math.nan)
    assert watch.best == 1.0


@given(n=st.integers(1, 30), size=st.integers(1, 12), seed=st.integers(0, 5))
def test_every_epoch_sees_each_row_once_and_the_last_partial_batch_is_kept(n, size, seed):
    per_epoch = math.ceil(n / size)
    drawn = list(islice(batches(n, size, np.random.default_rng(seed)), 2 * per_epoch))
    for epoch in (drawn[:per_epoch], drawn[per_epoch:]):
        assert sorted(np.concatenate(epoch)) == list(range(n))
    again = list(islice(batches(n, size, np.random.default_rng(seed)), 2 * per_epoch))
    assert all((a == b).all() for a, b in zip(drawn, again, strict=True))


def test_the_rate_rises_over_the_warmup_and_then_stays_or_falls_to_zero():
    constant = TrainingParams(lr=1.0, warmup=3)
    assert [rate(s, 8, constant) for s in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    linear = TrainingParams(lr=1.0, warmup=3, schedule="linear")
    found = [rate(s, 8, linear) for s in range(9)]
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, 0.8, 0.6, 0.4, 0.2, 0.0])


def test_steps_say_more_than_epochs():
    assert total_steps(10, TrainingParams(batch=4, epochs=2)) == 6
    assert total_steps(10, TrainingParams(batch=4, epochs=0.5)) == 2
    assert total_steps(10, TrainingParams(batch=4, epochs=2, steps=50)) == 50
    assert total_steps(40, TrainingParams(batch=4, epochs=1.1)) == 11  # floating point says 12


def test_the_defaults_are_the_papers():
    p = TrainingParams()
    assert (p.batch, p.warmup, p.clip, p.validate_every, p.validation_size, p.patience) == (
        4,
        150,
        10,
        25,
        64,
        30,
    )
    assert (p.optimizer, p.weight_decay, p.schedule) == ("rmsprop", 0.0, "constant")
    assert "ten times" in TrainingParams.model_fields["optimizer"].description
