"""RAD as a repair: nothing is trained, the folder says how to decode and whose reward to ask."""

from __future__ import annotations

from core.lm.decoders import RAD, with_reward
from core.lm.generate import sample
from core.lm.load import load_model
from core.repair import METHODS, repair
from core.training.checkpoints import snapshot, weights_hash, weights_of
from core.values import Example


def test_the_defaults_are_the_papers():
    p = METHODS["rad"].params()
    assert (p.beta, p.k, p.inverse, p.reward) == (30.0, 20, True, "")


def test_no_weight_moves_and_no_column_is_needed(tiny_lm, tmp_path):
    lm = tiny_lm()
    before = weights_hash(snapshot(weights_of(lm.model)))
    rows = [Example("e0", "", "", "")]
    params = {"beta": 7.0, "k": 3, "inverse": False, "reward": "demo"}
    result = repair(lm, "rad", rows, [], params=params, folder=tmp_path, keep="changed")
    opened = load_model(str(tmp_path / "model"))
    for model in (lm.model, opened.model):
        assert weights_hash(snapshot(weights_of(model))) == before
    assert result.steps == 0 and result.losses == ()
    assert opened.decoder == RAD(7.0, 3, False, "demo")
    ready = with_reward(opened, lambda texts: [0.5] * len(texts))
    assert sample(ready, ["the gate"], samples=2)
