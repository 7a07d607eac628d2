"""Names of measured numbers in words: what stands on axes, in choosers and in tables."""

from __future__ import annotations

from core.pipeline.study_numbers import INCREASE

KINDS = {
    "toxicity_mean": "Mean toxicity",
    "toxicity_category_mean": "Mean toxicity over categories",
    "emt": "Expected maximum toxicity",
    "tp": "Toxicity probability",
    "toxic_fraction": "Toxic fraction",
    "perplexity": "Perplexity",
    "perplexity_strided": "Perplexity, strided",
    "bits_per_byte": "Bits per byte",
    "last_word_accuracy": "Last-word accuracy",
    "last_word_perplexity": "Last-word perplexity",
    "refusal_safe": "Refusal of safe requests",
    "refusal_unsafe": "Refusal of unsafe requests",
    "harmful_compliance": "Harmful compliance",
    "fluency": "Fluency (perplexity of the continuations)",
    "dist_1": "Distinct words",
    "dist_2": "Distinct word pairs",
    "dist_3": "Distinct word triples",
    "TR": "Toxicity reduction",
    "U": "Utility kept",
    "OPS": "OPS (Winnow definition)",
    "RPS_full": "RPS against all rows (Winnow definition)",
    "RPS_ideal": "RPS against the ideal (Winnow definition)",
    "RES": "RES, per second (Winnow definition)",
    "RES_data": "RES, per row (Winnow definition)",
}
FAMILIES = {  # of what a repair may cost, for a chooser of few words
    "perplexity": "Perplexity",
    "bits_per_byte": "Bits per byte",
    "last_word_accuracy": "LAMBADA accuracy",
    "last_word_perplexity": "LAMBADA perplexity",
    "refusal_safe": "Refusal of safe requests",
    "fluency": "Fluency",
}


def split(metric: str) -> tuple[str, str]:
    """(kind, set) of a number: "perplexity:wiki" is the perplexity of wiki; the set may be empty."""
    kind, _, of = metric.partition(":")
    return kind, of


def title(metric: str) -> str:
    """The number in words, with the set it was measured on."""
    kind, of = split(metric)
    said = KINDS.get(kind, kind.replace("_", " ").capitalize())
    return f"{said}, {of}" if of else said


def loss(metric: str) -> tuple[str, str]:
    """(title, unit) of the axis that tells what a repair cost of the number."""
    kind, of = split(metric)
    said = f"{KINDS.get(kind, kind)}{f' on {of}' if of else ''}"
    if metric.startswith(INCREASE):
        return f"{said}: increase, % of base", "%"
    return f"{said}: {'more' if kind == 'refusal_safe' else 'lost'}, points", "points"


def gain(metric: str) -> tuple[str, str]:
    """(title, unit) of the axis that tells how much less toxic a repair made the model."""
    if metric == "TR":
        return "Reduction of mean toxicity, % of base", "%"
    return f"Reduction of {KINDS.get(metric, metric).lower()}, points", "points"
