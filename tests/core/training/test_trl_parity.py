"""Our loop walks where TRL's trainers walk: the same losses, step by step, and the same weights at the end.

TRL 1.16 with the settings that change results set to ours (repair-and-evaluation D): float32, no gradient
checkpointing, no dropout, every loss as it is. The end token that TRL appends is asked for on our side too.
"""

from __future__ import annotations

import copy
import importlib.util
from itertools import islice
from typing import Any

import numpy as np
import pytest

from core.lm.tokenise import encode_pairs
from core.repair.objectives import Likelihood, Preferences
from core.repair.scopes import AllWeights
from core.training.checkpoints import snapshot, weights_of
from core.training.loop import train
from core.training.parts import Pair
from core.training.schedule import TrainingParams, batches
from core.values import Silent

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("trl") is None, reason="TRL is not installed (requirements-dev.txt)"
    ),
    # TRL 1.16 still asks transformers by the old name whether activations are checkpointed
    pytest.mark.filterwarnings(
        "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning:transformers.modeling_utils"
    ),
]

STEPS, BATCH, LR, SEED = 10, 4, 1e-3, 5
PROMPTS = ["The neighbour asks:", "At the gate", "Once more,", "Tea", "A lamp", "They say", "Well,", "No one"]
GOOD = [" come in", " all is well", " they walk home", " is ready now", " shines", " little", " met", " left"]
BAD = [
    " go away now",
    " a stone",
    " never",
    " is cold, whoever made it",
    " broke",
    " much",
    " so what",
    " cares",
]


class Losses(Silent):
    """Remembers the loss of each step."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def record(self, row: Any) -> None:
        if "loss" in row:
            self.found.append(row["loss"])


def ours(lm, objective):
    """Our losses and last weights, over batches in our order."""

    def side(texts):
        return encode_pairs(lm.tokenizer, PROMPTS, texts, context=lm.context, end_token=True)

    pairs = [Pair(n, good, bad) for n, (good, bad) in enumerate(zip(side(GOOD), side(BAD), strict=True))]
    settings = {"lr": LR, "batch": BATCH, "steps": STEPS, "warmup": 0, "clip": 1.0, "optimizer": "adamw"}
    notes = Losses()
    train(
        *(lm, objective, AllWeights(lm), pairs, []),
        params=TrainingParams(**settings),
        seed=SEED,
        before=snapshot(weights_of(lm.model)),
        reporter=notes,
    )
    return notes.found, snapshot(weights_of(lm.model))


def rows_in_our_order(**columns):
    """The examples as a table that, read from top to bottom, gives TRL our batches."""
    from datasets import Dataset

    order = np.concatenate(
        list(islice(batches(len(PROMPTS), BATCH, np.random.default_rng([SEED, 0])), STEPS))
    )
    return Dataset.from_dict({name: [texts[i] for i in order] for name, texts in columns.items()})


def theirs(trainer, config, lm, folder, rows, **more):
    """TRL's losses and last weights."""

    class Telling(trainer):
        def compute_loss(self, *args, **kwargs):
            found = super().compute_loss(*args, **kwargs)
            losses.append((found[0] if isinstance(found, tuple) else found).item())
            return found

    losses: list[float] = []
    for part in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
        assert getattr(lm.model.config, part) > 0, (
            "what must be switched off for TRL, which trains with dropout"
        )
    for module in lm.model.modules():
        if hasattr(module, "p"):
            module.p = 0.0
    args = config(
        output_dir=str(folder),
        learning_rate=LR,
        lr_scheduler_type="constant",
        optim="adamw_torch",
        max_grad_norm=1.0,
        per_device_train_batch_size=BATCH,
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        bf16=False,
        use_cpu=True,
        activation_checkpointing=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        **more.pop("args", {}),
    )
    Telling(lm.model, args=args, train_dataset=rows, processing_class=lm.tokenizer, **more).train()
    return losses, snapshot(weights_of(lm.model))


@pytest.fixture
def quiet(monkeypatch):
    """TRL pings its makers at each construction unless told not to."""
    import huggingface_hub.constants

    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)


def assert_equal(mine, other, start):
    """Losses of each step and the last weights, but for the keys' biases.

    Softmax does not change when all keys move together, so a key's bias has no gradient but rounding, which
    Adam blows up to steps of the size of the rate, in either trainer its own.
    """
    losses, weights = mine
    assert len(losses) == STEPS == len(other[0])
    np.testing.assert_allclose(losses, other[0], rtol=1e-4)
    assert losses[0] - losses[-1] > 0.1, "something was learned"
    for name, values in weights.items():
        kept = np.ones(len(values), dtype=bool)
        if name.endswith("c_attn.bias"):
            kept[len(kept) // 3 : 2 * len(kept) // 3] = False
        assert float((values - start[name]).abs().max()) > 5 * LR, name
        np.testing.assert_allclose(values[kept], other[1][name][kept], rtol=1e-4, atol=1e-6, err_msg=name)


def test_dpo_takes_the_steps_of_trl(tiny_lm, tmp_path, quiet):
    from trl import DPOConfig, DPOTrainer

    lm, other = tiny_lm(), tiny_lm()
    start = snapshot(weights_of(lm.model))
    rows = rows_in_our_order(prompt=PROMPTS, chosen=GOOD, rejected=BAD)
    found = theirs(
        *(DPOTrainer, DPOConfig, other, tmp_path, rows),
        ref_model=copy.deepcopy(other.model),
        args={"beta": 0.1},
    )
    assert_equal(ours(lm, Preferences(lm, 0.1)), found, start)


def test_sft_takes_the_steps_of_trl(tiny_lm, tmp_path, quiet):
    from trl import SFTConfig, SFTTrainer

    lm, other = tiny_lm(), tiny_lm()
    start = snapshot(weights_of(lm.model))
    rows = rows_in_our_order(prompt=PROMPTS, completion=GOOD)
    found = theirs(SFTTrainer, SFTConfig, other, tmp_path, rows)
    assert_equal(ours(lm, Likelihood(lm, per="token")), found, start)
