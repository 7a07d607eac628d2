"""Memory is a sum of named parts; time comes from measured runs, else from counting."""

from core.lm.facts import ModelFacts
from core.pipeline.estimate import PROCESS, estimate, matrix_speed, memory
from core.repair import METHODS
from core.values import Budget, Recipe, RepairSpec

GPT2 = ModelFacts(
    weights=124_439_808, in_blocks=85_054_464, blocks=12, width=768, vocabulary=50257, context=1024
)


def params(method="sft", **given):
    return METHODS[method].params(**given)


def test_weights_gradients_and_states_are_counted_once_each():
    parts = memory(GPT2, "sft", params())
    assert parts["weights"] == parts["gradients"] == parts["optimiser"] == 4 * GPT2.weights
    assert memory(GPT2, "sft", params(optimizer="adamw"))["optimiser"] == 8 * GPT2.weights
    assert parts["process"] == PROCESS


def test_what_costs_less_is_said_to_cost_less():
    def total(method, **given):
        return sum(memory(GPT2, method, params(method, **given)).values())

    assert total("sft", scope="lora") < total("irepair") < total("sft")
    assert total("sft", batch=1) < total("sft")
    assert total("dapt") < total("dapt_kl"), "the reference is held beside the model"
    assert total("sft", response_tokens=16) < total("sft")


def test_a_cuda_device_holds_neither_the_process_nor_the_copies():
    parts = memory(GPT2, "sft", params(), cuda=True)
    assert "process" not in parts and not any("kept" in name for name in parts)


def spec(**more):
    return RepairSpec(selection="x", method="sft", model="demo", device="cpu", **more)


def recipe():
    return Recipe(pool="demo", strategy="uniform", budget=Budget(rows=64), method="sft")


def test_without_a_measured_run_time_is_counted_and_says_so(demo):
    found = estimate(demo, spec(), params(steps=10), recipe(), 64)
    assert found is not None and found.steps == 10
    assert 0 < found.low < found.seconds < found.high
    assert "No sft run was measured here yet" in found.sentence
    more = estimate(demo, spec(), params(steps=1000), recipe(), 64)
    assert more.seconds > 3 * found.seconds, "a hundred times the steps, at a speed that varies"


def test_a_method_that_only_decodes_is_said_to_train_nothing(demo):
    asked = spec().model_copy(update={"method": "rad"})
    found = estimate(demo, asked, METHODS["rad"].params(), recipe().model_copy(update={"method": "rad"}), 64)
    assert (found.seconds, found.steps) == (0, 0)
    assert "trains nothing" in found.sentence and "steps" not in found.sentence
    assert not {"gradients", "optimiser", "activations"} & set(found.parts)


def test_steps_of_every_phase_are_counted(demo):
    asked = spec().model_copy(update={"method": "dexperts"})
    found = estimate(demo, asked, METHODS["dexperts"].params(steps=10), recipe(), 64)
    assert found.steps == 20


def test_a_model_that_is_not_here_has_no_estimate(demo):
    assert estimate(demo, spec().model_copy(update={"model": "gpt2"}), params(), recipe(), 64) is None


def test_memory_is_within_a_factor_of_two_of_what_a_run_takes(tmp_path):
    """In a process of its own: this one has held much more before."""
    import json
    import subprocess
    import sys

    script = """
import json
from core import pipeline
from core.repair import METHODS
from core.values import Budget, Recipe, RepairSpec
from core.workspace import Workspace
ws = Workspace.open(%r)
recipe = Recipe(pool="demo", strategy="uniform", budget=Budget(rows=64), method="dpo")
spec = RepairSpec(selection=recipe, method="dpo", params={"steps": 6, "batch": 16}, model="demo",
                  device="cpu", keep_model="none")
run = pipeline.run_repair(ws, spec)
expected = pipeline.estimate(ws, spec, METHODS["dpo"].params(**spec.params), recipe, 64).memory_bytes
print(json.dumps([expected, run.manifest.result["peak_bytes"]]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script % str(tmp_path)], capture_output=True, text=True, check=True
    )
    expected, peak = json.loads(done.stdout.splitlines()[-1])
    assert 0.5 < peak / expected < 2, f"expected {expected / 1e6:.0f} MB, took {peak / 1e6:.0f} MB"


def test_the_machine_multiplies_faster_than_a_pocket_calculator():
    assert 1e8 < matrix_speed() < 1e14
