"""RAD: no weight moves; while generating, a toxicity scorer's reward picks among the likeliest next tokens.

Deng and Raffel, "Reward-Augmented Decoding: Efficient Controlled Text Generation With a Unidirectional
Reward Model", EMNLP 2023 (arXiv:2310.09520), algorithm 1; k = 20 as there, beta 30 as its code's class has
it. Its reward model is a GPT-2 trained for the purpose; here it is the pool's scorer of whole texts, so the
rewards, not the rule, are a reconstruction.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from core.lm.decoders import RADFile
from core.repair.base import METHODS, MethodSpec, Repaired, RepairParams


class RADParams(RepairParams):
    """Settings of RAD; those of training are not used."""

    beta: float = Field(30.0, ge=0, description="How much the reward counts beside the model's logits.")
    k: int = Field(20, ge=1, description="Likeliest next tokens that may be drawn; all others never are.")
    inverse: bool = Field(
        True, description="Steer away from what the scorer finds; off steers toward it, as a control."
    )
    reward: str = Field("", description="Scorer that gives the reward; empty = the pool's default.")


def decode(repaired: Repaired) -> dict[str, Any]:
    """What decoder.json says; the scorer is found by its name when the model is opened."""
    p: RADParams = repaired.params
    return RADFile(beta=p.beta, k=p.k, inverse=p.inverse, scorer=p.reward).model_dump()


METHODS.add(
    __name__,
    MethodSpec(
        title="Reward-augmented decoding (RAD)",
        source="arXiv:2310.09520",
        needs=(),
        params=RADParams,
        phases=(),
        decode=decode,
    ),
)
