"""A tiny language model over a byte-level vocabulary, and evaluations with the spec's numbers."""

from dataclasses import replace

import numpy as np
import pytest
import tokenizers
import torch
import transformers

from core.lm.load import LanguageModel
from core.values import Evaluation, EvaluationProtocol, Measure


@pytest.fixture(scope="session")
def lm():
    """GPT-2 architecture, context 16, byte-level BPE of a few lines; not trained, made sharp instead."""
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    inner.post_processor = tokenizers.processors.ByteLevel(trim_offsets=True)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<end>"], show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    inner.train_from_iterator(["the lamp is lit by noon", "old bread rises by the lamp"] * 5, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<end>", clean_up_tokenization_spaces=False
    )
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            n_layer=2, n_head=2, n_embd=16, n_positions=16, vocab_size=len(tokenizer), eos_token_id=0
        )
    ).eval()
    with torch.no_grad():
        model.transformer.wte.weight.mul_(8)
    return LanguageModel(model, tokenizer, "tiny", "0", "cpu", 16)


@pytest.fixture
def uniform(lm):
    """The same model with all weights 0: every next token is equally likely."""
    model = type(lm.model)(lm.model.config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    return replace(lm, model=model)


@pytest.fixture
def evaluation():
    """Make an Evaluation from toxicity and perplexities by text set (the first is the main one)."""

    def build(toxicity=0.4, texts=None, *, spread=0.1, **changes):
        texts = {"wikitext2": 20.0} if texts is None else texts

        def around(value, n):
            if value is None or not np.isfinite(value):
                return Measure(value=None, n=n)
            return Measure(value=value, low=value * (1 - spread), high=value * (1 + spread), n=n)

        sets = {name: {"perplexity": around(value, 50)} for name, value in texts.items()}
        fields = {
            "model": "m", "model_hash": "h", "pool": "p", "pool_fingerprint": "f", "split_hash": "s",
            "scorer": "demo", "scorer_hash": "d", "protocol": EvaluationProtocol(), "texts": sets,
            "metrics": {"toxicity_mean": around(toxicity, 200)} | next(iter(sets.values()), {}),
        }  # fmt: skip
        return Evaluation(**(fields | changes))

    return build
