"""At the door: token masks follow their tokens through every cut, and what cannot be used is named."""

from __future__ import annotations

import pytest

from core.errors import BadInput, MissingInput
from core.lm.tokenise import joiner
from core.repair import METHODS
from core.repair.base import RepairParams
from core.repair.texts import ready, tokenised
from core.values import Example

ROW = Example("e0", "a prompt", "kind words", "rude words")
OTHER = Example("e1", "", "yes", "no!")


@pytest.fixture
def lm(tiny_lm):
    return tiny_lm()


def mask_of(lm, example, side, letters):
    """Penalises these letters in the side, tokenised with its joiner as core.lm.tokenise does."""
    text = getattr(example, side)
    whole = joiner(example.prompt, text) + text
    assert len(lm.tokenizer(whole).input_ids) == len(whole), "the tiny tokenizer has one token per letter"
    return [letter in letters for letter in whole]


def penalised(lm, text, mask):
    """The letters that are penalised in a cut text."""
    return lm.tokenizer.decode([i for i, m in zip(text.ids, mask, strict=True) if m])


@pytest.mark.parametrize(
    ("params", "kept"),
    [
        ({}, "wo"),
        ({"response_tokens": 7}, "w"),  # " kind w"
        ({"response_tokens": 3}, ""),
        ({"prompt_tokens": 2}, "wo"),
        ({"prompt_tokens": 0}, "wo"),
        ({"end_token": True}, "wo"),
        ({"score_prompt": True}, "wo"),
        ({"score_prompt": True, "end_token": True, "prompt_tokens": 3, "response_tokens": 7}, "w"),
    ],
)
def test_a_mask_follows_its_tokens_through_every_cut(lm, params, kept):
    masks = [(mask_of(lm, ROW, "response", "wo"), mask_of(lm, ROW, "rejected", "u"))]
    (pair,) = tokenised(lm, [ROW], RepairParams(**params), masks)
    if kept:
        assert penalised(lm, pair.good, pair.good_mask) == kept
        assert len(pair.good_mask) == len(pair.good.ids)
    else:
        assert pair.good_mask == (), "nothing of it is left"


def test_a_mask_follows_its_tokens_where_the_context_is_short(lm):
    from dataclasses import replace

    short = replace(lm, context=14)  # the prompt gives way first: "rompt" is left
    masks = [(mask_of(lm, ROW, "response", "ds"), [])]
    (pair,) = tokenised(short, [ROW], RepairParams(), masks)
    assert len(pair.good.ids) == 14 and penalised(lm, pair.good, pair.good_mask) == "dds"
    assert pair.bad_mask == ()


def test_a_mask_of_another_length_names_the_row(lm):
    good = mask_of(lm, OTHER, "response", "y")
    with pytest.raises(BadInput, match=r"mask of 'e1' has 4 values, its text 3 tokens"):
        tokenised(lm, [ROW, OTHER], RepairParams(), [([], []), ([*good, True], [])])
    first, second = tokenised(lm, [ROW, OTHER], RepairParams(), [([], []), (good, [])])
    assert first.good_mask == () and penalised(lm, second.good, second.good_mask) == "y"


@pytest.mark.parametrize("params", [{}, {"score_prompt": True}, {"end_token": True}])
def test_a_side_that_is_not_there_scores_nothing(lm, params):
    blank = Example("b", "a prompt", " ", "")
    (pair,) = tokenised(lm, [blank], RepairParams(**params))
    assert pair.good.scored == pair.bad.scored == 0


def test_the_end_token_is_never_added_silently(lm):
    (plain,) = tokenised(lm, [ROW], RepairParams())
    (closed,) = tokenised(lm, [ROW], RepairParams(end_token=True))
    end = lm.tokenizer.eos_token_id
    assert end not in plain.good.ids and closed.good.ids == (*plain.good.ids, end)


def test_methods_that_penalise_tokens_need_masks_and_the_others_refuse_them(lm):
    penalty, sft = METHODS["token_penalty"], METHODS["sft"]
    with pytest.raises(MissingInput, match="needs a token mask"):
        ready(lm, penalty, penalty.params(), [ROW], [], [])
    with pytest.raises(BadInput, match="penalises no tokens, but was given"):
        ready(lm, sft, sft.params(), [ROW], [], [], [([], [])])
    with pytest.raises(BadInput, match="1 token masks for 2 examples"):
        ready(lm, penalty, penalty.params(), [ROW, OTHER], [], [], [([], [])])


def test_token_penalty_refuses_a_rejected_text_without_a_penalised_token(lm):
    penalty = METHODS["token_penalty"]
    alone = Example("e2", "", "", "rude")
    none, some = ([], [False] * 4), ([], [False, False, False, True])
    with pytest.raises(BadInput, match=r"1 of 2 rows \(first: 'e2': it has no response, and no token"):
        ready(lm, penalty, penalty.params(), [ROW, alone], [], [], [([], []), none])
    found = ready(lm, penalty, penalty.params(), [ROW, alone], [ROW, alone], [], [([], []), some])
    assert found.notes == () and len(found.held_out) == 1, "validation penalises nothing: responses only"
    assert found.held_out[0].number == 2
    cut = ready(lm, penalty, penalty.params(response_tokens=2), [ROW, alone], [], [], [([], []), some])
    assert "2 of 2 examples were cut: 64 tokens of a prompt, 2 of a text" in cut.notes[0]
    assert "1 of 2 examples teach" in cut.notes[1] and "behind those that are kept" in cut.notes[1]
    with pytest.raises(BadInput, match="keep more tokens"):
        ready(lm, penalty, penalty.params(response_tokens=2), [alone], [], [], [some])
