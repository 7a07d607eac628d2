"""Training speed beside TRL's trainers, what a cached reference saves, and what a slice costs by its depth.

`python -m bench.repair [--model FOLDER] [--rows 400] [--batch 8] [--threads 1] [--device cpu]`

Ours and TRL's train the same model on the same tokens in the same batches with AdamW in float32, each in a
process of its own: real tokens per second (padding left out), their ratio, and peak memory. The memory table
uses a random model large enough for its weights to show (--width, --blocks).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from core.lm.load import LanguageModel
    from core.training.loop import Pair

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "assets" / "demo" / "models" / "lm"
WARM = 5  # steps before the clock starts
LR = 1e-5


@dataclass(frozen=True)
class Job:
    """What one process runs."""

    objective: str  # "sft" or "dpo"
    which: str  # "ours" or "trl"
    model: str
    rows: int
    batch: int
    threads: int
    device: str
    memo: str = ""  # file that remembers reference log-probabilities


@dataclass(frozen=True)
class Line:
    """What it measured; tokens and seconds are those after the first WARM steps."""

    steps: int
    tokens: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    prepare_s: float = 0.0  # reading the data once with the reference
    loss: float = 0.0  # of the last step: the two must agree


class Clock:
    """A Reporter that notes when each step was done."""

    def __init__(self) -> None:
        self.at: list[tuple[float, float]] = []
        self.loss = 0.0

    def progress(self, done: int, total: int, what: str) -> None:
        """Nothing is shown: showing takes time."""

    def record(self, row: Mapping[str, Any]) -> None:
        """Note the time of a step."""
        if "loss" in row:
            self.at.append((time.perf_counter(), time.process_time()))
            self.loss = float(row["loss"])

    def stopping(self) -> bool:
        """Never."""
        return False

    def asked(self, what: str) -> bool:
        """Nothing is ever asked for on the way."""
        return False


def main() -> None:
    """Measure and print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(DEMO), help="model folder (default: the demo's)")
    parser.add_argument("--rows", type=int, default=400, help="pairs; one pass over them is measured")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", type=int, default=512, help="of the random model of the memory table")
    parser.add_argument("--blocks", type=int, default=8, help="of that model")
    parser.add_argument("--repeat", type=int, default=3, help="measurements of each; the fastest counts")
    given = parser.parse_args()
    os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_DISABLE_TELEMETRY": "1"}  # read in the processes
    job = Job("", "", given.model, given.rows, given.batch, given.threads, given.device)
    speed_table(job, given.repeat)
    with tempfile.TemporaryDirectory() as folder:
        memory_table(job, Path(folder), given.width, given.blocks)
    slice_table(job)


def speed_table(job: Job, repeat: int) -> None:
    """Tokens per second of both, and how many times faster ours is."""
    print(f"{job.rows} pairs, batch {job.batch}, {job.threads} thread(s), {job.device}, float32, AdamW")
    print(
        f"{'':12}{'steps':>7}{'tokens':>9}{'seconds':>9}{'CPU s':>8}{'tokens/s':>10}{'peak MB':>9}{'loss':>9}"
    )
    for objective in ("sft", "dpo"):
        lines: dict[str, Line] = {}
        for _ in range(repeat):  # in turns, so that a slow minute of the machine hits both
            for which in ("trl", "ours"):
                line = in_process(measure, replace(job, objective=objective, which=which))
                if which not in lines or line.seconds < lines[which].seconds:
                    lines[which] = line
        for which, line in lines.items():
            print(
                f"{objective + ' ' + which:12}{line.steps:7}{line.tokens:9}{line.seconds:9.2f}"
                f"{line.cpu_seconds:8.2f}{line.tokens / line.seconds:10.0f}{line.peak_mb:9.0f}"
                f"{line.loss:9.4f}"
            )
        ours, trl = (lines[w].tokens / lines[w].seconds for w in ("ours", "trl"))
        print(f"{objective} ours / TRL, tokens per second: {ours / trl:.2f}")


