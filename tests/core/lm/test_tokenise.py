"""Ids and masks: what is scored, what is cut, and that no end token comes in unasked."""

from __future__ import annotations

import pytest

from core.lm.tokenise import Encoded, collate, encode_pairs, encode_prompts, joiner


@pytest.fixture
def tokenizer(tiny_lm):
    return tiny_lm("gpt2").tokenizer


def decoded(tokenizer, text: Encoded) -> tuple[str, str]:
    return tokenizer.decode(text.ids[: text.start]), tokenizer.decode(text.ids[text.start :])


def test_only_the_response_is_scored_and_the_two_are_joined_by_one_space(tokenizer):
    (text,) = encode_pairs(tokenizer, ["Hello there"], ["friend"])
    assert decoded(tokenizer, text) == ("Hello there", " friend")
    assert text.scored == len(" friend")


@pytest.mark.parametrize(
    ("prompt", "response", "space"),
    [
        ("a", "b", " "),
        ("a ", "b", ""),
        ("a", " b", ""),
        ("a", ", b", ""),
        ("a", "\nb", ""),
        ("", "b", ""),
        ("a", "", ""),
    ],
)
def test_a_space_comes_in_only_where_words_would_run_together(prompt, response, space):
    assert joiner(prompt, response) == space


def test_no_end_token_unless_it_is_asked_for_and_never_after_a_cut(tokenizer):
    end = tokenizer.eos_token_id
    plain, closed = (encode_pairs(tokenizer, ["p"], ["yes"], end_token=flag)[0] for flag in (False, True))
    assert end not in plain.ids
    assert closed.ids == (*plain.ids, end) and closed.scored == plain.scored + 1
    cut = encode_pairs(tokenizer, ["p"], ["yes"], end_token=True, response_tokens=2)[0]
    assert end not in cut.ids


def test_the_prompt_keeps_its_last_tokens_and_the_response_its_first(tokenizer):
    (text,) = encode_pairs(tokenizer, ["abcdef"], [" uvwxyz"], prompt_tokens=2, response_tokens=3)
    assert decoded(tokenizer, text) == ("ef", " uv")


def test_a_short_context_cuts_the_prompt_of_that_row_first(tokenizer):
    long, short = encode_pairs(tokenizer, ["abcdef", "abcdef"], [" uvwxyz", " u"], context=9)
    assert decoded(tokenizer, long) == ("ef", " uvwxyz")
    assert decoded(tokenizer, short) == ("abcdef", " u")
    (tiny,) = encode_pairs(tokenizer, ["abcdef"], [" uvwxyz"], context=4)
    assert decoded(tokenizer, tiny) == ("f", " uv")


def test_an_empty_prompt_is_one_start_token_so_that_the_first_word_is_scored(tokenizer):
    (text,) = encode_pairs(tokenizer, [""], ["hi"])
    assert text.ids[0] == tokenizer.bos_token_id and text.start == 1 and text.scored == 2
    assert encode_prompts(tokenizer, ["", "ab"], 1) == [[tokenizer.bos_token_id], tokenizer("b").input_ids]


def test_a_tokenizer_that_starts_texts_with_bos_keeps_doing_so(tokenizer):
    from tokenizers import processors

    bos = (tokenizer.bos_token, tokenizer.bos_token_id)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos[0]} $A", special_tokens=[bos]
    )
    (text,) = encode_pairs(tokenizer, ["abcdef"], [" uvwxyz"], context=9)
    assert text.ids[0] == tokenizer.bos_token_id and list(text.ids).count(tokenizer.bos_token_id) == 1
    assert tokenizer.decode(text.ids[1:]) == "f uvwxyz"


def test_plain_text_scores_the_prompt_too_but_never_the_first_token(tokenizer):
    (text,) = encode_pairs(tokenizer, ["ab"], [" c"], score_prompt=True)
    batch = collate([text], tokenizer)
    assert batch.response.tolist() == [[False, True, True, True]]


def test_padding_is_told_by_position_so_a_real_end_token_stays_scored(tokenizer):
    texts = encode_pairs(tokenizer, ["p", "p"], ["a", "a long one"], end_token=True)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id  # the trap: masking by id would lose the end
    batch = collate(texts, tokenizer)
    assert batch.response.sum(1).tolist() == [t.scored for t in texts]
    assert batch.attention.sum(1).tolist() == [len(t.ids) for t in texts] and batch.tokens == sum(
        len(t.ids) for t in texts
    )


def test_an_empty_response_scores_nothing(tokenizer):
    batch = collate(encode_pairs(tokenizer, ["", "p"], ["", ""]), tokenizer)
    assert not batch.response.any() and batch.ids.shape == (2, 2)


def growing():
    """A tokenizer that knows "e." and "so" as one token: glued texts have fewer tokens than their parts."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    merges = [("e", "."), ("s", "o")]
    names = ["<end>", *"abcdefghijklmnopqrstuvwxyz. ", "e.", "so"]
    inner = Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, merges))
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")


@pytest.mark.parametrize(("prompt", "response"), [("be", ". so"), ("is", "o"), ("e", ".e.")])
def test_no_token_lies_across_the_boundary_where_glued_text_would_merge(prompt, response):
    tokenizer = growing()
    (text,) = encode_pairs(tokenizer, [prompt], [response])
    assert (
        list(text.ids[: text.start])
        == tokenizer(prompt).input_ids
        == encode_prompts(tokenizer, [prompt], 9)[0]
    )
    assert list(text.ids[text.start :]) == tokenizer(joiner(prompt, response) + response).input_ids
    if joiner(prompt, response) == "":
        assert len(tokenizer(prompt + response).input_ids) < len(text.ids), "or the case shows nothing"


def test_a_tokenizer_without_padding_pads_all_the_same(tokenizer):
    pairs = (["p", "p"], ["a", "a long one"])
    padded = collate(encode_pairs(tokenizer, *pairs), tokenizer)
    tokenizer.pad_token = None
    assert collate(encode_pairs(tokenizer, *pairs), tokenizer).ids.tolist() == padded.ids.tolist()
    tokenizer.eos_token = None
    bare = collate(encode_pairs(tokenizer, *pairs), tokenizer)
    assert bare.response.tolist() == padded.response.tolist() and bare.ids[0, -1] == 0


@pytest.mark.parametrize("context", [1, 2, 3, 8])
def test_nothing_is_ever_longer_than_the_context(tokenizer, context):
    for closed in (False, True):
        for text in encode_pairs(
            tokenizer, ["", "abc", "a" * 50], ["b" * 50, "", "b" * 50], context=context, end_token=closed
        ):
            assert 0 < len(text.ids) <= context and text.start <= len(text.ids)


def test_a_text_that_lost_tokens_to_any_limit_says_so(tiny_lm):
    tokenizer = tiny_lm().tokenizer
    given = {"prompt_tokens": 4, "response_tokens": 4, "context": 64}

    def cut(prompt, response, **more):
        return encode_pairs(tokenizer, [prompt], [response], **(given | more))[0].cut

    assert not cut("abcd", "efg")  # with the space between them four tokens each
    assert cut("abcde", "efg") and cut("abcd", "efgh")
    assert cut("abcd", "efg", context=7) and not cut("abcd", "efg", context=8)
