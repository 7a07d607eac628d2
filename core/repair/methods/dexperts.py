"""DExperts: an expert learns the good texts, an anti-expert the bad ones; their difference steers decoding.

Liu et al., "DExperts: Decoding-Time Controlled Text Generation with Experts and Anti-Experts", ACL 2021
(arXiv:2105.03023), section 2: alpha 2, nucleus 0.9. Each side model is trained for one epoch as in the
authors' scripts (github.com/alisawuffles/DExperts, finetune_toxicity_experts.sh), which leave transformers'
defaults: AdamW, 5e-5 falling to 0, no warm-up, clip 1. Theirs reads 64 blocks of 128 tokens per step, ours a
batch of responses behind their prompts: a reconstruction. The model's own weights stay as they are.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from core.lm.decoders import DExpertsFile
from core.repair.base import METHODS, MethodSpec, Phase, Repaired, RepairParams, Setting
from core.repair.objectives import Likelihood
from core.training.checkpoints import restore, save, weights_of
from core.training.parts import Objective
from core.training.schedule import OptimizerName

SIDES = ("expert", "anti")


class DExpertsParams(RepairParams):
    """Settings of DExperts: of the decoding, then of the training of both side models."""

    alpha: float = Field(2.0, ge=0, description="How much expert less anti-expert counts beside the model.")
    top_p: float = Field(
        0.9, gt=0, le=1, description="Only tokens in this nucleus of the model itself may be drawn."
    )
    lr: float = Field(5e-5, gt=0, le=1, description="Learning rate of both side models.")
    epochs: float = Field(1.0, gt=0, description="Passes of each side model over its texts.")
    warmup: int = Field(0, ge=0, description="Steps in which the learning rate rises.")
    schedule: Literal["constant", "linear"] = Field(
        "linear", description="Learning rate after warm-up: constant, or falling to 0 at the last step."
    )
    optimizer: OptimizerName = Field("adamw", description="adamw (the authors' scripts) or rmsprop.")
    clip: float = Field(1.0, gt=0, description="Largest gradient norm.")


def expert(setting: Setting) -> Objective:
    """NLL of the good texts."""
    return Likelihood(setting.lm, per=setting.params.per)


def anti(setting: Setting) -> Objective:
    """NLL of the bad texts."""
    return Likelihood(setting.lm, per=setting.params.per, side="bad")


def decode(repaired: Repaired) -> dict[str, Any]:
    """Save both side models below the model's folder, as what differs from the untouched model."""
    weights = weights_of(repaired.lm.model)
    for name, after in zip(SIDES, repaired.after, strict=True):
        restore(weights, after)
        save(repaired.lm, repaired.folder / name, "changed", repaired.before)
    p: DExpertsParams = repaired.params
    return DExpertsFile(alpha=p.alpha, top_p=p.top_p, expert="expert", anti="anti").model_dump()


METHODS.add(
    __name__,
    MethodSpec(
        title="Experts at decoding time (DExperts)",
        source="arXiv:2105.03023",
        needs=("response", "rejected"),
        params=DExpertsParams,
        phases=(Phase(expert, "expert"), Phase(anti, "anti")),
        decode=decode,
    ),
)
