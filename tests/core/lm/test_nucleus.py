"""Nucleus draws by hand, and against a full sort."""

import torch

from core.lm.nucleus import keep_nucleus, nucleus


def test_the_nucleus_is_exact_where_the_sorted_head_is_too_short():
    logits = torch.randn(64, 300, generator=torch.Generator().manual_seed(0))
    logits[::2] *= 8  # peaked rows need few tokens, flat ones nearly all
    log_p, u = logits.log_softmax(-1), torch.rand(64, generator=torch.Generator().manual_seed(1))
    whole = nucleus(log_p, u, 0.9, head=300)
    assert torch.equal(nucleus(log_p, u, 0.9, head=10), whole)
    alone = torch.cat([nucleus(log_p[i : i + 1], u[i : i + 1], 0.9, head=10) for i in range(64)])
    assert torch.equal(alone, whole)


def test_the_nucleus_by_hand_and_at_its_edges():
    log_p = torch.tensor([[0.2, 0.5, 0.3]]).log().repeat(6, 1)
    u = torch.tensor([0.0, 0.6249, 0.6251, 0.9999999, 0.5, 0.0])
    assert nucleus(log_p, u, 0.6).tolist() == [1, 1, 2, 2, 1, 1]  # 0.5 and 0.3 of 0.8
    assert nucleus(log_p, u, 1e-9).tolist() == [1] * 6
    assert nucleus(log_p, torch.tensor([0.0, 0.19, 0.21, 0.69, 0.71, 0.9999999]), 1.0).tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
    ]
    certain = torch.tensor([[0.0, -torch.inf, -torch.inf]])
    assert nucleus(certain, torch.tensor([0.9999999]), 1.0).tolist() == [0]


def test_the_filter_keeps_exactly_what_may_be_drawn():
    logits = torch.randn(64, 300, generator=torch.Generator().manual_seed(0))
    logits[::2] *= 8
    whole = keep_nucleus(logits, 0.9, head=300)
    assert torch.equal(keep_nucleus(logits, 0.9, head=10), whole)
    for row, kept in zip(logits, whole, strict=True):
        p, wanted, mass = row.double().softmax(0).tolist(), set(), 0.0
        for token in sorted(range(300), key=lambda i: -p[i]):
            if mass >= 0.9:
                break
            wanted.add(token)
            mass += p[token]
        assert set(kept.isfinite().nonzero()[:, 0].tolist()) == wanted
        assert torch.equal(kept[kept.isfinite()], row[kept.isfinite()])
    assert keep_nucleus(logits, 1.0) is logits
    assert keep_nucleus(logits, 1e-9).isfinite().sum(-1).tolist() == [1] * 64
