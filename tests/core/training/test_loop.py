"""The loop: what moves, what is told, when it ends, and that the best weights come back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.errors import Stopped
from core.lm.tokenise import Encoded
from core.training.checkpoints import snapshot, weights_hash, weights_of
from core.training.loop import Choice, Pair, Terms, optimizer, train
from core.training.schedule import TrainingParams

EMPTY = Encoded((0, 0), 1)
PAIRS = [Pair(number, EMPTY, EMPTY) for number in range(6)]


@dataclass
class Notes:
    """A reporter that remembers, and asks to stop after so many steps."""

    stop_after: int | None = None
    raising: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)
    told: list[tuple[int, int]] = field(default_factory=list)

    def progress(self, done: int, total: int, what: str) -> None:
        self.told.append((done, total))
        if self.raising and self.stop_after is not None and done >= self.stop_after:
            raise Stopped("asked")

    def record(self, row: Any) -> None:
        self.rows.append(dict(row))

    def stopping(self) -> bool:
        return not self.raising and self.stop_after is not None and len(self.steps) >= self.stop_after

    def asked(self, what):
        return False

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [r for r in self.rows if "loss" in r]

    @property
    def validations(self) -> list[dict[str, Any]]:
        return [r for r in self.rows if "validation" in r]


class Scripted:
    """Shrinks one bias towards zero; validation values and a NaN come as written."""

    def __init__(self, lm: Any, values: list[float], nan_at: int | None = None) -> None:
        self.weight = lm.model.transformer.ln_f.bias
        self.values, self.nan_at, self.calls, self.seen = iter(values), nan_at, 0, []

    def prepare(self, pairs: Any, reporter: Any) -> None:
        self.prepared = len(pairs)

    def loss(self, pairs: Any) -> Terms:
        self.seen.append([p.number for p in pairs])
        self.calls += 1
        loss = ((self.weight - 1) ** 2).sum() * (math.nan if self.calls == self.nan_at else 1.0)
        return Terms(loss, {"square": loss}, tokens=10)

    def validate(self, pairs: Any) -> Any:
        import torch

        return torch.tensor([next(self.values)])


class Everything:
    def __init__(self, lm: Any) -> None:
        self.lm = lm

    def prepare(self, pairs: Any, reporter: Any) -> None:
        pass

    def movable(self) -> Any:
        return weights_of(self.lm.model)

    def choose(self, pairs: Any) -> Choice:
        return Choice()

    def close(self) -> None:
        pass


def run(lm, objective, params, *, held_out=1, reporter=None, scope=None):
    return train(
        lm,
        objective,
        (scope or Everything)(lm),
        PAIRS,
        PAIRS[:held_out],
        params=params,
        seed=0,
        before=snapshot(weights_of(lm.model)),
        reporter=reporter or Notes(),
    )


def params(**given: Any) -> TrainingParams:
    return TrainingParams(**{"lr": 0.01, "warmup": 0, "batch": 4, "validate_every": 1, "steps": 4, **given})


@pytest.mark.parametrize("scale", [1, 100, 0.001])
def test_f3_a_cold_rmsprop_moves_by_ten_times_the_rate_whatever_the_gradient(scale):
    import torch

    model = torch.nn.Linear(2, 1, bias=False)
    before = model.weight.detach().clone()
    model.weight.grad = torch.tensor([[1.0, -2.0]]) * scale
    optimizer(model, 1e-3).step()
    assert (model.weight.detach() - before)[0].tolist() == pytest.approx([-0.01, 0.01], abs=1e-5)


def test_f16_stops_when_patience_runs_out_and_returns_the_best_weights(tiny_lm):
    lm, notes = tiny_lm(), Notes()
    done = run(lm, Scripted(lm, [5.0, 4.0, 4.1, 4.0, 4.2]), params(steps=100, patience=3), reporter=notes)
    assert (done.steps, done.best_step, done.best) == (4, 1, 4.0)
    assert "no better validation since step 1" in done.stopped_early
    assert [v["patience"] for v in notes.validations] == [0, 0, 1, 2, 3]
    once = tiny_lm()
    run(once, Scripted(once, [5.0, 4.0]), params(steps=1))
    assert weights_hash(snapshot(weights_of(lm.model))) == weights_hash(snapshot(weights_of(once.model))), (
        "the weights of step 1"
    )


def test_if_nothing_helps_the_untouched_model_comes_back(tiny_lm):
    lm = tiny_lm()
    before = weights_hash(snapshot(weights_of(lm.model)))
    done = run(lm, Scripted(lm, [1.0, 2.0, 3.0]), params(steps=2))
    assert done.best_step == 0 and weights_hash(snapshot(weights_of(lm.model))) == before


def test_without_validation_the_last_weights_stay(tiny_lm):
    lm = tiny_lm()
    before = weights_hash(snapshot(weights_of(lm.model)))
    done = run(lm, Scripted(lm, []), params(steps=3), held_out=0)
    assert (done.steps, done.best_step, done.stopped_early) == (3, 3, "")
    assert weights_hash(snapshot(weights_of(lm.model))) != before


@pytest.mark.parametrize("held_out", [0, 1])
def test_nan_is_shown_as_nan_and_ends_the_run_before_it_touches_a_weight(tiny_lm, held_out):
    lm, notes = tiny_lm(), Notes()
    objective = Scripted(lm, [3.0, 2.0, 1.0], nan_at=3)
    done = run(lm, objective, params(steps=10), reporter=notes, held_out=held_out)
    assert done.steps == 2 and math.isnan(notes.steps[-1]["loss"]) and notes.steps[-1]["step"] == 3
    assert "not finite at step 3" in done.stopped_early and "best weights are kept" in done.stopped_early
    assert all(bool(w.isfinite().all()) for w in lm.model.parameters()) and done.best_step == 2


@pytest.mark.parametrize("raising", [False, True])
def test_a_stop_is_clean_and_judges_the_last_weights_too(tiny_lm, raising):
    lm, notes = tiny_lm(), Notes(stop_after=2, raising=raising)
    done = run(lm, Scripted(lm, [2.0, 1.0]), params(steps=10, validate_every=100), reporter=notes)
    assert (
        done.steps == 2 and done.best_step == 2 and "stopped by the user after step 2" in done.stopped_early
    )
    assert done.interrupted


def test_each_step_tells_what_the_dashboard_draws(tiny_lm):
    lm, notes = tiny_lm(), Notes()
    run(lm, Scripted(lm, [2.0, 1.0]), params(steps=2, validate_every=2, warmup=1), reporter=notes)
    first = notes.steps[0]
    assert set(first) == {
        *("step", "loss", "parts", "lr", "grad_norm", "block", "sensitivity"),
        *("tokens_per_second", "step_ms", "peak_bytes"),
    }
    assert first["step"] == 1 and first["parts"]["square"] == first["loss"] and first["block"] is None
    assert [r["lr"] for r in notes.steps] == [0.005, 0.01]
    assert first["grad_norm"] > 0 and first["tokens_per_second"] > 0 and first["peak_bytes"] > 0
    assert notes.told == [(0, 2), (1, 2)]


def test_the_norm_told_is_that_before_clipping(tiny_lm):
    lm, notes = tiny_lm(), Notes()
    lm.model.transformer.ln_f.bias.data.fill_(100.0)
    run(lm, Scripted(lm, [2.0, 1.0]), params(steps=1, clip=1.0), reporter=notes)
    assert notes.steps[0]["grad_norm"] == pytest.approx(2 * 99 * 4, rel=1e-5)


def test_only_weights_with_a_gradient_get_optimiser_state(tiny_lm):
    lm = tiny_lm()
    before = snapshot(weights_of(lm.model))
    run(lm, Scripted(lm, []), params(steps=2), held_out=0)
    after = snapshot(weights_of(lm.model), before)
    assert [n for n in after if after[n] is not before[n]] == ["transformer.ln_f.bias"]


def test_the_seed_decides_the_order_and_partial_batches_are_kept(tiny_lm):
    lm = tiny_lm()
    one, two = Scripted(lm, []), Scripted(lm, [])
    run(lm, one, params(steps=4), held_out=0)
    run(lm, two, params(steps=4), held_out=0)
    assert one.seen == two.seen and [len(rows) for rows in one.seen] == [4, 2, 4, 2]
    assert one.prepared == len(PAIRS)
