"""The loop: what moves, what is told, when it ends, and that the best weights come back."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.errors import OutOfMemory, Stopped
from core.lm.tokenise import Encoded
from core.training.checkpoints import snapshot, weights_hash, weights_of
from core.training.loop import Checkpoint, optimizer, train
from core.training.parts import Choice, Pair, Terms
from core.training.schedule import TrainingParams

EMPTY = Encoded((0, 0), 1)
PAIRS = [Pair(number, EMPTY, EMPTY) for number in range(6)]


@dataclass
class Notes:
    """A reporter that remembers, and asks to stop after so many steps."""

    stop_after: int | None = None
    raising: bool = False
    asks: dict[str, int] = field(default_factory=dict)
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
        """Asked for once, after the step that `asks` names."""
        return self.asks.pop(what, None) is not None if self.asks.get(what) == len(self.steps) else False

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

    def skip(self, steps: int) -> None:
        pass


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


def run(lm, objective, params, *, held_out=1, reporter=None, scope=None, **more):
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
        **more,
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
    assert {v["patience_of"] for v in notes.validations} == {3}
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
    assert "not finite at step 3" in done.stopped_early
    said = "the best weights are kept" if held_out else "the weights after step 2 are kept, which no valid"
    assert said in done.stopped_early
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
        *("step", "loss", "parts", "lr", "grad_norm", "block", "sensitivity", "cold"),
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


@dataclass
class Panel:
    """A watch that notes what it saw, and takes its time."""

    lm: Any
    every: int = 0
    seconds: float = 0.0
    seen: list[tuple[int, float]] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)

    def look(self, step):
        time.sleep(self.seconds)
        self.seen.append((step, self.lm.model.transformer.ln_f.bias[0].item()))
        return {"toxicity": 0.5}

    def keep(self, step):
        time.sleep(self.seconds)
        self.kept.append(step)
        return f"the model of step {step} lies in the cellar"


@pytest.mark.parametrize(
    ("every", "asks", "steps"),
    [
        (0, {}, [0, 5]),
        (2, {}, [0, 2, 4, 5]),
        (5, {}, [0, 5]),
        (0, {"evaluate": 3}, [0, 3, 5]),
        (3, {"evaluate": 3}, [0, 3, 5]),
        (0, {"evaluate": 5}, [0, 5]),
    ],
)
def test_the_watch_looks_at_the_start_when_due_when_asked_and_at_the_last_weights(
    tiny_lm, every, asks, steps
):
    lm, notes = tiny_lm(), Notes(asks=asks)
    watch = Panel(lm, every)
    run(lm, Scripted(lm, [1.0, 2.0]), params(steps=5, validate_every=100), reporter=notes, watch=watch)
    assert [step for step, _ in watch.seen] == steps
    assert [r for r in notes.rows if "panel" in r] == [{"step": s, "panel": {"toxicity": 0.5}} for s in steps]
    biases = [bias for _, bias in watch.seen]
    assert biases[0] == 0.0 < biases[-1], "the last weights, though the untouched ones come back"
    assert lm.model.transformer.ln_f.bias[0].item() == 0.0 and not asks


def test_a_watch_changes_no_bit_of_the_run(tiny_lm):
    hashes = []
    for watches in (True, False):
        lm = tiny_lm()
        watch = Panel(lm, 1) if watches else None
        run(lm, Scripted(lm, [2.0, 1.0, 0.9, 0.8, 0.7]), params(), watch=watch)
        hashes.append(weights_hash(snapshot(weights_of(lm.model))))
    assert hashes[0] == hashes[1]


def test_the_time_of_a_watch_is_in_no_number(tiny_lm):
    lm, notes = tiny_lm(), Notes(asks={"save": 2})
    began = time.perf_counter()
    watch = Panel(lm, 1, seconds=0.1)
    done = run(lm, Scripted(lm, []), params(steps=3), held_out=0, reporter=notes, watch=watch)
    wall = time.perf_counter() - began
    assert len(watch.seen) == 4 and watch.kept == [2] and done.seconds < wall - 0.5
    steps = sum(r["step_ms"] for r in notes.steps) / 1000
    assert steps < wall - 0.5 and done.seconds >= steps


def test_asked_to_save_it_says_where(tiny_lm):
    lm, notes = tiny_lm(), Notes(asks={"save": 2})
    run(lm, Scripted(lm, []), params(steps=3), held_out=0, reporter=notes, watch=Panel(lm))
    (row,) = [r for r in notes.rows if "saved" in r]
    assert row == {"step": 2, "saved": "the model of step 2 lies in the cellar"}


def test_a_stop_while_the_watch_looks_is_clean_too(tiny_lm):
    class Stopping(Panel):
        def look(self, step):
            if step == 2:
                notes.stop_after = 0
                raise Stopped("asked")
            return super().look(step)

    lm, notes = tiny_lm(), Notes()
    done = run(lm, Scripted(lm, [2.0, 1.0]), params(validate_every=9), reporter=notes, watch=Stopping(lm, 1))
    assert done.interrupted and done.steps == 2 == done.best_step


class OneBias:
    """Moves one block's bias at a time, in the order given."""

    def __init__(self, lm, order):
        self.blocks, self.order = [b.mlp.c_proj.bias for b in lm.model.transformer.h], iter(order)
        lm.model.requires_grad_(False)

    def prepare(self, pairs, reporter):
        pass

    def movable(self):
        return {str(n): w for n, w in enumerate(self.blocks)}

    def choose(self, pairs):
        self.now = next(self.order)
        for number, weight in enumerate(self.blocks):
            weight.requires_grad_(number == self.now)
        return Choice(self.now, (1.0, 2.0))

    def close(self):
        pass


