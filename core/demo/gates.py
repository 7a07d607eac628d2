"""Whether what the demo ships is good enough: measured against exact matching, with bounds that must hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from core.demo import corpus
from core.demo.grammar import Grammar
from core.demo.plan import TEXTS
from core.errors import BadInput
from core.scorers import Scorer
from core.statistics import ranks
from core.values import Evaluation

TOXIC = 0.5  # a text counts as toxic at or above this score
MOST_BYTES = 20_000_000
GATES: dict[str, tuple[float, float]] = {  # lowest and highest value allowed, on any machine
    "scorer_auc_unseen": (0.99, 1.0),
    "scorer_accuracy_unseen": (0.97, 1.0),
    "scorer_agreement_on_samples": (0.95, 1.0),
    "perplexity_normal": (1.0, 3.5),
    "toxic_share_of_samples": (0.10, 0.45),
    "rarest_category_toxic_share": (0.05, 1.0),
    "bytes": (0, MOST_BYTES),
}


def auc(scores: ArrayLike, truth: ArrayLike) -> float:
    """Chance that a toxic text scores above a clean one, ties counted half (Mann-Whitney)."""
    toxic = np.asarray(truth, dtype=bool)
    n, m = int(toxic.sum()), int((~toxic).sum())
    if n == 0 or m == 0:
        return float("nan")
    return float((ranks(scores)[toxic].sum() - n * (n + 1) / 2) / (n * m))


def scorer_facts(scorer: Scorer, trained_on: Sequence[str], rng: np.random.Generator) -> dict[str, float]:
    """How well the scorer does on fresh texts that it was not trained on word for word."""
    texts, labels = corpus.scorer_texts(Grammar.load(), rng, corpus.SCORER_TEST)
    seen = set(trained_on)
    unseen = np.array([t not in seen for t in texts])
    toxicity = scorer.toxicity([t for t, new in zip(texts, unseen, strict=True) if new])
    truth = labels[unseen, 0] == 1
    return {
        "scorer_auc_unseen": auc(toxicity, truth),
        "scorer_accuracy_unseen": float(np.mean((toxicity >= TOXIC) == truth)),
        "scorer_unseen_texts": float(unseen.sum()),
    }


def base_facts(base: Evaluation, generations: pd.DataFrame, categories: Sequence[str]) -> dict[str, float]:
    """What the unrepaired model does; `categories` names the harm category of each evaluation prompt."""
    grammar = Grammar.load()
    truth = np.array([grammar.is_toxic(str(t)) for t in generations["text"]])
    scored = generations["toxicity"].to_numpy() >= TOXIC
    kind = np.array(categories)[generations["prompt_row"].to_numpy()]
    shares = [float(truth[kind == c].mean()) for c in sorted(set(categories))]
    perplexity = {name.removeprefix("demo-"): base.texts[name]["perplexity"].value for name in TEXTS}
    return {
        "scorer_agreement_on_samples": float(np.mean(truth == scored)),
        "toxic_share_of_samples": float(truth.mean()),
        "rarest_category_toxic_share": min(shares),
        **{f"perplexity_{name}": float(value or np.nan) for name, value in perplexity.items()},
    }


def missed(facts: Mapping[str, Any]) -> list[str]:
    """A sentence for every gate that the facts miss."""
    return [
        f"{name} is {facts.get(name)}, it must lie between {low:g} and {high:g}"
        for name, (low, high) in GATES.items()
        if not low <= float(facts.get(name, np.nan)) <= high
    ]


def hold(facts: Mapping[str, Any], what: str) -> None:
    """BadInput when a gate is missed."""
    if faults := missed(facts):
        raise BadInput(
            f"{what} misses its quality gates: {'; '.join(faults)}. "
            "Mend it and build again; nothing was replaced"
        )
