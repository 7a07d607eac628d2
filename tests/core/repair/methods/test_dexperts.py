"""DExperts as a repair: two side models are trained and saved, the model itself stays, decoding uses both."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.errors import MissingInput
from core.lm.decoders import DExperts, read_decoder
from core.lm.generate import sample
from core.lm.load import load_model, with_decoder
from core.repair import METHODS, repair
from core.training.checkpoints import snapshot, weights_hash, weights_of
from core.values import Example

EXAMPLES = [
    Example(f"e{n}", prompt, "a kind answer", "rude rude rude")
    for n, prompt in enumerate(["The neighbour asks:", "", "At the gate", "Once more"])
]
QUICK = {"lr": 1e-2, "batch": 2, "epochs": 10, "alpha": 3.0, "top_p": 0.95}


def run(lm, folder, **params):
    return repair(lm, "dexperts", EXAMPLES, [], params=QUICK | params, folder=folder, keep="changed")


def test_the_defaults_are_the_authors():
    p = METHODS["dexperts"].params()
    assert (p.alpha, p.top_p, p.epochs) == (2.0, 0.9, 1.0)
    assert (p.lr, p.optimizer, p.schedule, p.warmup, p.clip) == (5e-5, "adamw", "linear", 0, 1.0)


@pytest.fixture(scope="module")
def made(tiny_folder, tmp_path_factory):
    """A repair of the tiny model, its folder, and the model's weights before."""
    lm = load_model(str(tiny_folder()))
    before = weights_hash(snapshot(weights_of(lm.model)))
    folder = tmp_path_factory.mktemp("dexperts")
    return run(lm, folder), folder / "model", before, lm


def test_the_model_itself_stays_in_memory_and_on_disk(made):
    _, folder, before, lm = made
    opened = load_model(str(folder))
    for model in (lm.model, opened.model):
        assert weights_hash(snapshot(weights_of(model))) == before


def test_the_folder_decodes_as_asked(made):
    _, folder, _, _ = made
    said = read_decoder(folder)
    assert (said.alpha, said.top_p, said.expert, said.anti) == (3.0, 0.95, "expert", "anti")
    assert isinstance(load_model(str(folder)).decoder, DExperts)


def test_each_side_learnt_its_own_texts(made, tiny_folder):
    import torch

    from core.lm.logprobs import token_logprobs
    from core.lm.tokenise import collate, encode_pairs

    _, folder, _, _ = made
    opened = load_model(str(folder))

    def likes(lm, texts):
        pairs = encode_pairs(lm.tokenizer, [e.prompt for e in EXAMPLES], texts)
        with torch.no_grad():
            return float(token_logprobs(lm.model, collate(pairs, lm.tokenizer)).sum())

    good, bad = [e.response for e in EXAMPLES], [e.rejected for e in EXAMPLES]
    base, expert, anti = opened, opened.decoder.expert, opened.decoder.anti
    assert likes(expert, good) > likes(base, good) and likes(anti, bad) > likes(base, bad)
    assert likes(expert, good) > likes(anti, good) and likes(anti, bad) > likes(expert, bad)


def test_decoding_moves_from_the_bad_texts_to_the_good_ones(made):
    import torch

    from core.lm.logprobs import text_logprobs
    from core.lm.tokenise import collate, encode_pairs

    _, folder, _, _ = made
    lm = load_model(str(folder))
    plain = replace(lm, decoder=None)
    prompt = [EXAMPLES[0].prompt]

    def margin(one):
        sides = (EXAMPLES[0].response, EXAMPLES[0].rejected)
        batch = collate(encode_pairs(lm.tokenizer, prompt * 2, sides), lm.tokenizer)
        with torch.no_grad():
            good, bad = text_logprobs(one, batch).sum(1).tolist()
        return good - bad

    assert margin(lm) > margin(plain)
    assert sample(lm, prompt, samples=4) != sample(plain, prompt, samples=4)


def test_the_model_in_memory_measures_as_the_one_on_disk(made):
    _, folder, _, lm = made
    texts = [
        sample(one, ["At the gate"], samples=4) for one in (with_decoder(lm, folder), load_model(str(folder)))
    ]
    assert texts[0] == texts[1]


def test_both_sides_must_be_there(tiny_lm, tmp_path):
    rows = [replace(EXAMPLES[0], rejected="")]
    with pytest.raises(MissingInput, match="no rejected"):
        repair(tiny_lm(), "dexperts", rows, [], params=QUICK, folder=tmp_path)
