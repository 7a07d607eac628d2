"""One model against another: paired, by direction, never across different measuring."""

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInput, MissingInput, UnknownName
from core.pipeline.against import against, category_change, quotas_from, side_by_side, verdict
from core.pipeline.evaluations import held_out_prompts
from core.pipeline.paired import Measured, draws, read_measured
from core.pool import load_pool
from core.statistics import bootstrap_paired
from core.values import Evaluation, Measure
from core.workspace import read_as, read_json, write_json, write_parquet

RNG = np.random.default_rng(0)
PROMPTS, DOCUMENTS = RNG.uniform(0.1, 0.8, 30), RNG.uniform(0.8, 1.2, 30)
RUN, OTHER = "a-dpo-10-0", "b-dpo-10-0"


@pytest.fixture
def two(grid):
    """A run that halves every prompt's toxicity and adds 0.05 nats, and one that does nothing certain."""
    noise = RNG.normal(0, 0.2, 30)
    places = {
        ("a", "dpo", 10, 0): (PROMPTS / 2, DOCUMENTS + 0.05),
        ("b", "dpo", 10, 0): (np.clip(PROMPTS + noise - noise.mean(), 0, 1), DOCUMENTS),
    }
    return grid((PROMPTS, DOCUMENTS), places)[0]


def rows(ws, first, second):
    return {row.metric: row for row in against(ws, first, second).rows}


def test_the_change_is_paired_over_prompts_and_documents(two):
    found = rows(two, "base", RUN)
    assert list(found) == [
        "toxicity_mean", "emt", "tp", "toxic_fraction", "perplexity:normal",
        "perplexity_strided:normal", "bits_per_byte:normal",
    ]  # fmt: skip
    toxicity = found["toxicity_mean"].change
    by_hand = bootstrap_paired(PROMPTS, PROMPTS / 2)
    assert toxicity.value == pytest.approx(by_hand.value) and toxicity.n == 30
    assert toxicity.high - toxicity.low == pytest.approx(by_hand.high - by_hand.low, rel=0.1)
    ratio = found["perplexity:normal"].change
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx([np.expm1(0.05)] * 3)
    assert ratio.unit == "share of the first model's"


def test_better_and_worse_follow_the_metrics_direction_and_the_order_of_the_models(two):
    there, back = rows(two, "base", RUN), rows(two, RUN, "base")
    assert there["toxicity_mean"].verdict == "better" and back["toxicity_mean"].verdict == "worse"
    assert there["perplexity:normal"].verdict == "worse" and back["perplexity:normal"].verdict == "better"
    assert there["toxicity_mean"].change.value == pytest.approx(-back["toxicity_mean"].change.value)
    assert rows(two, "base", OTHER)["toxicity_mean"].verdict == "not distinguishable"
    assert rows(two, OTHER, RUN)["toxicity_mean"].verdict == "better"  # two runs, no base


@pytest.mark.parametrize(
    ("low", "high", "higher", "wanted"),
    [
        (0.1, 0.2, True, "better"),
        (0.1, 0.2, False, "worse"),
        (-0.2, -0.1, True, "worse"),
        (-0.2, -0.1, False, "better"),
        (-0.1, 0.1, True, "not distinguishable"),
        (0.0, 0.2, True, "not distinguishable"),
        (None, None, True, "not distinguishable"),
    ],
)
def test_a_verdict_needs_the_whole_interval_on_one_side(low, high, higher, wanted):
    assert verdict(Measure(value=0.0, low=low, high=high, n=30), higher) == wanted


def test_tp_is_a_share_of_prompts_with_any_toxic_continuation(two):
    change = rows(two, "base", RUN)["tp"].change
    assert change.value == pytest.approx(((PROMPTS / 2 >= 0.5).mean()) - (PROMPTS >= 0.5).mean())


def test_samples_of_a_prompt_stay_together(two):
    """F-8: the base's scores, and a repaired model with maxima .2, .3, .6, .4."""
    scores = [[.1, .2, .7, .3], [.05, .4, .49, .2], [.9, .6, .55, .1], [.5, .1, .2, .3]]  # fmt: skip
    repaired = [[0.2, 0.1, 0, 0], [0.3, 0, 0, 0], [0.6, 0, 0, 0], [0.4, 0, 0, 0]]
    for folder, values in ((two.path("evaluations", "base"), scores), (two.path("runs", RUN), repaired)):
        flat = {
            "toxicity": np.ravel(values),
            "prompt_row": np.repeat(range(4), 4),
            "sample": [0, 1, 2, 3] * 4,
        }
        write_parquet(folder / "generations.parquet", pd.DataFrame(flat | {"text": "t"}))
    base = read_measured(two.path("evaluations", "base"), _evaluation(two))
    at = {name: draws([base], name)[0, 0] for name in ("emt", "tp", "toxicity_mean", "toxic_fraction")}
    assert list(at.values()) == pytest.approx([0.6475, 0.75, 0.355625, 0.3125])
    found = rows(two, "base", RUN)
    assert found["emt"].change.value == pytest.approx(-0.2725)
    assert found["tp"].change.value == pytest.approx(-0.5) and found["tp"].change.n == 4


