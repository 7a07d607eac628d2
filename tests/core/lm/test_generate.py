"""Sampling against a slow, obvious loop, and the independence it promises."""

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers

from core.errors import BadInput, BadModel, Stopped
from core.lm import generate
from core.lm.generate import sample, unconditional
from core.values import Silent

WORDS = ["the", "lamp", "is", "lit", "by", "noon", "and", "old", "bread", "rises"]
PROMPTS = ["the lamp is", "the lamp", "old bread", "noon and old bread rises by the lamp", "", "lit"]


@dataclass(frozen=True)
class LM:
    """The fields of core.lm.load.LanguageModel."""

    model: Any
    tokenizer: Any
    source: str = "tiny"
    hash: str = "0"
    device: str = "cpu"
    context: int = 32
    decoder: Any = None


def word_tokenizer(extra=0):
    vocabulary = {w: i for i, w in enumerate(["<end>", "[UNK]", *WORDS, *(f"w{i}" for i in range(extra))])}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<end>", unk_token="[UNK]", clean_up_tokenization_spaces=False
    )


def tiny(seed=0, extra=0, context=32, scale=8.0):
    torch.manual_seed(seed)
    tokenizer = word_tokenizer(extra)
    config = transformers.GPT2Config(
        n_layer=2, n_head=2, n_embd=16, n_positions=context, vocab_size=len(tokenizer),
        eos_token_id=0, bos_token_id=0, resid_pdrop=0.3, embd_pdrop=0.3, attn_pdrop=0.3,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        model.transformer.wte.weight.mul_(scale)  # else every distribution is flat
    return LM(model.eval(), tokenizer, context=context)


@pytest.fixture(scope="module")
def lm():
    return tiny()


def slow(lm, prompt, number, *, seed=0, top_p=0.9, temperature=1.0, new_tokens=8, prompt_tokens=32):
    """One row at a time, no cache, full sort, the nucleus in plain Python."""
    ids = lm.tokenizer(prompt)["input_ids"][-prompt_tokens:] or [0]
    uniforms = generate._uniforms([prompt], [(0, number)], new_tokens, seed)[0]
    new = []
    for u in uniforms:
        logits = lm.model(torch.tensor([ids + new])).logits[0, -1].double() / temperature
        p = torch.softmax(logits, 0).tolist()
        order = sorted(range(len(p)), key=lambda i: -p[i])
        kept, mass = [], 0.0
        for i in order:
            kept.append(i)
            mass += p[i]
            if mass >= top_p:
                break
        aim, passed = u * mass, 0.0
        for chosen in kept:
            passed += p[chosen]
            if passed > aim:
                break
        if chosen == 0:
            break
        new.append(chosen)
    return lm.tokenizer.decode(new, skip_special_tokens=True)


@pytest.mark.parametrize(
    "settings", [{}, {"top_p": 0.5}, {"temperature": 2.0}, {"seed": 3}, {"prompt_tokens": 2}]
)
def test_equals_the_slow_loop_without_cache_batching_or_grouping(lm, settings):
    fast = sample(lm, PROMPTS, samples=4, new_tokens=8, batch=7, **settings)
    with torch.no_grad():
        assert fast == [[slow(lm, p, s, **settings) for s in range(4)] for p in PROMPTS]
    assert len({text for row in fast for text in row}) > 8  # or equality would say little


def test_a_prompts_samples_depend_neither_on_its_company_nor_on_the_batch(lm):
    together = sample(lm, PROMPTS, samples=5, new_tokens=10)
    assert [sample(lm, [p], samples=5, new_tokens=10)[0] for p in PROMPTS] == together
    for batch in (1, 3, 4, 1000):
        assert sample(lm, PROMPTS[::-1], samples=5, new_tokens=10, batch=batch)[::-1] == together


def test_more_samples_and_more_tokens_extend_what_was_there(lm):
    few = sample(lm, PROMPTS, samples=2, new_tokens=4)
    more = sample(lm, PROMPTS, samples=6, new_tokens=9)
    assert all(
        long.startswith(short)
        for a, b in zip(few, more, strict=True)
        for short, long in zip(a, b[:2], strict=True)
    )


def test_the_seed_decides(lm):
    runs = [sample(lm, PROMPTS, samples=3, seed=s) for s in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]
    state = torch.get_rng_state()
    sample(lm, PROMPTS)
    assert torch.equal(state, torch.get_rng_state())  # the global generator is nobody's business


def test_a_model_without_cache_gives_the_same_texts(lm):
    class NoCache(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, input_ids):
            return type("Output", (), {"logits": self.inner(input_ids, use_cache=False).logits})

    bare = replace(lm, model=NoCache(lm.model))
    assert sample(bare, PROMPTS, samples=3, batch=4) == sample(lm, PROMPTS, samples=3, batch=4)


@pytest.mark.parametrize(
    ("config", "architecture"),
    [
        (transformers.GPTNeoConfig, transformers.GPTNeoForCausalLM),
        (transformers.GPTNeoXConfig, transformers.GPTNeoXForCausalLM),
        (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        (transformers.MambaConfig, transformers.MambaForCausalLM),
    ],
)
def test_other_architectures_run_and_batch_independently(config, architecture):
    tokenizer = word_tokenizer()
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "vocab_size": len(tokenizer), "eos_token_id": 0}
    if config is transformers.GPTNeoConfig:
        sizes |= {
            "num_layers": 2,
            "num_heads": 2,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 4,
        }
        del sizes["num_hidden_layers"]
    elif config is not transformers.MambaConfig:
        sizes |= {"num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    other = LM(architecture(config(**sizes)).eval(), tokenizer)
    together = sample(other, PROMPTS, samples=3, new_tokens=8)
    assert [sample(other, [p], samples=3, new_tokens=8, batch=2)[0] for p in PROMPTS] == together


def test_greedy_equals_transformers_own(lm):
    (ours,) = sample(lm, ["the lamp is"], greedy=True, samples=2, new_tokens=12)
    ids = torch.tensor([lm.tokenizer("the lamp is")["input_ids"]])
    theirs = lm.model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, pad_token_id=0
    )
    text = lm.tokenizer.decode(theirs[0, ids.shape[1] :], skip_special_tokens=True)
    assert ours == [text, text] and text


def test_long_prompts_keep_their_end_and_never_pass_the_context():
    small = tiny(context=12)
    long = " ".join(WORDS * 5)
    assert sample(small, [long], prompt_tokens=3, new_tokens=5, greedy=True) == sample(
        small, [" ".join(WORDS[-3:])], new_tokens=5, greedy=True
    )
    for new_tokens in (4, 12, 50):
        for text in sample(small, [long, "", "lamp"], samples=3, new_tokens=new_tokens):
            assert all(len(t.split()) <= min(new_tokens, 12) for t in text)


def test_an_ended_text_stops_and_its_end_token_is_not_shown(lm):
    texts = [t for row in sample(lm, PROMPTS, samples=40, new_tokens=20, top_p=1.0) for t in row]
    lengths = {len(t.split()) for t in texts}
    assert len(lengths) > 5 and not any("<end>" in t for t in texts)


def test_every_end_token_of_the_generation_settings_ends_a_text(lm):
    other = lm.tokenizer.convert_tokens_to_ids("bread")
    plain = sample(lm, PROMPTS, samples=20)
    assert any("bread" in text for row in plain for text in row)
    listed = lm.model.generation_config
    before, listed.eos_token_id = listed.eos_token_id, [0, other]
    try:
        ended = sample(lm, PROMPTS, samples=20)
    finally:
        listed.eos_token_id = before
    assert ended == [[text.split("bread")[0].rstrip() for text in row] for row in plain]


def test_a_model_without_padding_or_end_token_samples_to_the_last_token():
    bare = tiny()
    ended = sample(bare, PROMPTS[:4], samples=9)
    bare.tokenizer.eos_token = None
    bare.model.generation_config.eos_token_id = bare.model.config.eos_token_id = None
    assert bare.tokenizer.pad_token is None
    endless = sample(bare, PROMPTS[:4], samples=9)
    pairs = [(a, b) for one, two in zip(ended, endless, strict=True) for a, b in zip(one, two, strict=True)]
    assert all(long.startswith(short) for short, long in pairs) and any(a != b for a, b in pairs)


def test_dropout_stays_off_and_the_mode_is_given_back(lm):
    calm = sample(lm, PROMPTS)
    lm.model.train()
    assert sample(lm, PROMPTS) == calm
    assert lm.model.training
    lm.model.eval()


def test_a_broken_model_gives_empty_texts_not_noise():
    broken = tiny()
    with torch.no_grad():
        broken.model.transformer.ln_f.weight.fill_(float("nan"))
    assert sample(broken, ["the lamp"], samples=2) == [["", ""]]
    assert sample(broken, ["the lamp"], greedy=True) == [[""]]


def test_sampled_shares_follow_the_models_probabilities(lm):
    with torch.no_grad():
        p = lm.model(torch.tensor([[0]])).logits[0, -1].double().softmax(-1).tolist()
    texts = unconditional(lm, 4000, new_tokens=1, top_p=1.0)
    for word in WORDS:
        share = np.mean([t == word for t in texts])
        expected = p[lm.tokenizer.convert_tokens_to_ids(word)]
        assert share == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 4000) + 1e-9)


