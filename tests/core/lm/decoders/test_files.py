"""decoder.json: what is refused and how it is said, and that the model's hash covers what it names."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from core.errors import BadInput, BadModel, MissingInput
from core.lm.decoders import RAD, DExperts, read_decoder, with_reward
from core.lm.generate import sample
from core.lm.load import load_model, model_hash, with_decoder

RAD_FILE = {"kind": "rad", "beta": 5.0, "k": 4, "inverse": False, "scorer": "demo"}


def rad_folder(tiny_folder, tmp_path, **said):
    folder = shutil.copytree(tiny_folder(), tmp_path / "rad")
    (folder / "decoder.json").write_text(json.dumps(RAD_FILE | said))
    return folder


def test_a_folder_without_the_file_decodes_plainly_and_keeps_its_hash(tiny_folder, tiny_lm):
    assert read_decoder(tiny_folder()) is None and tiny_lm().decoder is None


def test_the_file_comes_along_with_the_model(dexperts_folder, tiny_folder, tmp_path):
    lm = load_model(str(dexperts_folder))
    assert isinstance(lm.decoder, DExperts) and (lm.decoder.alpha, lm.decoder.top_p) == (1.5, 0.8)
    sides = (lm.decoder.expert, lm.decoder.anti)
    assert [side.hash for side in sides] == [model_hash(str(dexperts_folder / n)) for n in ("expert", "anti")]
    assert lm.decoder.scores_text and not lm.decoder.needs_reward
    rad = load_model(str(rad_folder(tiny_folder, tmp_path)))
    assert rad.decoder == RAD(5.0, 4, False, "demo") and not rad.decoder.scores_text


def test_a_model_in_memory_takes_a_folders_decoder(dexperts_folder, tiny_lm):
    lm = tiny_lm()
    assert with_decoder(lm, dexperts_folder / "expert") is lm
    here, there = with_decoder(lm, dexperts_folder), load_model(str(dexperts_folder))
    assert sample(here, ["the lamp"], samples=3) == sample(there, ["the lamp"], samples=3)
    assert here.decoder.settings() == there.decoder.settings()


def test_a_side_may_be_left_out_but_not_both(dexperts_folder):
    said = json.loads((dexperts_folder / "decoder.json").read_text())
    (dexperts_folder / "decoder.json").write_text(json.dumps(said | {"expert": ""}))
    decoder = load_model(str(dexperts_folder)).decoder
    assert decoder.expert is None and decoder.anti is not None
    (dexperts_folder / "decoder.json").write_text(json.dumps(said | {"expert": "", "anti": ""}))
    with pytest.raises(BadModel, match="neither an expert nor an anti-expert"):
        load_model(str(dexperts_folder))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "cannot be read as json"),
        ("[]", "decoder.json cannot be used"),
        ('{"kind": "other"}', "dexperts"),
        ('{"kind": "rad", "k": 0}', "k: .*greater than or equal to 1"),
        ('{"kind": "rad", "betta": 3}', "betta"),
        ('{"kind": "rad", "beta": NaN}', "beta"),
        ('{"kind": "rad", "scorer": "../secrets"}', "scorer: .*leads out"),
        ('{"kind": "dexperts", "expert": "../other"}', "expert: .*no folder below"),
        ('{"kind": "dexperts", "expert": "/etc"}', "expert: .*no folder below"),
        ('{"kind": "dexperts", "expert": "a\\\\..\\\\..\\\\b"}', "expert: .*no folder below"),
        ('{"kind": "dexperts", "expert": "C:\\\\models"}', "expert: .*no folder below"),
        ('{"kind": "dexperts", "anti": "."}', "anti: .*no folder below"),
        ('{"kind": "dexperts", "anti": "gone"}', "'gone', which is not there"),
        ('{"kind": "dexperts", "anti": "x", "top_p": 1.5}', "top_p"),
    ],
)
def test_a_bad_file_is_a_sentence(tiny_folder, tmp_path, text, why):
    folder = shutil.copytree(tiny_folder(), tmp_path / "m")
    (folder / "decoder.json").write_text(text)
    for opening in (load_model, model_hash):
        with pytest.raises(BadModel, match=why):
            opening(str(folder))


def test_a_link_out_of_the_folder_is_not_followed(dexperts_folder, tiny_folder):
    shutil.rmtree(dexperts_folder / "expert")
    for target in (tiny_folder(), dexperts_folder):
        (dexperts_folder / "expert").symlink_to(target)
        with pytest.raises(BadModel, match="lies outside its folder"):
            load_model(str(dexperts_folder))
        (dexperts_folder / "expert").unlink()


def test_a_side_model_with_other_tokens_is_refused(dexperts_folder, tiny_folder):
    from transformers import AutoTokenizer

    shutil.rmtree(dexperts_folder / "expert")
    shutil.copytree(tiny_folder(), dexperts_folder / "expert")
    assert load_model(str(dexperts_folder)).decoder is not None  # a full save of the same family is fine
    config = json.loads((dexperts_folder / "expert" / "tokenizer.json").read_text())
    vocabulary = config["model"]["vocab"]
    one, two = list(vocabulary)[5:7]
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    (dexperts_folder / "expert" / "tokenizer.json").write_text(json.dumps(config))
    assert len(AutoTokenizer.from_pretrained(dexperts_folder / "expert")) == len(vocabulary)
    with pytest.raises(BadModel, match="other tokens than"):
        load_model(str(dexperts_folder))


def test_a_side_model_with_a_decoder_of_its_own_is_refused(dexperts_folder):
    (dexperts_folder / "expert" / "decoder.json").write_text(json.dumps(RAD_FILE))
    with pytest.raises(BadModel, match="a decoder of its own"):
        load_model(str(dexperts_folder))


def test_the_hash_covers_the_file_and_the_side_models_and_needs_no_torch(dexperts_folder, tmp_path):
    seen = {model_hash(str(dexperts_folder))}
    said = json.loads((dexperts_folder / "decoder.json").read_text())
    (dexperts_folder / "decoder.json").write_text(json.dumps(said | {"alpha": 3.0}))
    seen.add(model_hash(str(dexperts_folder)))
    save = dexperts_folder / "anti" / "changed.safetensors"
    data = bytearray(save.read_bytes())
    data[-1] ^= 1
    save.write_bytes(data)
    seen.add(model_hash(str(dexperts_folder)))
    (dexperts_folder / "decoder.json").unlink()
    seen.add(model_hash(str(dexperts_folder)))
    assert len(seen) == 4
    code = (
        f"import sys; from core.lm.load import model_hash; model_hash({str(dexperts_folder)!r});"
        "import core.lm.decoders; assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rad_without_its_reward_says_so_and_only_rad_takes_one(tiny_folder, tiny_lm, tmp_path):
    lm = load_model(str(rad_folder(tiny_folder, tmp_path)))
    with pytest.raises(MissingInput, match="given no reward"):
        sample(lm, ["the lamp"])
    ready = with_reward(lm, lambda texts: [0.5] * len(texts))
    assert not ready.decoder.needs_reward and len(sample(ready, ["the lamp"], samples=2)[0]) == 2
    with pytest.raises(BadInput, match="does not decode by reward"):
        with_reward(tiny_lm(), len)
    assert lm.decoder.needs_reward and replace(ready.decoder, reward=None) == lm.decoder