def test_models_measured_otherwise_are_refused_in_a_sentence(two):
    path = two.path("runs", RUN, "evaluation.json")
    write_json(path, read_json(path) | {"scorer_hash": "another"})
    with pytest.raises(BadInput, match=r"measured differently: scorer .*Measure both by one protocol"):
        against(two, "base", RUN)
    with pytest.raises(BadInput, match="compared with itself"):
        against(two, RUN, RUN)
    with pytest.raises(UnknownName, match="no finished run 'nobody'"):
        against(two, "base", "nobody")
    two.path("runs", OTHER, "evaluation.json").unlink()
    with pytest.raises(MissingInput, match=f"run {OTHER} was not measured"):
        against(two, "base", OTHER)


def test_a_prompt_that_one_side_lacks_counts_for_neither(two):
    path = two.path("runs", RUN, "generations.parquet")
    frame = pd.read_parquet(path)
    frame.loc[frame["prompt_row"] == 0, "toxicity"] = np.nan
    write_parquet(path, frame)
    change = rows(two, "base", RUN)["toxicity_mean"].change
    assert change.n == 29 and change.value == pytest.approx(-PROMPTS[1:].mean() / 2)


def requests_and_words(ws, name, refused, said):
    """LAMBADA items and answers beside a model's other tables."""
    folder = ws.path("evaluations", "base") if name == "base" else ws.path("runs", name)
    n = len(refused)
    answers = pd.DataFrame(
        {"set": "asked", "request": range(n), "harmful": [i % 2 == 0 for i in range(n)],
         "verdict": ["refused" if r else "answered" for r in refused]}
    )  # fmt: skip
    items = pd.DataFrame({"text": "last", "item": range(n), "tokens": 1, "greedy": said, "logprob": -1.0})
    write_parquet(folder / "answers.parquet", answers)
    write_parquet(folder / "lambada.parquet", items)
    found = read_as(Evaluation, folder / "evaluation.json")
    names = ("refusal_safe", "refusal_unsafe", "harmful_compliance")
    more = {
        "requests": {"asked": dict.fromkeys(names, Measure(value=0.5, n=n))},
        "lambada": {"last": {"last_word_accuracy": Measure(value=0.5, n=n)}},
    }
    write_json(folder / "evaluation.json", found.model_copy(update=more))


def test_refusals_and_last_words_are_paired_over_their_items(two):
    requests_and_words(two, "base", [False] * 40, [True] * 40)
    requests_and_words(two, RUN, [True] * 40, [i < 20 for i in range(40)])
    found = rows(two, "base", RUN)
    assert found["refusal_unsafe:asked"].change.value == 1.0
    assert found["refusal_unsafe:asked"].verdict == "better"  # refusing the unsafe is wanted
    assert found["refusal_safe:asked"].verdict == "worse"
    assert found["harmful_compliance:asked"].verdict == "better"
    assert found["harmful_compliance:asked"].change.n == 20
    assert found["last_word_accuracy:last"].change.value == -0.5
    assert found["last_word_accuracy:last"].verdict == "worse"
    assert found["last_word_perplexity:last"].verdict == "not distinguishable"


def test_fluency_is_paired_over_prompts_and_drops_what_the_measure_drops(two):
    for name, nll in (("base", 2.0), (RUN, 3.0)):
        folder = two.path("evaluations", "base") if name == "base" else two.path("runs", name)
        frame = pd.read_parquet(folder / "generations.parquet").assign(nll=10 * nll, tokens=10)
        frame.loc[0, ["nll", "tokens"]] = [1000.0, 10]  # a perplexity above 1e4
        frame.loc[1, "tokens"] = 0
        write_parquet(folder / "generations.parquet", frame)
        found = read_json(folder / "evaluation.json")
        found["metrics"]["fluency"] = Measure(value=float(np.exp(nll)), n=28).model_dump()
        write_json(folder / "evaluation.json", found)
    row = rows(two, "base", RUN)["fluency"]
    assert row.change.n == 28 and row.change.value == pytest.approx(np.e - 1) and row.verdict == "worse"


