"""Saved models: what comes back is what was saved, bit for bit, and never through pickle."""

from __future__ import annotations

import json
import shutil

import pytest

from core.errors import BadModel
from core.lm.load import load_model, model_hash
from core.training.checkpoints import restore, save, snapshot, weights_hash, weights_of


@pytest.fixture
def nudged(tiny_lm):
    """A model whose second block's MLP was moved, and the weights before."""
    import torch

    lm = tiny_lm("gpt2")
    before = snapshot(weights_of(lm.model))
    with torch.no_grad():
        lm.model.transformer.h[1].mlp.c_fc.weight.add_(0.1)
    return lm, before


def test_a_changed_save_holds_the_moved_tensor_only_and_loads_equal_bit_for_bit(nudged, tmp_path):
    from safetensors.torch import load_file

    lm, before = nudged
    save(lm, tmp_path / "model", "changed", before)
    assert list(load_file(tmp_path / "model" / "changed.safetensors")) == ["transformer.h.1.mlp.c_fc.weight"]
    back = load_model(str(tmp_path / "model"))
    assert (
        weights_hash(snapshot(weights_of(back.model)))
        == weights_hash(snapshot(weights_of(lm.model)))
        != weights_hash(before)
    )
    assert back.hash == model_hash(str(tmp_path / "model")) != lm.hash
    assert back.tokenizer.get_vocab() == lm.tokenizer.get_vocab()


def test_a_full_save_stands_alone(nudged, tmp_path):
    lm, before = nudged
    save(lm, tmp_path / "model", "full", before)
    back = load_model(str(tmp_path / "model"))
    assert weights_hash(snapshot(weights_of(back.model))) == weights_hash(snapshot(weights_of(lm.model)))
    assert not [p for p in (tmp_path / "model").iterdir() if p.suffix in (".bin", ".pt", ".pkl")]


def test_none_writes_nothing(nudged, tmp_path):
    lm, before = nudged
    save(lm, tmp_path / "model", "none", before)
    assert not list(tmp_path.iterdir())


def test_an_untouched_model_saves_no_tensor_and_still_loads(tiny_lm, tmp_path):
    lm = tiny_lm("gpt2")
    before = snapshot(weights_of(lm.model))
    save(lm, tmp_path / "model", "changed", before)
    assert weights_hash(snapshot(weights_of(load_model(str(tmp_path / "model")).model))) == weights_hash(
        before
    )


def test_a_workspace_moved_as_a_whole_still_finds_the_base(nudged, tiny_folder, tmp_path):
    base = shutil.copytree(tiny_folder("gpt2"), tmp_path / "old" / "models" / "lm")
    lm, before = nudged
    lm = load_model(str(base))
    save(lm, tmp_path / "old" / "runs" / "1" / "model", "changed", before)
    shutil.move(tmp_path / "old", tmp_path / "new")
    assert load_model(str(tmp_path / "new" / "runs" / "1" / "model")).hash


def test_a_repaired_model_can_be_the_base_of_the_next(nudged, tmp_path):
    import torch

    lm, before = nudged
    save(lm, tmp_path / "first", "changed", before)
    second = load_model(str(tmp_path / "first"))
    start = snapshot(weights_of(second.model))
    with torch.no_grad():
        second.model.transformer.h[0].ln_1.weight.mul_(2)
    save(second, tmp_path / "second", "changed", start)
    back = load_model(str(tmp_path / "second"))
    assert weights_hash(snapshot(weights_of(back.model))) == weights_hash(snapshot(weights_of(second.model)))


def test_a_changed_save_of_another_architecture_is_refused(nudged, tiny_folder, tmp_path):
    lm, before = nudged
    save(lm, tmp_path / "model", "changed", before)
    said = json.loads((tmp_path / "model" / "base.json").read_text())
    other = str(tiny_folder("gpt_neox"))
    said |= {"source": other, "relative": "", "hash": model_hash(other)}
    (tmp_path / "model" / "base.json").write_text(json.dumps(said))
    with pytest.raises(BadModel, match="does not have in that shape"):
        load_model(str(tmp_path / "model"))


def test_restore_brings_the_weights_back_and_unchanged_tensors_are_shared(nudged):
    lm, before = nudged
    after = snapshot(weights_of(lm.model), before)
    moved = [name for name in after if after[name] is not before[name]]
    assert moved == ["transformer.h.1.mlp.c_fc.weight"]
    restore(weights_of(lm.model), before)
    assert weights_hash(snapshot(weights_of(lm.model))) == weights_hash(before)
