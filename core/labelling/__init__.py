"""Label examples with flags (request harmful, answer a refusal...) where the source has none."""

from core.labelling.base import LABELLERS, LabellerSpec, label

__all__ = ["LABELLERS", "LabellerSpec", "label"]
