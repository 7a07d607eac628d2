"""Error density: the hand case, the paper's figure, and both estimators on a tiny model."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from core.errors import BadInput, MissingInput
from core.lm.load import blocks
from core.repair.base import RepairParams
from core.repair.density import DensityParams, block_sensitivities, density, relative
from core.repair.texts import tokenised
from core.values import Example

# digitised from figure 2 of the paper, each +-0.5 (repair-and-evaluation A7)
GPT_NEO = [100, 93.4, 83.1, 38.3, 36.7, 35.4, 17.7, 13.5, 6.1, 3.7, 3.4, 1.8, 1.6, 1.3, 1.3, 1.1, 1.1]
GPT_NEO += [0.8, 0.8, 0.8, 0.5, 0.5, 0.5, 0.5]
ROWS = [
    Example(f"e{n}", "so", "", text) for n, text in enumerate(["bad", "worse text", "", "the worst of all"])
]


class Stopping:
    def __init__(self, after):
        self.after, self.calls = after, []

    def progress(self, done, total, what):
        self.calls.append((done, total, what))
        if len(self.calls) == self.after:
            raise KeyboardInterrupt


def test_f10():
    found = density([100, 80, 60, 40, 20, 10, 10, 10, 5, 5])
    assert (found.top, found.rest, found.blocks) == (90, 20, (0, 1))
    assert found.percent == pytest.approx(350) and found.margin == pytest.approx(20)


@pytest.mark.parametrize(("n", "k"), [(24, 4), (36, 7), (48, 9), (4, 1), (1, 1), (5, 1), (10, 2)])
def test_f10_the_worst_fifth_is_rounded_down_but_never_empty(n, k):
    assert len(density(np.arange(1, n + 1)).blocks) == k


def test_the_papers_figure_gives_the_papers_numbers():
    found = density(GPT_NEO)
    assert found.percent == pytest.approx(1119.8, abs=3), "printed: 1137.7; tiny bars are rounded to pixels"
    start = [100, 72.6, 71.5]
    assert density(start).margin == pytest.approx(27.4)


def test_order_scale_and_ties():
    shuffled = [5, 60, 10, 100, 40, 10, 80, 20, 10, 5]
    found = density([v * 0.37 for v in shuffled])
    assert found.blocks == (3, 6) and found.percent == pytest.approx(350)
    assert density([7, 7, 7, 7, 7]).blocks == (0,) and density([7, 7, 7, 7, 7]).percent == pytest.approx(0)
    assert relative([2, 4, 1]).tolist() == [50, 100, 25]


def test_what_cannot_be_said_is_no_number():
    one, nothing = density([3.0]), density([0.0] * 5)
    assert one.top == 100 and math.isnan(one.rest) and math.isnan(one.percent) and math.isnan(one.margin)
    assert math.isnan(nothing.percent) and math.isnan(nothing.margin) and relative([0, 0]).tolist() == [0, 0]
    assert np.isnan(relative([1.0, float("nan")])).all(), "a broken gradient is not shown as 0"
    with pytest.raises(BadInput, match="at least one block"):
        density([])


def test_numbers_need_no_torch():
    code = (
        "import sys; from core.repair.density import density, relative; density([1, 2, 3]);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_both_estimators_agree_with_one_backward_pass_per_text(tiny_lm):
    import torch

    lm = tiny_lm()
    lm.model.transformer.wte.requires_grad_(False)  # left as it was found
    found = block_sensitivities(lm, ROWS)
    assert not lm.model.transformer.wte.weight.requires_grad
    assert lm.model.transformer.h[0].attn.c_attn.weight.requires_grad
    assert all(w.grad is None for w in lm.model.parameters())
    texts = [p.bad for p in tokenised(lm, ROWS, RepairParams()) if p.bad.scored > 0]
    each, total = [], [0.0, 0.0]
    for text in texts:
        logprobs = lm.model(torch.tensor([text.ids])).logits[0, :-1].log_softmax(-1)
        scored = range(text.start - 1, len(text.ids) - 1)
        loss = -sum(logprobs[j, text.ids[j + 1]] for j in scored) / len(scored)
        grads = [torch.autograd.grad(loss, list(b.parameters()), retain_graph=True) for b in blocks(lm.model)]
        flat = [torch.cat([g.flatten() for g in row]) for row in grads]
        each.append([float(f.norm()) for f in flat])
        total = [t + f / 3 for t, f in zip(total, flat, strict=True)]
    assert found.each == pytest.approx(np.array(each), rel=1e-3)
    assert found.of_mean == pytest.approx([float(t.norm()) for t in total], rel=1e-3)
    assert found.mean == pytest.approx(np.mean(each, axis=0), rel=1e-3)
    assert (found.of_mean < found.mean).all(), "texts that pull different ways cancel in part"


def test_a_seeded_sample_is_measured(tiny_lm):
    lm = tiny_lm()
    rows = [Example(f"e{n}", "", "", f"text {n * n}") for n in range(8)]
    one, same, other = (
        block_sensitivities(lm, rows, DensityParams(rows=3, seed=seed)).each for seed in (0, 0, 1)
    )
    assert one.shape == (3, 2) and one.tolist() == same.tolist() != other.tolist()
    with pytest.raises(MissingInput, match="none of 1 examples has a rejected text"):
        block_sensitivities(lm, [ROWS[2]])


def test_a_killed_measurement_goes_on_where_it_was(tiny_lm, tmp_path):
    lm = tiny_lm()
    whole = block_sensitivities(lm, ROWS)
    with pytest.raises(KeyboardInterrupt):
        block_sensitivities(lm, ROWS, reporter=Stopping(3), folder=tmp_path / "p")  # 1 averaged, 2 single
    going = Stopping(0)
    again = block_sensitivities(lm, ROWS, reporter=going, folder=tmp_path / "p")
    assert [done for done, _, what in going.calls if "measured" in what] == [3]
    assert again.each.tolist() == whole.each.tolist() and again.of_mean.tolist() == whole.of_mean.tolist()
