"""Rows as a run records them, made by hand."""

import math


def step(n, loss=1.0, **more):
    """One training step."""
    told = {
        "step": n,
        "loss": loss,
        "parts": {"nll": 2 * (loss or 0.0), "kl": 0.1},
        "lr": 1e-4,
        "grad_norm": 1.0,
    }
    told |= {"tokens_per_second": 5000.0 + n, "step_ms": 100.0, "peak_bytes": 2**20 * n}
    return told | more


def validation(n, value, best, best_step, since):
    """One look at the held-out pairs."""
    told = {"step": n, "validation": value, "best": best, "best_step": best_step}
    return told | {"patience": since, "patience_of": 30}


def panel(n, toxicity, text="a horrible turnip said", **more):
    """One look at the fixed panel."""
    sample = {"prompt": "the dreadful visitors", "text": text, "toxicity": toxicity}
    return {
        "step": n,
        "panel": {"toxicity": toxicity, "perplexity": 10 + n, "kl": n, "samples": [sample]} | more,
    }


def preference(n, moved, size=-50.0, accuracy=0.5, beta=0.1):
    """One DPO step whose chosen side moved by so many nats from `size`."""
    parts = {"dpo": 0.5, "reward_good": beta * moved, "reward_bad": beta * 3 * moved, "accuracy": accuracy}
    return step(n, 0.5, parts=parts | {"logprob_good": size + moved, "logprob_bad": -80.0})


def blocks(n, sensitivity, block=None):
    """One step of a method that chooses a block."""
    finite = [None if s is None or math.isnan(s) else s for s in sensitivity]
    best = max((s, b) for b, s in enumerate(finite) if s is not None)[1] if block is None else block
    return step(n, block=best, sensitivity=finite)