def test_harm_judged_by_another_judge_is_not_compared(two):
    requests_and_words(two, "base", [False] * 10, [True] * 10)
    requests_and_words(two, RUN, [True] * 10, [True] * 10)
    path = two.path("runs", RUN, "evaluation.json")
    write_json(path, read_json(path) | {"judge_hash": "another"})
    found = rows(two, "base", RUN)
    assert "refusal_unsafe:asked" in found and "harmful_compliance:asked" not in found


def test_all_models_of_one_draw_see_the_same_units(two):
    base = read_measured(two.path("evaluations", "base"), _evaluation(two))
    twin = Measured(base.evaluation, base.sums)
    drawn = draws([base, twin, base], "toxicity_mean")
    assert (drawn[:, 0] == drawn[:, 1]).all() and drawn[1:, 0].std() > 0
    documents = draws([base], "perplexity:normal")[:, 0]
    bits = draws([base], "bits_per_byte:normal")[:, 0]
    assert bits * 2 * np.log(2) == pytest.approx(np.log(documents))  # 10 tokens, 20 bytes, the same draws
    assert np.isnan(draws([base], "unknown")).all()


def _evaluation(ws):
    return read_as(Evaluation, ws.path("evaluations", "base", "evaluation.json"))


def test_each_category_has_its_own_paired_change(own):
    _spread(own, "run-10-0", 0.5)
    frame = category_change(own, "base", "run-10-0")
    key = own.folders("runs")["run-10-0"]
    base = read_json(key / "manifest.json")["base_evaluation"]
    prompts, categories = held_out_prompts(load_pool(own, "small"), "test")
    before = pd.read_parquet(own.path("evaluations", base, "generations.parquet"))["toxicity"]
    for row in frame.itertuples():
        members = [i for i, names in enumerate(categories[:8]) if row.category in names]
        assert row.n == len(members)
        assert row.before == pytest.approx(before.iloc[members].mean())
        assert row.after == pytest.approx(row.before / 2)
    left = frame["after"] * frame["n"]
    assert (left.diff().dropna() <= 1e-12).all()  # most harm left first
    assert len(prompts) >= 8


def _spread(ws, run, share):
    """Give a run's prompts that share of the base model's toxicity."""
    folder = ws.folders("runs")[run]
    base = ws.find("evaluations", read_json(folder / "manifest.json")["base_evaluation"])
    frame = pd.read_parquet(base / "generations.parquet")
    frame["text"] = "before"
    write_parquet(base / "generations.parquet", frame)
    frame = frame.assign(toxicity=frame["toxicity"] * share, text="after")
    write_parquet(folder / "generations.parquet", frame)


def test_quotas_are_shares_of_the_harm_that_is_left():
    frame = pd.DataFrame(
        {"category": ["spite", "gossip", "clean"], "n": [30, 10, 5], "after": [0.2, 0.6, 0.0]}
    )
    assert quotas_from(frame) == pytest.approx({"spite": 0.5, "gossip": 0.5})
    assert quotas_from(frame.assign(after=0.0)) == {}
    assert quotas_from(frame.assign(after=[0.2, np.nan, 0.0])) == {"spite": 1.0}


def test_texts_stand_side_by_side_per_prompt_and_sample(own):
    _spread(own, "run-10-0", 0.5)
    frame = side_by_side(own, "base", "run-10-0")
    assert list(frame) == [
        "prompt_row", "sample", "prompt", "first_text", "first_toxicity", "second_text", "second_toxicity"
    ]  # fmt: skip
    prompts, _ = held_out_prompts(load_pool(own, "small"), "test")
    assert frame["prompt"].tolist() == prompts[:8]
    assert set(frame["first_text"]) == {"before"} and set(frame["second_text"]) == {"after"}
    assert frame["second_toxicity"].to_numpy() == pytest.approx(frame["first_toxicity"].to_numpy() / 2)


def test_prompts_of_a_pool_that_changed_are_not_shown(own):
    path = own.path("runs", "run-10-0", "evaluation.json")
    base = own.path(
        "evaluations", read_json(path.with_name("manifest.json"))["base_evaluation"], "evaluation.json"
    )
    for place in (path, base):
        write_json(place, read_json(place) | {"pool_fingerprint": "another"})
    with pytest.raises(BadInput, match="has changed since these models were measured"):
        side_by_side(own, "base", "run-10-0")


def test_a_handful_of_units_all_moving_one_way_proves_nothing():
    five, six = (Measure(value=-0.2, low=-0.3, high=-0.1, n=n) for n in (5, 6))
    assert verdict(five, higher=False) == "not distinguishable"
    assert verdict(six, higher=False) == "better"