def memory_table(job: Job, folder: Path, width: int, blocks: int) -> None:
    """Peak memory of DPO with a resident reference (TRL) and with remembered log-probabilities (ours)."""
    model = in_process(random_model, (str(folder / "model"), width, blocks))
    small = replace(job, model=str(folder / "model"), rows=8 * job.batch, objective="dpo")
    memo = str(folder / "reference.sqlite")
    theirs = in_process(measure, replace(small, which="trl"))
    first = in_process(measure, replace(small, which="ours", memo=memo))
    again = in_process(measure, replace(small, which="ours", memo=memo))
    print(f"\nDPO on a random model of {model / 4e6:.1f} M weights ({model / 1e6:.0f} MB)")
    for name, line in (("TRL, resident", theirs), ("ours, first", first), ("ours, again", again)):
        print(f"{name:16}peak {line.peak_mb:7.0f} MB   reference pass {line.prepare_s:6.2f} s")
    saved = theirs.peak_mb - first.peak_mb
    print(f"ours needs {saved:.0f} MB less; the reference's weights are {model / 1e6:.0f} MB")


def slice_table(job: Job) -> None:
    """Seconds of IRepair's second backward by the depth of the slice, beside an unrestricted one."""
    rows = in_process(slices, job)
    whole = rows.pop("all")
    print("\nIRepair's second backward on the demo model, ms per step (CPU time)")
    print(f"{'unrestricted':14}{1000 * whole:8.2f}")
    for name, seconds in rows.items():
        print(f"{name:14}{1000 * seconds:8.2f}   {seconds / whole:5.2f} of it")


