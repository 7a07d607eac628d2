"""Sampling continuations, ours against transformers' own generate(): tokens per second, ratio, peak memory.

`python -m bench.generate [--model FOLDER] [--prompts 200] [--samples 25] [--batch 256] [--threads 1]`;
without a model a random one of the demo's size (width 128, 6 blocks). Both run in a process of their own,
with equal settings: top-p 0.9, 20 new tokens, no end token, so that both make the same number. Theirs pads
each batch of prompts on the left.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from core.lm.load import LanguageModel

NEW_TOKENS = 20
TOP_P = 0.9


@dataclass(frozen=True)
class Job:
    """What one process runs."""

    which: str  # "ours" or "transformers"
    model: str
    prompts: int
    samples: int
    batch: int
    threads: int


@dataclass(frozen=True)
class Line:
    """What it measured."""

    seconds: float
    cpu_seconds: float
    tokens: int
    peak_mb: float  # of the process while sampling, less what it held before


def main() -> None:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="", help="model folder; default: a random one of the demo's size")
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--samples", type=int, default=25)
    parser.add_argument("--batch", type=int, default=256, help="rows at once (prompts x samples)")
    parser.add_argument("--threads", type=int, default=1)
    job = Job(which="", **vars(parser.parse_args()))
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # read when torch is loaded, in the processes below
    spawn = multiprocessing.get_context("spawn")
    lines = {}
    for which in ("transformers", "ours"):
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            lines[which] = pool.submit(measure, replace(job, which=which)).result()
    print(f"{job.prompts} prompts x {job.samples} samples x {NEW_TOKENS} tokens, {job.threads} thread(s)")
    print(f"{'':14}{'seconds':>9}{'CPU s':>9}{'tokens':>9}{'tokens/s':>10}{'tokens/CPU s':>14}{'peak MB':>9}")
    for which, line in lines.items():
        print(
            f"{which:14}{line.seconds:9.1f}{line.cpu_seconds:9.1f}{line.tokens:9}"
            f"{line.tokens / line.seconds:10.0f}{line.tokens / line.cpu_seconds:14.0f}{line.peak_mb:9.0f}"
        )
    speeds = {which: line.tokens / line.cpu_seconds for which, line in lines.items()}
    print(f"ours / transformers, tokens per CPU second: {speeds['ours'] / speeds['transformers']:.2f}")


def measure(job: Job) -> Line:
    """Run one of the two in this process; the first, small run warms it up."""
    import torch

    torch.set_num_threads(job.threads)
    lm = load(job.model)
    prompts = made_prompts(lm, job.prompts)
    run = ours if job.which == "ours" else theirs
    run(lm, prompts[:4], replace(job, samples=2))
    before = peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = run(lm, prompts, job)
    return Line(time.perf_counter() - wall, time.process_time() - cpu, tokens, peak_mb() - before)


def ours(lm: LanguageModel, prompts: list[str], job: Job) -> int:
    """core.lm.generate.sample; returns the number of tokens made."""
    from core.lm.generate import sample

    made = sample(lm, prompts, samples=job.samples, new_tokens=NEW_TOKENS, top_p=TOP_P, batch=job.batch)
    return sum(len(row) for row in made) * NEW_TOKENS


def theirs(lm: LanguageModel, prompts: list[str], job: Job) -> int:
    """Their generate with num_return_sequences, decoded too; returns the number of tokens made."""
    import torch

    step = max(1, job.batch // job.samples)
    torch.manual_seed(0)
    tokens = 0
    for start in range(0, len(prompts), step):
        batch = lm.tokenizer(prompts[start : start + step], padding=True, return_tensors="pt")
        with torch.inference_mode():
            made = lm.model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                do_sample=True,
                top_p=TOP_P,
                top_k=0,
                max_new_tokens=NEW_TOKENS,
                min_new_tokens=NEW_TOKENS,
                num_return_sequences=job.samples,
                pad_token_id=lm.tokenizer.pad_token_id,
            )[:, batch["input_ids"].shape[1] :]
        lm.tokenizer.batch_decode(made, skip_special_tokens=True)
        tokens += made.numel()
    return tokens


def load(folder: str) -> LanguageModel:
    """The model named, or a random one of the demo's size; without end token: no text stops early."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    from core.lm.load import LanguageModel, load_model

    if folder:
        return endless(load_model(folder))
    words = ["<end>", "<unk>", *(f"w{i}" for i in range(1339))]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    make: Any = transformers.PreTrainedTokenizerFast
    tokenizer = make(tokenizer_object=inner, eos_token="<end>", unk_token="<unk>")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=6, n_head=4, n_embd=128, n_positions=128, vocab_size=1341, bos_token_id=0, eos_token_id=None
    )
    model: Any = transformers.GPT2LMHeadModel(config)
    model.eval()
    with torch.no_grad():
        model.transformer.wte.weight.mul_(8)  # about as sharp as a trained model: a flat one sorts more
    return endless(LanguageModel(model, tokenizer, "random", "", "cpu", 128))


def endless(lm: LanguageModel) -> LanguageModel:
    """The same model with its end token for starts and padding only."""
    lm.tokenizer.padding_side = "left"
    lm.tokenizer.pad_token = lm.tokenizer.bos_token = lm.tokenizer.eos_token
    lm.tokenizer.eos_token = None
    lm.model.generation_config.eos_token_id = None
    return lm


def made_prompts(lm: LanguageModel, n: int) -> list[str]:
    """Prompts of 5 to 14 tokens, drawn from the vocabulary."""
    rng = np.random.default_rng(0)
    size = len(lm.tokenizer)
    rows: list[Any] = [rng.integers(2, size, rng.integers(5, 15)).tolist() for _ in range(n)]
    return [lm.tokenizer.decode(row) for row in rows]


def peak_mb() -> float:
    """Largest memory this process ever held."""
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main()
