"""Tiny random language models on disk: two blocks, width 16, a byte tokenizer; loaded in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

END = "<|end|>"


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: number for number, token in enumerate([END, *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, pad_token=END, model_max_length=64
    )


def _config(kind: str) -> Any:
    from transformers import GPT2Config, GPTNeoConfig, GPTNeoXConfig, LlamaConfig

    ends: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "vocab_size": 257}
    if kind == "gpt2":
        return GPT2Config(n_layer=2, n_embd=16, n_head=2, n_positions=64, **ends)
    if kind == "gpt_neo":
        return GPTNeoConfig(
            hidden_size=16,
            num_layers=2,
            attention_types=[[["global", "local"], 1]],
            window_size=4,
            num_heads=2,
            max_position_embeddings=64,
            **ends,
        )
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    other = GPTNeoXConfig if kind == "gpt_neox" else LlamaConfig
    return other(max_position_embeddings=64, **sizes, **ends)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model of that kind (gpt2, gpt_neo, gpt_neox, llama), made on first use."""
    made: dict[str, Path] = {}

    def folder(kind: str = "gpt2") -> Path:
        if kind not in made:
            import torch
            from transformers import AutoModelForCausalLM

            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(1)
                model = AutoModelForCausalLM.from_config(_config(kind))
            with torch.no_grad():  # a fresh GPT is almost uniform; a wider spread makes every number tell
                for weight in model.parameters():
                    if weight.ndim == 2:
                        weight.mul_(8)
            made[kind] = tmp_path_factory.mktemp(kind)
            model.save_pretrained(made[kind])
            _tokenizer().save_pretrained(made[kind])
        return made[kind]

    return folder


@pytest.fixture
def tiny_lm(tiny_folder: Callable[[str], Path]) -> Callable[..., Any]:
    """A freshly loaded tiny model of that kind."""

    def load(kind: str = "gpt2") -> Any:
        from core.lm.load import load_model
        from core.lm.threads import use_threads

        use_threads(1)  # a second thread costs a model of this size most of its time
        return load_model(str(tiny_folder(kind)))

    return load
