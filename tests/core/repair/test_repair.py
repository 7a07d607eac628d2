"""Every repair method, end to end on a tiny model: the contract that all of them keep."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from core.errors import BadInput, MissingInput, UnknownName
from core.lm.load import load_model
from core.repair import METHODS, repair
from core.training.checkpoints import snapshot, weights_hash, weights_of
from core.values import Example

NAMES = ["dapt", "dapt_kl", "dpo", "irepair", "irepair_kl", "sft"]
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


def run(lm, name, folder, examples=EXAMPLES[:4], validation=EXAMPLES[4:], keep="none", **more):
    given = {"params": QUICK, "normal": NORMAL, "seed": 0, **more}
    return repair(lm, name, examples, validation, folder=folder, keep=keep, **given)


def test_all_methods_are_there_and_listing_them_loads_nothing_heavy():
    code = (
        "import sys; from core.repair import METHODS; print(list(METHODS), METHODS['dpo'].params());"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert list(METHODS) == NAMES


def test_the_defaults_are_the_papers():
    rates = {name: METHODS[name].params().lr for name in NAMES}
    assert rates == {
        "dapt": 1e-6,
        "dapt_kl": 5e-6,
        "dpo": 1e-6,
        "irepair": 2e-5,
        "irepair_kl": 5e-5,
        "sft": 2e-5,
    }
    p = METHODS["irepair_kl"].params()
    assert (p.alpha, p.kl_direction, p.prompt_tokens, p.response_tokens) == (0.5, "reverse", 64, 64)
    assert METHODS["dpo"].params().beta == 0.1 and not p.end_token and not p.score_prompt
    assert (
        METHODS["dapt"].params().score_prompt
        and METHODS["dapt_kl"].params().normal
        and not METHODS["dapt"].params().normal
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_saved_model_is_the_repaired_one_bit_for_bit_and_the_seed_decides_it(tiny_lm, tmp_path, name):
    lm = tiny_lm()
    start = weights_hash(snapshot(weights_of(lm.model)))
    notes = Notes()
    result = run(lm, name, tmp_path / "a", keep="changed", reporter=notes)
    assert result.steps == 3 == len(result.losses) and result.stopped_early == ""
    assert result.weights == weights_hash(snapshot(weights_of(lm.model)))
    saved = load_model(str(tmp_path / "a" / "model"))
    assert weights_hash(snapshot(weights_of(saved.model))) == result.weights
    assert (result.weights != start) == (result.best_step > 0)
    assert all(w.requires_grad for w in lm.model.parameters())
    again = run(tiny_lm(), name, tmp_path / "b", keep="full")
    assert again.weights == result.weights and again.losses == result.losses
    full = load_model(str(tmp_path / "b" / "model"))
    assert weights_hash(snapshot(weights_of(full.model))) == result.weights
    dynamic = name.startswith("irepair")
    assert sum(result.block_counts.values()) == (3 if dynamic else 0)
    steps = [r for r in notes.rows if "loss" in r]
    assert all((r["block"] is not None) == dynamic and len(r["sensitivity"]) == 2 * dynamic for r in steps)


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


@pytest.mark.parametrize("name", NAMES)
def test_fewer_examples_than_a_batch_and_no_validation_work(tiny_lm, tmp_path, name):
    result = run(
        tiny_lm(), name, tmp_path, examples=EXAMPLES[:1], validation=[], params=QUICK | {"batch": 64}
    )
    assert result.steps == result.best_step == 3 and result.validations == ()


def test_the_repair_lowers_the_loss_it_minimises(tiny_lm, tmp_path):
    for name, lr in (("sft", 3e-4), ("dpo", 3e-4), ("irepair_kl", 1e-3)):
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
