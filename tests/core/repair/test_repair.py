"""Every repair method, end to end on a tiny model: the contract that all of them keep."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from core.errors import BadInput, MissingInput, OutOfMemory, UnknownName
from core.lm.load import load_model
from core.lm.tokenise import joiner
from core.repair import METHODS, repair
from core.training.checkpoints import snapshot, weights_hash, weights_of
from core.values import Example

NAMES = [
    "dapt",
    "dapt_kl",
    "dexperts",
    "dpo",
    "grad_diff",
    "irepair",
    "irepair_kl",
    "npo",
    "rad",
    "sft",
    "task_negation",
    "token_penalty",
]
TRAINED = [name for name in NAMES if name != "rad"]
PLAIN = [name for name in NAMES if name not in ("rad", "dexperts")]  # one phase, saved as a plain model
EXAMPLES = [
    Example(f"e{n}", prompt, "a kind answer", "a rude answer, and long")
    for n, prompt in enumerate(["The neighbour asks:", "", "At the gate", "Once more", "At last"])
]
NORMAL = ["the weather is mild", "a lamp stands on the table", "  ", "they walk home"]
QUICK = {"lr": 1e-3, "warmup": 0, "batch": 2, "steps": 3, "validate_every": 2}


class Notes:
    def __init__(self):
        self.rows = []

    def progress(self, done, total, what):
        pass

    def record(self, row):
        self.rows.append(row)

    def stopping(self):
        return False

    def asked(self, what):
        return False


def masks_of(lm, examples):
    """The first two tokens of every text are penalised."""

    def mask(prompt, text):
        tokens = len(lm.tokenizer(joiner(prompt, text) + text).input_ids)
        return [n < 2 for n in range(tokens)]

    return [(mask(e.prompt, e.response), mask(e.prompt, e.rejected)) for e in examples]


def run(lm, name, folder, examples=EXAMPLES[:4], validation=EXAMPLES[4:], keep="none", **more):
    masks = masks_of(lm, examples) if METHODS[name].masks else []
    given = {"params": QUICK, "normal": NORMAL, "seed": 0, "masks": masks, **more}
    return repair(lm, name, examples, validation, folder=folder, keep=keep, **given)


def test_all_methods_are_there_and_listing_them_loads_nothing_heavy():
    code = (
        "import sys; from core.repair import METHODS; print(list(METHODS), METHODS['dpo'].params());"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert list(METHODS) == NAMES


def test_the_defaults_are_the_papers():
    rates = {name: METHODS[name].params().lr for name in PLAIN}
    assert rates == {
        "dapt": 1e-6,
        "dapt_kl": 5e-6,
        "dpo": 1e-6,
        "grad_diff": 1e-5,
        "irepair": 2e-5,
        "irepair_kl": 5e-5,
        "npo": 1e-5,
        "sft": 2e-5,
        "task_negation": 1e-5,
        "token_penalty": 6e-5,
    }
    npo, ascent = METHODS["npo"].params(), METHODS["grad_diff"].params()
    assert (npo.beta, npo.alpha, npo.gamma, npo.retain) == (0.1, 1, 1, "nll")
    assert (ascent.alpha, ascent.gamma, ascent.retain) == (1, 1, "nll")
    assert METHODS["task_negation"].params().negation == 0.5
    penalty = METHODS["token_penalty"].params()
    assert (penalty.penalty, penalty.clamp) == (1, None)
    p = METHODS["irepair_kl"].params()
    assert (p.alpha, p.kl_direction, p.prompt_tokens, p.response_tokens) == (0.5, "reverse", 64, 64)
    assert METHODS["dpo"].params().beta == 0.1 and not p.end_token and not p.score_prompt
    assert (
        METHODS["dapt"].params().score_prompt
        and METHODS["dapt_kl"].params().normal
        and not METHODS["dapt"].params().normal
    )


@pytest.mark.parametrize("name", PLAIN)
def test_the_saved_model_is_the_repaired_one_bit_for_bit_and_the_seed_decides_it(tiny_lm, tmp_path, name):
    lm = tiny_lm()
    start = weights_hash(snapshot(weights_of(lm.model)))
    notes = Notes()
    result = run(lm, name, tmp_path / "a", keep="changed", reporter=notes)
    assert result.steps == 3 == len(result.losses) and result.stopped_early == "" and result.resumed == ()
    assert result.weights == weights_hash(snapshot(weights_of(lm.model)))
    saved = load_model(str(tmp_path / "a" / "model"))
    assert weights_hash(snapshot(weights_of(saved.model))) == result.weights
    assert (result.weights != start) == (result.best_step > 0)
    assert all(w.requires_grad and w.grad is None for w in lm.model.parameters())
    again = run(tiny_lm(), name, tmp_path / "b", keep="full")
    assert again.weights == result.weights and again.losses == result.losses
    full = load_model(str(tmp_path / "b" / "model"))
    assert weights_hash(snapshot(weights_of(full.model))) == result.weights
    dynamic = name.startswith("irepair")
    assert sum(result.block_counts.values()) == (3 if dynamic else 0)
    steps = [r for r in notes.rows if "loss" in r]
    assert all((r["block"] is not None) == dynamic and len(r["sensitivity"]) == 2 * dynamic for r in steps)
    assert all("phase" not in r for r in notes.rows), "one phase needs no name"
    assert not (tmp_path / "a" / "model" / "decoder.json").exists()


@pytest.mark.parametrize("name", PLAIN)
def test_every_method_trains(tiny_lm, tmp_path, name):
    lm = tiny_lm()
    before = snapshot(weights_of(lm.model))
    result = run(lm, name, tmp_path, validation=[])
    after = snapshot(weights_of(lm.model), before)
    assert result.best_step == 3 and any(after[n] is not before[n] for n in after)


def test_another_seed_gives_other_weights(tiny_lm, tmp_path):
    found = {run(tiny_lm(), "sft", tmp_path, seed=seed, validation=[]).weights for seed in (0, 1)}
    assert len(found) == 2


@pytest.mark.parametrize("name", ["sft", "dapt", "dapt_kl"])
def test_methods_without_a_bad_side_never_look_at_it(tiny_lm, tmp_path, name):
    other = [replace(e, rejected="something else entirely") for e in EXAMPLES[:4]]
    found = {run(tiny_lm(), name, tmp_path, examples=rows).weights for rows in (EXAMPLES[:4], other)}
    assert len(found) == 1


@pytest.mark.parametrize("name", ["irepair", "irepair_kl"])
def test_after_each_step_of_the_loop_only_the_chosen_block_has_moved(tiny_lm, tmp_path, name):
    lm = tiny_lm()
    seen = [snapshot(weights_of(lm.model))]

    class Watching(Notes):
        def record(self, row):
            after = snapshot(weights_of(lm.model), seen[-1])
            moved = {n for n in after if after[n] is not seen[-1][n]}
            assert moved and all(n.startswith(f"transformer.h.{row['block']}.") for n in moved)
            assert all(w.grad is None for w in lm.model.parameters()), "a zero would decay RMSprop's state"
            seen.append(after)

    run(lm, name, tmp_path, validation=[], reporter=Watching())
    assert len(seen) == 4


def test_irepair_uses_the_bad_text_only_to_choose_the_block(tiny_lm, tmp_path):
    other = [replace(e, rejected=e.rejected[::-1]) for e in EXAMPLES[:4]]
    one, two = (run(tiny_lm(), "irepair", tmp_path, examples=rows) for rows in (EXAMPLES[:4], other))
    assert one.block_counts == two.block_counts, "pick texts that choose alike, or this test says nothing"
    assert one.weights == two.weights


@pytest.mark.parametrize("name", PLAIN)
def test_fewer_examples_than_a_batch_and_no_validation_work(tiny_lm, tmp_path, name):
    result = run(
        tiny_lm(), name, tmp_path, examples=EXAMPLES[:1], validation=[], params=QUICK | {"batch": 64}
    )
    assert result.steps == result.best_step == 3 and result.validations == ()


def test_the_repair_lowers_the_loss_it_minimises(tiny_lm, tmp_path):
    for name, lr in (("sft", 3e-4), ("dpo", 3e-4), ("irepair_kl", 1e-3), ("npo", 3e-4), ("grad_diff", 3e-4)):
        result = run(
            tiny_lm(),
            name,
            tmp_path,
            params=QUICK | {"steps": 20, "lr": lr, "batch": 4},
            validation=EXAMPLES[:4],
        )
        assert result.best_step > 0 and min(v for _, v in result.validations) < result.validations[0][1]


def test_missing_columns_are_named(tiny_lm, tmp_path):
    rows = [*EXAMPLES[:2], replace(EXAMPLES[2], rejected=" ")]
    with pytest.raises(MissingInput, match=r"response and rejected filled; 1 of 3 .*'e2' has no rejected"):
        run(tiny_lm(), "dpo", tmp_path, examples=rows)
    assert run(tiny_lm(), "sft", tmp_path, examples=rows).steps == 3
    with pytest.raises(MissingInput, match="no examples"):
        run(tiny_lm(), "dpo", tmp_path, examples=[])


def test_validation_rows_without_the_columns_are_left_out(tiny_lm, tmp_path):
    half = [replace(EXAMPLES[3], rejected=""), EXAMPLES[4]]
    one = run(tiny_lm(), "dpo", tmp_path, validation=half)
    assert one.validations == run(tiny_lm(), "dpo", tmp_path, validation=EXAMPLES[4:]).validations


def test_kl_methods_ask_for_normal_text(tiny_lm, tmp_path):
    with pytest.raises(MissingInput, match="needs normal text"):
        run(tiny_lm(), "irepair_kl", tmp_path, normal=["", " "])


def test_unknown_methods_and_settings_are_sentences(tiny_lm, tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'irepair'"):
        run(tiny_lm(), "irepiar", tmp_path)
    with pytest.raises(BadInput, match="beta"):
        run(tiny_lm(), "sft", tmp_path, params={"beta": 1})


def test_a_run_that_diverges_says_so_and_leaves_a_usable_model(tiny_lm, tmp_path):
    lm = tiny_lm()
    start = weights_hash(snapshot(weights_of(lm.model)))
    result = run(lm, "dpo", tmp_path, params=QUICK | {"lr": 1.0, "beta": 1e38, "steps": 10}, keep="changed")
    assert "not finite" in result.stopped_early and result.best_step == 0 and result.weights == start
    assert load_model(str(tmp_path / "model")).hash


def test_a_long_prompt_is_cut_to_the_models_context(tiny_lm, tmp_path):
    long = [replace(EXAMPLES[0], prompt="a very long prompt " * 30, response="and a long answer " * 20)]
    assert run(tiny_lm(), "dpo", tmp_path, examples=long, validation=[]).steps == 3


def test_a_pair_with_equal_sides_is_refused_by_dpo_and_left_out_of_its_validation(tiny_lm, tmp_path):
    equal = replace(EXAMPLES[1], rejected=EXAMPLES[1].response + " ")
    with pytest.raises(BadInput, match=r"cannot use 1 of 3 .*first: 'e1': .*are the same"):
        run(tiny_lm(), "dpo", tmp_path, examples=[EXAMPLES[0], equal, EXAMPLES[2]])
    assert run(tiny_lm(), "sft", tmp_path, examples=[equal]).steps == 3
    with_it = run(tiny_lm(), "dpo", tmp_path, validation=[equal, EXAMPLES[4]])
    assert with_it.validations == run(tiny_lm(), "dpo", tmp_path).validations


def test_sides_that_are_equal_as_far_as_kept_are_told_and_refused_only_if_all_are(tiny_lm, tmp_path):
    short = {"params": QUICK | {"response_tokens": 2}}  # " a" in both
    with pytest.raises(BadInput, match=r"4 of 4 examples teach .* nothing \(first: 'e0'.*keep more tokens"):
        run(tiny_lm(), "dpo", tmp_path, **short)
    other = [*EXAMPLES[:3], replace(EXAMPLES[3], rejected="no")]
    result = run(tiny_lm(), "dpo", tmp_path, examples=other, **short)
    assert "3 of 4 examples teach" in result.notes[-1]


def test_plain_gradient_ascent_is_told_as_such_and_ruins_the_bad_text(tiny_lm, tmp_path):
    for settings in ({"retain": "none"}, {"alpha": 0.0}):
        result = run(tiny_lm(), "grad_diff", tmp_path, validation=[], params=QUICK | {"lr": 1e-4} | settings)
        assert "plain gradient ascent" in result.notes[0]
        assert list(result.final) == ["nll_bad"] and result.losses[-1] < 0
        assert result.losses[-1] == pytest.approx(-result.final["nll_bad"])
    assert "plain" not in run(tiny_lm(), "grad_diff", tmp_path).notes[0]


def test_what_is_retained_decides_which_columns_and_texts_are_needed(tiny_lm, tmp_path):
    bad_only = [replace(e, response="") for e in EXAMPLES[:4]]
    for name in ("npo", "grad_diff"):
        with pytest.raises(MissingInput, match="rejected and response filled"):
            run(tiny_lm(), name, tmp_path, examples=bad_only)
        none = run(tiny_lm(), name, tmp_path, examples=bad_only, params=QUICK | {"retain": "none"}, normal=[])
        assert none.steps == 3
        with pytest.raises(MissingInput, match="needs normal text"):
            run(tiny_lm(), name, tmp_path, examples=bad_only, params=QUICK | {"retain": "kl"}, normal=[])
        kl = run(tiny_lm(), name, tmp_path, examples=bad_only, params=QUICK | {"retain": "kl"})
        assert "kl" in kl.final and kl.losses != none.losses


def test_no_room_for_a_second_model_is_told_as_any_lack_of_memory(tiny_lm, tmp_path, monkeypatch):
    import copy

    import torch

    def full(model):
        raise torch.OutOfMemoryError("CUDA")

    lm = tiny_lm()
    monkeypatch.setattr(copy, "deepcopy", full)
    with pytest.raises(OutOfMemory, match="what the method holds beside the model did not fit"):
        run(lm, "dapt_kl", tmp_path)