class Chosen(Scripted):
    """The loss of the scope's present block."""

    def loss(self, pairs):
        loss = sum(((w - 1) ** 2).sum() for w in self.scope.blocks if w.requires_grad)
        return Terms(loss, {"square": loss}, tokens=10)


@pytest.mark.parametrize("name", ["rmsprop", "adamw"])
def test_a9_a_block_that_is_not_chosen_never_moves_and_its_first_step_is_told_cold(tiny_lm, name):
    lm, notes = tiny_lm(), Notes()
    objective = Chosen(lm, [])
    objective.scope = OneBias(lm, [0, 0, 1, 0, 1])
    seen = [[w.detach().clone() for w in objective.scope.blocks]]

    def record(row):
        notes.rows.append(row)
        seen.append([w.detach().clone() for w in objective.scope.blocks])

    settings = params(steps=5, optimizer=name, weight_decay=0.1)
    watching = type("Watching", (Notes,), {"record": lambda self, row: record(row)})()
    run(lm, objective, settings, held_out=0, reporter=watching, scope=lambda lm: objective.scope)
    assert [r["cold"] for r in notes.steps] == [True, False, True, False, False]
    for row, before, after in zip(notes.steps, seen, seen[1:], strict=False):
        moved = [not bool((a == b).all()) for a, b in zip(after, before, strict=True)]
        assert moved == [row["block"] == 0, row["block"] == 1]
    first = float((seen[1][0] - seen[0][0]).abs().max())
    assert first == pytest.approx({"rmsprop": 0.1, "adamw": 0.01}[name], rel=1e-3)


def test_weight_decay_pulls_toward_zero(tiny_lm):
    found = []
    for decay in (0.0, 1.0):
        lm = tiny_lm()
        lm.model.transformer.ln_f.bias.data.fill_(5.0)
        settings = params(steps=3, optimizer="adamw", weight_decay=decay)
        run(lm, Scripted(lm, []), settings, held_out=0)
        found.append(lm.model.transformer.ln_f.bias[0].item())
    assert found[1] < found[0] < 5.0


class Full(Scripted):
    """Runs out of memory where it is told to, as the device would say it."""

    def __init__(self, lm, place, error):
        super().__init__(lm, [1.0, 2.0])
        self.place, self.error = place, error

    def prepare(self, pairs, reporter):
        self._at("prepare")

    def loss(self, pairs):
        self._at("loss")
        return super().loss(pairs)

    def validate(self, pairs):
        self._at("validate")
        return super().validate(pairs)

    def _at(self, place):
        if place == self.place:
            raise self.error


def too_large():
    """What torch itself raises when the machine has no room for a tensor."""
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize("kind", ["cpu", "cuda", "python"])
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("prepare", "reading all 7 examples before training"),
        ("loss", "step 1 with 4 examples of up to 2 tokens"),
        ("validate", "the validation after step 0, 16 examples at once,"),
    ],
)
def test_too_little_memory_says_what_was_asked_and_what_to_lower(tiny_lm, tmp_path, kind, place, said):
    import torch

    error = {"cpu": too_large, "cuda": lambda: torch.OutOfMemoryError("CUDA"), "python": MemoryError}[kind]()
    lm = tiny_lm()
    before = weights_hash(snapshot(weights_of(lm.model)))
    with pytest.raises(OutOfMemory) as caught:
        run(lm, Full(lm, place, error), params())
    sentence = str(caught.value)
    assert sentence.startswith(f"{said} did not fit into the machine's memory. Lower ")
    assert ("Lower batch" in sentence) == (place == "loss") and "response_tokens or prompt_tokens" in sentence
    assert "lora" in sentence and "second copy" in sentence and "begins anew" in sentence
    assert weights_hash(snapshot(weights_of(lm.model))) == before
    with pytest.raises(OutOfMemory, match="with the same settings where more memory is free"):
        run(lm, Full(lm, place, error), params(), checkpoint=Checkpoint(tmp_path / "t.safetensors", "k"))


def test_too_little_memory_for_a_look_says_so_too(tiny_lm):
    class Wide:
        every = 0

        def look(self, step):
            raise MemoryError

    lm = tiny_lm()
    with pytest.raises(OutOfMemory, match=r"the panel after step 0 did not fit .* Lower the panel's prompts"):
        run(lm, Scripted(lm, [1.0]), params(), watch=Wide())


def test_other_errors_pass_as_they_are(tiny_lm):
    lm = tiny_lm()
    with pytest.raises(RuntimeError, match="shapes differ"):
        run(lm, Full(lm, "loss", RuntimeError("shapes differ")), params())
