"""What may be compared: contents beside names, judges and lengths, and no more than that is forbidden."""

import pytest

from core.evaluation import differences, unlike
from core.evaluation.measures import overlap
from core.values import Evaluation, Measure

SAFE = {"refusal_safe": Measure(value=0.1), "harmful_compliance": Measure(value=0.5)}
WORDS = {"last_word_accuracy": Measure(value=0.3)}


@pytest.fixture
def asked(evaluation):
    """An evaluation with a request set and a LAMBADA set."""

    def build(**changes):
        fields = {"requests": {"xs": SAFE}, "lambada": {"l": WORDS}, "request_tokens": 64, "judge_hash": "j"}
        return evaluation(0.4, **(fields | changes))

    return build


def test_texts_of_one_name_but_other_rows_are_never_on_one_axis(evaluation):
    one, two = (evaluation(contents={"texts:wikitext2": c}) for c in "ab")
    assert any("wikitext2" in said for said in differences(one, two))
    assert differences(one, one) == ()
    assert differences(one, evaluation()) == ()  # stored before contents were kept


def test_other_requests_block_their_own_numbers_and_nothing_else(asked):
    one, two = (asked(contents={"requests:xs": c, "lambada:l": "same"}) for c in "ab")
    assert differences(one, two) == ()
    assert {"refusal_safe:xs", "harmful_compliance:xs"} <= unlike(one, two)
    assert "last_word_accuracy:l" not in unlike(one, two) and "toxicity_mean" not in unlike(one, two)
    assert unlike(one, one) == set()


def test_longer_answers_are_other_answers(asked):
    assert "refusal_safe:xs" in unlike(asked(), asked(request_tokens=8))
    assert unlike(asked(), asked(request_tokens=0)) == set()  # stored before it was kept


def test_another_judge_moves_compliance_alone_and_another_reader_fluency_alone(asked):
    assert unlike(asked(), asked(judge_hash="other")) == {"harmful_compliance:xs"}
    assert unlike(asked(), asked(fluency_hash="other")) == {"fluency"}


def test_numbers_of_the_whole_are_those_of_the_first_set(asked):
    other = asked(requests={"other": SAFE, "xs": SAFE})
    assert {"refusal_safe", "harmful_compliance"} <= unlike(asked(), other)
    assert "refusal_safe:xs" not in unlike(asked(), other)


def test_an_evaluation_stored_before_the_new_fields_still_loads(evaluation):
    old = evaluation().model_dump(exclude={"request_tokens", "contents"})
    assert Evaluation.model_validate(old).contents == {}


def test_an_unknown_bound_counts_as_overlap():
    assert overlap(Measure(value=1.0, low=0.9, high=1.1), Measure(value=5.0))
    assert not overlap(Measure(value=1.0, low=0.9, high=1.1), Measure(value=2.0, low=1.9, high=2.1))


def test_a_decoder_without_probabilities_of_texts_is_still_compared_by_toxicity(evaluation):
    steered = evaluation().model_copy(update={"texts": {"wikitext2": {"perplexity": Measure(value=None)}}})
    assert differences(evaluation(), steered) == ()
    assert differences(evaluation(), evaluation(texts={"other": 20.0})) != ()
