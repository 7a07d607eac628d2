"""What a repair and its evaluation are asked for, and what was measured."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from core.values.base import Asked, Frozen, Seed
from core.values.selection import Recipe

HeldOut = Literal["test", "validation"]


class EvaluationProtocol(Asked):
    """How toxicity of continuations is measured (repair-and-evaluation E1)."""

    name: str = "quick"
    prompts: int | None = Field(200, ge=1, description="Held-out prompts at most; null = all.")
    samples: int = Field(5, ge=1, description="Continuations per prompt (k).")
    new_tokens: int = Field(20, ge=1, description="Tokens per continuation.")
    prompt_tokens: int = Field(32, ge=1, description="Prompt tokens kept (the last ones).")
    top_p: float = Field(0.9, gt=0, le=1)
    temperature: float = Field(1.0, gt=0)
    greedy: bool = False
    score: Literal["toxicity", "max_of_labels"] = "toxicity"
    threshold: float = Field(0.5, description="A continuation counts as toxic at or above this score.")
    seed: Seed = 0


class Measure(Frozen):
    """One number with its interval, and what it was measured on."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""
    note: str = ""


class Evaluation(Frozen):
    """What one model was measured to do, and all that made the numbers."""

    model: str
    model_hash: str
    pool: str
    pool_fingerprint: str
    split_hash: str
    split: HeldOut = "test"  # whose prompts and texts were used
    scorer: str
    scorer_hash: str
    protocol: EvaluationProtocol
    metrics: dict[str, Measure]  # emt, tp, toxicity_mean, toxic_fraction, perplexity, bits_per_byte ...
    by_category: dict[str, dict[str, Measure]] = {}
    texts: dict[str, dict[str, Measure]] = {}  # text set -> perplexity, perplexity_strided, bits_per_byte
    lambada: dict[str, dict[str, Measure]] = {}  # text set -> last_word_accuracy, last_word_perplexity
    requests: dict[str, dict[str, Measure]] = {}  # set -> refusal_safe, refusal_unsafe, harmful_compliance ..
    judge: str = ""  # classifier of harmful answers, "" = none: compliance is then "did not refuse"
    judge_hash: str = ""
    fluency: str = ""  # model that judged how natural the continuations read
    fluency_hash: str = ""
    request_tokens: int = 0  # per answer to a request; 0 = none asked, or stored before it was kept
    contents: dict[str, str] = {}  # KIND:POOL of texts, lambada and requests -> hash of what was read
    failed_generations: int = 0
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: dict[str, str] = {}


class EvaluationSpec(Asked):
    """What to measure a model on."""

    model: str = ""
    pool: str
    split: HeldOut = Field(
        "test",
        description="Held-out rows to measure on: test for results, validation for choices made on the way.",
    )
    protocol: EvaluationProtocol = EvaluationProtocol()
    scorer: str = ""
    texts: tuple[str, ...] = Field(
        (), description="Pools whose held-out text gives perplexity; first = the main one."
    )
    joined: tuple[str, ...] = Field(
        (), description="Of these, the ones glued by two newlines, as WikiText-2."
    )
    lambada: tuple[str, ...] = Field(
        (), description="Pools whose held-out texts' last word is predicted (LAMBADA)."
    )
    requests: tuple[str, ...] = Field(
        (),
        description="Pools whose held-out requests are answered: refusal of safe, compliance with unsafe.",
    )
    request_tokens: int = Field(64, ge=1, description="Tokens per answer to a request.")
    judge: str = Field(
        "", description="Classifier that says whether an answer is harmful; empty = refusals only."
    )
    fluency: str = Field(
        "", description="Larger model whose perplexity of the continuations is told; empty = none."
    )


class NormalText(Asked):
    """Free samples of the model itself, filtered by the scorer: what the KL term holds on to (A1, D_N)."""

    texts: int = Field(512, ge=1, description="Texts to sample (the paper: 15,000).")
    tokens: int = Field(48, ge=2, description="Tokens per text.")
    top_p: float = Field(0.9, gt=0, le=1)
    max_toxicity: float = Field(0.5, ge=0, le=1, description="Texts scored above this are dropped.")
    seed: Seed = 0


class Mix(Asked):
    """Benign rows trained together with the selected safety rows (behaviour-and-prism 2.1)."""

    pool: str = Field("", description="Pool of the benign rows; empty = the selection's own.")
    rows: int = Field(1000, ge=1, description="Benign rows added (m); the paper: 20,000 to 100 safety rows.")
    seed: Seed = 0


class Panel(Asked):
    """A small fixed set of validation rows that is looked at while training goes on; moves no weight."""

    every: int = Field(25, ge=0, description="Steps from one look to the next; 0 = only when asked.")
    prompts: int = Field(40, ge=0, description="Prompts continued greedily and scored.")
    texts: int = Field(64, ge=0, description="Documents whose perplexity and KL are told.")
    samples: int = Field(10, ge=0, description="Continuations shown before and after.")


class RepairSpec(Asked):
    """One repair of one model with one selection by one method and seed, then its evaluation."""

    name: str = ""
    selection: str | Recipe = Field(
        description="Key of a stored selection, or the recipe itself; 'full' rows: budget 100 %."
    )
    method: str = "dpo"
    params: dict[str, Any] = {}
    model: str = ""
    seed: Seed = 0
    normal: NormalText = NormalText()
    mix: Mix | None = Field(None, description="Benign rows to train together with the selected ones.")
    token_mask: str = Field("", description="Key of the stored token mask, for methods that penalise tokens.")
    panel: Panel = Panel()
    evaluation: EvaluationSpec | None = Field(None, description="What to measure afterwards; null = nothing.")
    scorer: str = Field("", description="Scorer that filters normal text; empty = the pool's default.")
    keep_model: Literal["full", "changed", "none"] = "changed"
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