def in_process(work: Any, given: Any) -> Any:
    """The result of `work(given)` from a fresh process: its peak memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, given).result()


def measure(job: Job) -> Line:
    """Train once over the pairs in this process."""
    import torch

    torch.set_num_threads(job.threads)
    warnings.simplefilter("ignore")
    from core.lm.load import load_model

    lm = load_model(job.model, device=job.device)
    pairs = made_pairs(lm, job.rows)
    order = np.random.default_rng([0, 0]).permutation(len(pairs))  # as core.training.loop draws it
    run = ours if job.which == "ours" else theirs
    clock, prepare = run(lm, pairs, order, job)
    tokens = sum(
        len(pairs[i].good.ids) + (len(pairs[i].bad.ids) if job.objective == "dpo" else 0)
        for i in order[(WARM + 1) * job.batch :]
    )
    (wall, cpu), (end, cpu_end) = clock.at[WARM], clock.at[-1]
    return Line(len(clock.at), tokens, end - wall, cpu_end - cpu, peak_mb(job.device), prepare, clock.loss)


def ours(lm: LanguageModel, pairs: Sequence[Pair], order: Any, job: Job) -> tuple[Clock, float]:
    """core.training.loop with the objective, over all weights."""
    from core.repair.objectives import Likelihood, Preferences
    from core.repair.scopes import AllWeights
    from core.training.checkpoints import snapshot, weights_of
    from core.training.loop import train
    from core.training.schedule import TrainingParams
    from core.values import Silent
    from core.workspace import Memo

    memo = Memo(Path(job.memo)) if job.memo else None
    objective: Any = Likelihood(lm) if job.objective == "sft" else Preferences(lm, 0.1, memo)
    began = time.perf_counter()
    objective.prepare(pairs, Silent())
    prepare = time.perf_counter() - began
    clock = Clock()
    train(
        lm,
        objective,
        AllWeights(lm),
        pairs,
        [],
        params=TrainingParams(
            lr=LR, batch=job.batch, epochs=1, warmup=0, clip=1.0, optimizer="adamw", precision="float32"
        ),
        seed=0,
        before=snapshot(weights_of(lm.model)),
        reporter=clock,
    )
    return clock, prepare


def theirs(lm: LanguageModel, pairs: Sequence[Pair], order: Any, job: Job) -> tuple[Clock, float]:
    """TRL's SFTTrainer or DPOTrainer on the very tokens, in the order ours draws."""
    import torch
    import transformers
    from datasets import Dataset, disable_progress_bars
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    disable_progress_bars()
    clock = Clock()

    class Note(transformers.TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            clock.at.append((time.perf_counter(), time.process_time()))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
            clock.loss = float((logs or {}).get("loss", clock.loss))

    common: dict[str, Any] = {
        "output_dir": tempfile.mkdtemp(),
        "per_device_train_batch_size": job.batch,
        "num_train_epochs": 1,
        "learning_rate": LR,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 1.0,
        "bf16": False,
        "use_cpu": job.device == "cpu",
        "gradient_checkpointing": False,
        "logging_steps": 10,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    if job.objective == "sft":
        rows = [{"input_ids": list(p.good.ids), "labels": _labels(p.good)} for p in (pairs[i] for i in order)]
        args: Any = SFTConfig(**common, dataset_kwargs={"skip_prepare_dataset": True}, max_length=None)
        trainer: Any = SFTTrainer
        more: dict[str, Any] = {}
    else:
        rows = [
            {
                "prompt_ids": list(p.good.ids[: p.good.start]),
                "chosen_ids": list(p.good.ids[p.good.start :]),
                "rejected_ids": list(p.bad.ids[p.bad.start :]),
            }
            for p in (pairs[i] for i in order)
        ]
        args = DPOConfig(**common, beta=0.1, max_length=None)
        trainer = DPOTrainer
        from core.lm.load import load_model

        more = {"ref_model": load_model(job.model, device=job.device).model}
    data = Dataset.from_list(rows)
    if job.objective == "dpo":  # it tokenises text by itself: given some, then the very tokens put in place
        text = Dataset.from_list([{"prompt": "a", "chosen": " b", "rejected": " c"}])
        made = trainer(lm.model, args=args, train_dataset=text, processing_class=lm.tokenizer, **more)
        made.train_dataset = data
    else:
        made = trainer(lm.model, args=args, train_dataset=data, processing_class=lm.tokenizer)
    made._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(data)
    made.remove_callback(transformers.PrinterCallback)
    made.add_callback(Note())
    made.train()
    return clock, 0.0


def _labels(text: Any) -> list[int]:
    return [-100] * text.start + list(text.ids[text.start :])


def made_pairs(lm: LanguageModel, count: int) -> list[Pair]:
    """The first pairs of the demo pool as tokens."""
    import pandas as pd

    from core.lm.tokenise import encode_pairs
    from core.training.loop import Pair

    pool = pd.read_parquet(next((ROOT / "assets" / "demo" / "pools" / "demo").glob("*.parquet")))
    both = pool[(pool["response"].str.strip() != "") & (pool["rejected"].str.strip() != "")].head(count)
    good, bad = (
        encode_pairs(lm.tokenizer, both["prompt"].tolist(), both[side].tolist(), context=lm.context)
        for side in ("response", "rejected")
    )
    return [Pair(i, g, b) for i, (g, b) in enumerate(zip(good, bad, strict=True))]


def random_model(given: tuple[str, int, int]) -> int:
    """Write an untrained GPT-2 of that width and depth with the demo's tokenizer; its bytes of weights."""
    import torch
    import transformers

    folder, width, blocks = given
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(DEMO)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=blocks,
        n_head=8,
        n_embd=width,
        n_positions=128,
        vocab_size=len(tokenizer),
        bos_token_id=0,
        eos_token_id=0,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    model: Any = transformers.GPT2LMHeadModel(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(4 * weight.numel() for weight in model.parameters())


def slices(job: Job) -> dict[str, float]:
    """Least CPU seconds of the repair loss's backward with one block open, and with all weights open."""
    import torch

    torch.set_num_threads(job.threads)
    from core.lm.load import blocks, load_model
    from core.repair.objectives import Likelihood

    lm = load_model(job.model, device="cpu")
    pairs = made_pairs(lm, job.batch)
    objective = Likelihood(lm)

    def backward(repeat: int = 30) -> float:
        best = float("inf")
        for _ in range(repeat):
            loss: Any = objective.loss(pairs).loss
            began = time.process_time()
            loss.backward()
            best = min(best, time.process_time() - began)
            lm.model.zero_grad(set_to_none=True)
        return best

    found = {"all": backward()}
    for number, block in enumerate(blocks(lm.model)):
        lm.model.requires_grad_(False)
        block.requires_grad_(True)
        found[f"block {number}"] = backward()
    return found


def peak_mb(device: str) -> float:
    """Largest memory this process ever held: of the CUDA device, else of the machine."""
    import torch

    from core.workspace.signals import peak_bytes as resident_bytes

    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / (1 << 20)
    return resident_bytes() / (1 << 20)


if __name__ == "__main__":
    main()
