"""Sizes are read from headers, and agree with the opened model."""

import pytest

from core.errors import BadModel
from core.lm.facts import model_facts
from core.lm.load import blocks, load_model


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neo", "gpt_neox", "llama"])
def test_the_headers_count_what_the_opened_model_holds(tiny_folder, kind):
    facts = model_facts(tiny_folder(kind))
    lm = load_model(str(tiny_folder(kind)))
    opened = blocks(lm.model)
    assert facts.weights == sum(w.numel() for w in lm.model.parameters())
    assert facts.in_blocks == sum(w.numel() for block in opened for w in block.parameters())
    assert (facts.blocks, facts.width, facts.vocabulary) == (len(opened), 16, 257)
    assert facts.context == lm.context
    assert facts.largest_block * facts.blocks >= facts.in_blocks


def test_a_changed_save_has_the_sizes_of_its_base(tiny_folder, tmp_path):
    from core.training.checkpoints import save, snapshot, weights_of

    lm = load_model(str(tiny_folder()))
    before = snapshot(weights_of(lm.model))
    save(lm, tmp_path / "model", "changed", before)
    assert model_facts(tmp_path / "model") == model_facts(tiny_folder())


def test_a_folder_that_says_too_little_is_a_sentence(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(BadModel, match="no safetensors weights"):
        model_facts(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(BadModel, match="cannot be read"):
        model_facts(tmp_path)
    with pytest.raises(BadModel, match="cannot be read"):
        model_facts(tmp_path / "nothing")
