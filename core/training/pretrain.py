"""Trains a small GPT-2 with its own byte-level BPE from scratch, for the demo and the lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from core.errors import BadInput
from core.lm.load import quiet
from core.training.scratch import ScratchParams, cosine, fit, one_seeded_thread, padded
from core.values import Reporter, Rows, Silent
from core.workspace import atomic_folder, folder_hash

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

END = "<|endoftext|>"  # begins and ends every document, and pads
END_ID = 0  # the trainer numbers special tokens first
IGNORED = -100  # the label torch's cross entropy leaves out


class PretrainParams(ScratchParams):
    """Size and training of the language model; the defaults are the demo's (1.4 M weights)."""

    layers: int = Field(6, ge=1, description="Transformer blocks.")
    width: int = Field(128, ge=1, description="Size of the hidden state.")
    heads: int = Field(4, ge=1, description="Attention heads; must divide the width.")
    context: int = Field(128, ge=2, description="Tokens the model can look at; longer documents are cut.")
    bf16: bool = Field(
        False, description="Multiply in bfloat16: 1.6 times faster where the processor can, slower elsewhere."
    )
    vocab: int = Field(
        1500, ge=257, description="Tokens at most: the 256 bytes, the end token and the merges."
    )


def train_tokenizer(docs: Sequence[str], vocab: int) -> Tokenizer:
    """A byte-level BPE of at most `vocab` tokens, the end token first; equal documents, equal tokenizers."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(docs, trainer)
    return tokenizer


def framed(tokenizer: Tokenizer, docs: Sequence[str], context: int) -> list[list[int]]:
    """Token ids of each document between two end tokens, cut into pieces that the model's context can hold.

    A piece begins with the last token of the one before, so that every token but the first is predicted once.
    """
    pieces = []
    for encoding in tokenizer.encode_batch([d for d in docs if d]):
        ids = [END_ID, *encoding.ids, END_ID]
        pieces += [ids[at : at + context] for at in range(0, len(ids) - 1, context - 1)]
    return pieces


def next_token_loss(
    model: torch.nn.Module,
    pieces: Sequence[Sequence[int]],
    rows: Rows,
    reduction: str = "mean",
    bf16: bool = False,
) -> torch.Tensor:
    """Negative log-likelihood in nats of all tokens but the first and padding: their mean or sum."""
    import torch

    ids = padded(pieces, rows, END_ID)
    lengths = torch.tensor([len(pieces[r]) for r in rows])
    targets = ids[:, 1:].masked_fill(torch.arange(1, ids.shape[1]) >= lengths[:, None], IGNORED)
    # padding stands on the right, where causal attention never looks back from: no mask is needed
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits = model(input_ids=ids[:, :-1]).logits
    return torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction=reduction
    )


def mean_loss(model: torch.nn.Module, pieces: Sequence[Sequence[int]], batch: int = 32) -> float:
    """Mean negative log-likelihood per token in nats over all pieces; its exponential is the perplexity."""
    import torch

    order = np.argsort([len(p) for p in pieces], kind="stable")
    tokens = sum(len(p) - 1 for p in pieces)
    with torch.inference_mode():
        losses = [
            next_token_loss(model, pieces, order[at : at + batch], "sum").item()
            for at in range(0, len(order), batch)
        ]
    return sum(losses) / tokens


def train_lm(
    docs: Sequence[str],
    folder: Path,
    *,
    params: PretrainParams,
    held_out: Mapping[str, Sequence[str]] | None = None,
    reporter: Reporter = Silent(),
) -> dict[str, Any]:
    """Train tokenizer and model on `docs`, save both into `folder`, and return what came of it.

    `folder` is one that transformers' Auto classes load without a network: config.json, model.safetensors,
    tokenizer.json, tokenizer_config.json. Same documents, parameters and machine: same bytes. For each named
    set of `held_out` documents the facts hold the loss (nats per token, end tokens included) and the tokens.
    """
    if params.width % params.heads:
        raise BadInput(
            f"{params.heads} heads cannot share a width of {params.width}; take a divisor of the width"
        )
    tokenizer = train_tokenizer(docs, params.vocab)
    pieces = framed(tokenizer, docs, params.context)
    with one_seeded_thread(params.seed):
        model = _new_model(tokenizer.get_vocab_size(), params)
        fitted = fit(
            model,
            lambda rows: next_token_loss(model, pieces, rows, bf16=params.bf16),
            [len(p) for p in pieces],
            params=params,
            decay=cosine,
            reporter=reporter,
            what="steps of language model training",
        )
        measured = {
            name: _measured(model, framed(tokenizer, texts, params.context))
            for name, texts in (held_out or {}).items()
        }
    _save(model, tokenizer, params.context, folder)
    tokens = sum(len(a) - 1 for a in pieces)
    return {
        "params": params.model_dump(mode="json"),
        "weights": model.num_parameters(),
        "vocab": tokenizer.get_vocab_size(),
        "documents": len(docs),
        "tokens": tokens,
        "steps": fitted.steps,
        "seconds": round(fitted.seconds, 1),
        "losses": fitted.losses,
        "held_out": measured,
        "hash": folder_hash(folder),
    }


def _new_model(vocab: int, params: PretrainParams) -> Any:
    """A GPT-2 of that size with random weights, without dropout."""
    import transformers

    config = transformers.GPT2Config(
        vocab_size=vocab,
        n_positions=params.context,
        n_embd=params.width,
        n_layer=params.layers,
        n_head=params.heads,
        bos_token_id=END_ID,
        eos_token_id=END_ID,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        activation_function="gelu_pytorch_tanh",  # the same function as "gelu_new", in one operation
    )
    # torch's fused attention is the faster one, but not in bfloat16
    config._attn_implementation = "eager" if params.bf16 else "sdpa"
    return transformers.GPT2LMHeadModel(config)


def _measured(model: torch.nn.Module, pieces: Sequence[Sequence[int]]) -> dict[str, float]:
    return {"loss": mean_loss(model, pieces), "tokens": sum(len(p) - 1 for p in pieces)}


def _save(model: Any, tokenizer: Tokenizer, context: int, folder: Path) -> None:
    """Write the model folder in one piece; a folder that was there before is replaced at the end."""
    import transformers
    from tokenizers import processors

    # Every document began with the end token: a prompt without it would be a place the model has never seen.
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END} $A", pair=f"{END} $A {END} $B", special_tokens=[(END, END_ID)]
    )
    wrapped = transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
    # not before: while it trains, transformers would ask for a mask wherever it sees a padding token
    model.config.pad_token_id = model.generation_config.pad_token_id = END_ID
    with quiet(), atomic_folder(folder) as part:
        model.save_pretrained(part)
        wrapped.save_pretrained(part)