def test_unconditional_texts_are_samples_of_the_empty_prompt(lm):
    assert unconditional(lm, 5, 6, 0.9, 2) == sample(lm, [""], samples=5, new_tokens=6, seed=2)[0]
    assert unconditional(lm, 0, 6) == []


def test_no_prompts_give_no_texts_and_nonsense_is_refused_in_words(lm):
    assert sample(lm, []) == []
    for wrong in ({"samples": 0}, {"new_tokens": 0}, {"top_p": 0.0}, {"top_p": 1.1}, {"temperature": 0.0}):
        with pytest.raises(BadInput, match=next(iter(wrong))):
            sample(lm, ["lamp"], **wrong)


def test_an_empty_prompt_needs_a_start_token(lm):
    bare = replace(lm, tokenizer=word_tokenizer())
    bare.tokenizer.eos_token = None
    with pytest.raises(BadModel, match="eos_token"):
        sample(bare, [""])


def test_progress_counts_rows_and_can_stop(lm):
    class Watch(Silent):
        def __init__(self):
            self.seen = []

        def progress(self, done, total, what):
            self.seen.append((done, total))
            if done > 4:
                raise Stopped("stopped")

    with pytest.raises(Stopped):
        sample(lm, PROMPTS, samples=3, batch=2, reporter=(watch := Watch()))
    assert watch.seen == [(0, 18), (2, 18), (4, 18), (6, 18)]


def test_importing_loads_no_torch():
    code = "import core.lm.generate, core.evaluation, sys; assert 'torch' not in sys.modules"
    import subprocess

    subprocess.run([sys.executable, "-c", code], check=True)
