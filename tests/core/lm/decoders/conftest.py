"""A folder that decodes with two side models, each a changed save of the tiny model."""

from __future__ import annotations

import pytest

from core.training.checkpoints import save, snapshot, weights_of
from core.workspace import write_json


@pytest.fixture
def dexperts_folder(tiny_lm, tmp_path):
    """A changed save of the untouched model with expert/, anti/ and decoder.json."""
    import torch

    lm, folder = tiny_lm(), tmp_path / "model"
    before = snapshot(weights_of(lm.model))
    save(lm, folder, "changed", before)
    for number, name in enumerate(("expert", "anti")):
        torch.manual_seed(number)
        with torch.no_grad():
            for weight in lm.model.parameters():
                if weight.ndim == 2:
                    weight.add_(0.3 * torch.randn_like(weight))
        save(lm, folder / name, "changed", before)
    said = {"kind": "dexperts", "alpha": 1.5, "top_p": 0.8, "expert": "expert", "anti": "anti"}
    write_json(folder / "decoder.json", said)
    return folder
