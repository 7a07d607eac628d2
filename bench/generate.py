"""Sampling continuations, ours against transformers' own generate(): continuations per second, peak memory.

`python -m bench.generate [--model FOLDER] [--prompts 160] [--samples 25] [--batch 256] [--threads 1]`

Without a model the demo's; always the demo's held-out prompts, 20 tokens each. Each way runs in a process of
its own with equal settings (top-p 0.9, texts end at their end token): generate() for one prompt and one
continuation at a time, for one prompt and all its samples at a time, and for batches of prompts, padded on
the left. The first runs on a twentieth of the prompts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.lm.load import LanguageModel

NEW_TOKENS = 20
TOP_P = 0.9
SHIPPED = Path(__file__).resolve().parents[1] / "assets" / "demo"
DEMO, POOLS = str(SHIPPED / "models" / "lm"), SHIPPED / "pools"


@dataclass(frozen=True)
class Job:
    """What one process runs."""

    which: str  # a key of WAYS
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
    made: int  # continuations
    peak_mb: float  # of the process while sampling, less what it held before


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=DEMO, help="model folder; default: the demo's")
    parser.add_argument("--prompts", type=int, default=160)
    parser.add_argument("--samples", type=int, default=25)
    parser.add_argument("--batch", type=int, default=256, help="rows at once (prompts x samples)")
    parser.add_argument("--threads", type=int, default=1)
    job = Job(which="", **vars(parser.parse_args()))
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # read when torch is loaded, in the processes below
    spawn = multiprocessing.get_context("spawn")
    lines: dict[str, Line] = {}
    for which in WAYS:
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            lines[which] = pool.submit(measure, replace(job, which=which)).result()
    print(f"{job.prompts} prompts x {job.samples} samples x {NEW_TOKENS} tokens, {job.threads} thread(s)")
    print(f"{'':24}{'made':>7}{'seconds':>9}{'CPU s':>8}{'per CPU s':>11}{'ours is':>9}{'peak MB':>9}")
    speeds = {which: line.made / line.cpu_seconds for which, line in lines.items()}
    for which, line in lines.items():
        ratio = f"{speeds['ours'] / speeds[which]:.2f} x"
        print(
            f"{which:24}{line.made:7}{line.seconds:9.1f}{line.cpu_seconds:8.1f}{speeds[which]:11.0f}"
            f"{ratio:>9}{line.peak_mb:9.0f}"
        )


def measure(job: Job) -> Line:
    """Run one way in this process; the first, small run warms it up."""
    import torch

    from core.lm.load import load_model

    torch.set_num_threads(job.threads)
    lm = load_model(job.model)
    lm.tokenizer.padding_side, lm.tokenizer.pad_token = "left", lm.tokenizer.eos_token
    prompts = held_out(job.prompts)
    run, share = WAYS[job.which]
    run(lm, prompts[:4], replace(job, samples=2))
    before = peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    made = run(lm, prompts[:: round(1 / share)], job)
    return Line(time.perf_counter() - wall, time.process_time() - cpu, made, peak_mb() - before)


def ours(lm: LanguageModel, prompts: list[str], job: Job) -> int:
    """core.lm.generate.sample; returns the number of continuations made."""
    from core.lm.generate import sample

    made = sample(lm, prompts, samples=job.samples, new_tokens=NEW_TOKENS, top_p=TOP_P, batch=job.batch)
    return sum(len(row) for row in made)


def one_by_one(lm: LanguageModel, prompts: list[str], job: Job) -> int:
    """Theirs, a call per continuation."""
    return sum(generated(lm, [prompt], 1) for prompt in prompts for _ in range(job.samples))


def by_prompt(lm: LanguageModel, prompts: list[str], job: Job) -> int:
    """Theirs, a call per prompt."""
    return sum(generated(lm, [prompt], job.samples) for prompt in prompts)


def batched(lm: LanguageModel, prompts: list[str], job: Job) -> int:
    """Theirs, a call per batch of prompts."""
    step = max(1, job.batch // job.samples)
    return sum(generated(lm, prompts[at : at + step], job.samples) for at in range(0, len(prompts), step))


def generated(lm: LanguageModel, prompts: list[str], samples: int) -> int:
    """One call of their generate, decoded too; returns the number of continuations made."""
    import torch

    batch = lm.tokenizer(prompts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        made = lm.model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            do_sample=True,
            top_p=TOP_P,
            top_k=0,
            max_new_tokens=NEW_TOKENS,
            num_return_sequences=samples,
            pad_token_id=lm.tokenizer.pad_token_id,
        )[:, batch["input_ids"].shape[1] :]
    return len(lm.tokenizer.batch_decode(made, skip_special_tokens=True))


WAYS: dict[str, tuple[Callable[[LanguageModel, list[str], Job], int], float]] = {
    "generate, one by one": (one_by_one, 0.05),
    "generate, by prompt": (by_prompt, 1),
    "generate, batched": (batched, 1),
    "ours": (ours, 1),
}


def held_out(n: int) -> list[str]:
    """Prompts of the demo's held-out rows, the prompt set first; each once."""
    import pandas as pd

    frames = [pd.read_parquet(POOLS / name / "pool.parquet") for name in ("demo-prompts", "demo")]
    rows = pd.concat([frame[frame["split"] == "test"] for frame in frames])["prompt"]
    return [str(prompt) for prompt in rows[rows != ""].drop_duplicates()[:n]]


def peak_mb() -> float:
    """Largest memory this process ever held."""
    from core.workspace.signals import peak_bytes

    return peak_bytes() / (1 << 20)


if __name__ == "__main__":
    main()
