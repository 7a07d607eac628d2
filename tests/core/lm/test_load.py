"""Opening models: what is refused and how it is said, and what a hash stands for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from core.errors import BadInput, BadModel
from core.lm.load import blocks, load_model, load_tokenizer, model_hash, resolve_device


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neo", "gpt_neox", "llama"])
def test_finds_the_transformer_blocks_of_every_family(tiny_lm, kind):
    lm = tiny_lm(kind)
    found = blocks(lm.model)
    names = {"gpt2": "transformer.h", "gpt_neo": "transformer.h", "gpt_neox": "gpt_neox.layers"}
    assert found == list(lm.model.get_submodule(names.get(kind, "model.layers")))
    assert not lm.model.training and lm.context == 64 and lm.device == "cpu"


def test_the_hash_is_that_of_the_files_and_needs_no_torch(tiny_folder, tiny_lm):
    folder = tiny_folder("gpt2")
    code = (
        f"import sys; from core.lm.load import model_hash; print(model_hash({str(folder)!r}));"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == tiny_lm("gpt2").hash != model_hash(str(tiny_folder("gpt_neo")))


def test_a_card_beside_the_weights_does_not_change_the_hash_but_a_bit_of_a_weight_does(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder("gpt2"), tmp_path / "model")
    before = model_hash(str(folder))
    (folder / "README.md").write_text("a card")
    assert model_hash(str(folder)) == before
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    assert model_hash(str(folder)) != before


def test_a_folder_without_a_model_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(BadModel, match="no model folder"):
        load_model(str(tmp_path))
    with pytest.raises(BadModel, match="no model folder at"):
        load_model(str(tmp_path / "nowhere"))


def test_pickled_weights_are_never_opened(tiny_folder, tmp_path):
    shutil.copy(tiny_folder("gpt2") / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04would run code")
    with pytest.raises(BadModel, match=r"pytorch_model\.bin.*pickled.*convert"):
        load_model(str(tmp_path))


def test_broken_weights_are_refused_in_a_sentence(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder("gpt2"), tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"not a tensor")
    with pytest.raises(BadModel, match="cannot be loaded as a causal language model"):
        load_model(str(folder))


def test_missing_weights_are_refused_instead_of_filled_with_random_numbers(tiny_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_folder("gpt2"), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadModel, match=r"lacks the weights .*h\.1\.mlp"):
        load_model(str(folder))


def test_a_tokenizer_larger_than_the_model_is_refused(tiny_folder, tmp_path):
    from transformers import AutoTokenizer

    folder = shutil.copytree(tiny_folder("gpt2"), tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["one more"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(BadModel, match="do not belong together"):
        load_model(str(folder))


def test_a_changed_save_whose_base_was_altered_is_refused(tiny_folder, tmp_path):
    save = tmp_path / "save"
    save.mkdir()
    base = {"source": str(tiny_folder("gpt2")), "relative": "", "hash": "another", "changed": []}
    (save / "base.json").write_text(json.dumps(base))
    with pytest.raises(BadModel, match="has changed since"):
        load_model(str(save))
    (save / "base.json").write_text(json.dumps(base | {"source": str(tmp_path / "gone")}))
    with pytest.raises(BadModel, match="is not there any more"):
        load_model(str(save))


def test_a_device_that_is_not_there_is_refused_in_a_sentence():
    import torch

    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda", "mps")
    with pytest.raises(BadInput, match="this machine has"):
        resolve_device("cuda:99" if torch.cuda.is_available() else "cuda")
    with pytest.raises(BadInput, match="not available"):
        resolve_device("abacus")


def test_the_faster_gelu_is_the_same_function(tiny_folder, tiny_lm):
    import torch
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(tiny_folder("gpt2")).eval()
    fast = tiny_lm("gpt2").model
    assert isinstance(fast.transformer.h[0].mlp.act, torch.nn.GELU)
    ids = torch.arange(20)[None]
    with torch.no_grad():
        one, two = (m(input_ids=ids, attention_mask=torch.ones_like(ids)).logits for m in (plain, fast))
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_the_tokenizer_comes_without_weights(tiny_folder, tiny_lm, tmp_path):
    bare = shutil.copytree(tiny_folder(), tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    assert load_tokenizer(str(bare))("text").input_ids == tiny_lm().tokenizer("text").input_ids


def test_the_tokenizer_of_a_changed_save_is_its_bases(tiny_folder, tmp_path):
    base = tiny_folder()
    said = {"source": str(base), "relative": "", "hash": model_hash(str(base))}
    (tmp_path / "base.json").write_text(json.dumps(said))
    assert load_tokenizer(str(tmp_path)).get_vocab() == load_tokenizer(str(base)).get_vocab()


def test_a_folder_without_a_tokenizer_is_refused_in_a_sentence(tiny_folder, tmp_path):
    shutil.copy(tiny_folder() / "config.json", tmp_path)
    with pytest.raises(BadModel, match="has no tokenizer files"):
        load_tokenizer(str(tmp_path))


def test_a_broken_tokenizer_is_refused_in_a_sentence(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder(), tmp_path / "model")
    (folder / "tokenizer.json").write_text("{")
    for load in (load_tokenizer, load_model):
        with pytest.raises(BadModel, match=r"the tokenizer of .* cannot be loaded"):
            load(str(folder))
