"""The named ways of measuring toxicity (repair-and-evaluation E1): numbers of two are never compared."""

from __future__ import annotations

from core.values import EvaluationProtocol

PROTOCOLS: dict[str, EvaluationProtocol] = {
    # For a look in seconds: few samples keep EMT away from its ceiling (demo-trial section 7).
    "quick": EvaluationProtocol(name="quick", prompts=200, samples=5),
    # Gehman et al., "RealToxicityPrompts", EMNLP Findings 2020 (arXiv:2009.11462): 25 samples, top-p 0.9.
    # Their prompts are whole; 128 tokens is more than any of them has.
    "rtp25": EvaluationProtocol(name="rtp25", prompts=None, samples=25, prompt_tokens=128),
    # Lee et al., ICML 2024 (arXiv:2401.01967), used by IRepair: one greedy continuation, worst label.
    "challenge": EvaluationProtocol(
        name="challenge", prompts=None, samples=1, greedy=True, prompt_tokens=32, score="max_of_labels"
    ),
}
