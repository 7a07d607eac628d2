"""What the panel shows is what a slow look at the same texts shows, and it leaves the run as it was."""

import json
import math
import shutil
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from core import pipeline
from core.errors import BadModel
from core.lm.generate import sample
from core.lm.load import load_model
from core.lm.tokenise import encode_pairs
from core.pipeline import panel as module
from core.pipeline.panel import PanelWatch, keep_model
from core.training.checkpoints import snapshot, weights_hash, weights_of
from core.values import Budget, EvaluationProtocol, EvaluationSpec, Panel, Recipe, RepairSpec, Silent
from core.workspace import Workspace
from core.workspace.store import SHIPPED

PROMPTS = ["Say a thing", "The mill of Ruvane", "Once", "Again and again"]
TEXTS = ["A kind answer.", "The children counted the boats until dark.", "Rain.", "Snow fell on the mill."]
SETTINGS = Panel(every=5, prompts=4, texts=4, samples=2)


@dataclass(frozen=True)
class ByLength:
    """Scores a text by its length: enough to see which texts were scored."""

    name: str = "by length"
    hash: str = "h"
    labels: tuple[str, ...] = ("toxicity",)

    def toxicity(self, texts, reporter=None):
        assert all(text.strip() for text in texts)
        return np.array([min(len(t) / 100, 1.0) for t in texts], dtype=np.float32)


def watch(lm, scorer=ByLength, settings=SETTINGS, prompts=PROMPTS, texts=TEXTS):
    return PanelWatch(lm, prompts, texts, scorer, settings, lambda step: f"kept {step}")


def distributions(model, lm, texts=TEXTS):
    """Per text the log-probabilities of its tokens and at each of them, by one plain forward pass each."""
    found = []
    for encoded in encode_pairs(lm.tokenizer, [""] * len(texts), texts, context=lm.context):
        ids = torch.tensor([encoded.ids])
        with torch.no_grad():
            logprobs = torch.log_softmax(model(ids).logits[0, :-1].float(), -1)
        found.append((logprobs, logprobs.gather(1, ids[0, 1:, None])[:, 0]))
    return found


def moved(lm, by=0.3):
    with torch.no_grad():
        for weight in lm.model.parameters():
            weight.add_(by * torch.sin(torch.arange(weight.numel()).reshape(weight.shape)))


def test_perplexity_and_toxicity_are_those_of_a_plain_look(tiny_lm):
    lm = tiny_lm()
    found = watch(lm).look(0)
    own = torch.cat([own for _, own in distributions(lm.model, lm)])
    assert found["perplexity"] == pytest.approx(float(torch.exp(-own.mean())), rel=1e-5)
    made = [row[0] for row in sample(lm, PROMPTS, greedy=True)]
    scores = ByLength().toxicity(made)
    assert found["toxicity"] == pytest.approx(float(scores.mean()))
    assert [(s["prompt"], s["text"]) for s in found["samples"]] == list(zip(PROMPTS, made, strict=True))[:2]
    assert found["seconds"] > 0
    assert "note" not in found


def test_kl_is_from_the_policy_to_the_untouched_model_per_token(tiny_lm):
    lm = tiny_lm()
    panel = watch(lm)
    assert panel.look(0)["kl"] == pytest.approx(0, abs=1e-6)
    before = distributions(lm.model, lm)
    moved(lm)
    after = distributions(lm.model, lm)
    pairs = [(p, r) for (p, _), (r, _) in zip(after, before, strict=True)]
    tokens = sum(len(p) for p, _ in pairs)
    wanted = sum(float((p.exp() * (p - r)).sum()) for p, r in pairs) / tokens
    other = sum(float((r.exp() * (r - p)).sum()) for p, r in pairs) / tokens
    assert abs(wanted - other) > 0.01 * wanted
    assert panel.look(5)["kl"] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("batch", [1, 64 << 20])  # a document at a time, all at once
def test_in_little_memory_kl_is_told_over_the_documents_that_fit(tiny_lm, monkeypatch, batch):
    monkeypatch.setattr(module, "BATCH_BYTES", batch)
    lm = tiny_lm()
    sizes = sorted(len(own) for _, own in distributions(lm.model, lm))
    monkeypatch.setattr(module, "REFERENCE_BYTES", 4 * 257 * sum(sizes[:2]))
    panel = watch(lm)
    before = distributions(lm.model, lm)
    moved(lm)
    after = distributions(lm.model, lm)
    short = [(p, r) for (p, _), (r, _) in zip(after, before, strict=True) if len(p) in sizes[:2]]
    wanted = sum(float((p.exp() * (p - r)).sum()) for p, r in short) / sum(sizes[:2])
    found = panel.look(5)
    assert found["kl"] == pytest.approx(wanted, rel=1e-4)
    assert found["note"] == "KL is told over 2 of 4 documents: more do not fit into memory."
    monkeypatch.setattr(module, "REFERENCE_BYTES", 0)
    none = watch(lm).look(0)
    assert none["kl"] is None
    assert none["perplexity"] is not None
    assert "KL is left out" in none["note"]


def test_what_cannot_be_measured_is_unknown_not_zero_and_no_error(tiny_lm):
    def missing():
        raise BadModel("the scorer is not here")

    found = watch(tiny_lm(), missing).look(0)
    assert found["toxicity"] is None
    assert {s["toxicity"] for s in found["samples"]} == {None}
    assert "the scorer is not here" in found["note"]
    nothing = watch(tiny_lm(), prompts=[], texts=[]).look(0)
    assert (nothing["toxicity"], nothing["perplexity"], nothing["kl"], nothing["samples"]) == (None,) * 3 + (
        [],
    )
    broken = tiny_lm()
    panel = watch(broken)
    with torch.no_grad():
        next(iter(broken.model.parameters())).fill_(math.nan)
    shown = panel.look(5)
    assert (shown["toxicity"], shown["perplexity"], shown["kl"]) == (None, None, None)
    assert {s["text"] for s in shown["samples"]} == {""}


def test_a_look_draws_from_no_generator_and_moves_nothing(tiny_lm):
    lm = tiny_lm()

    def greedy_for_numbers():
        torch.rand(100)  # as building a network does
        return ByLength()

    torch.manual_seed(7)
    state, before = torch.get_rng_state(), weights_hash(snapshot(weights_of(lm.model)))
    watch(lm, greedy_for_numbers).look(0)
    assert torch.equal(torch.get_rng_state(), state)
    assert weights_hash(snapshot(weights_of(lm.model))) == before
    assert all(w.requires_grad and w.grad is None for w in lm.model.parameters())


def test_the_texts_are_the_same_for_every_run_and_no_more_than_asked(tiny_lm):
    many = [f"text number {i}" for i in range(50)]
    settings = Panel(every=1, prompts=3, texts=5)
    one, two = (watch(tiny_lm(), settings=settings, prompts=many, texts=many) for _ in range(2))
    assert one.prompts == two.prompts
    assert len(one.prompts) == 3
    assert one.texts == two.texts
    assert len(one.texts) == 5


def test_a_kept_model_is_listed_and_opens_with_the_same_bits(empty, tiny_lm):
    lm = tiny_lm()
    moved(lm)
    said = keep_model(empty, lm, "Trial: 5 % / no. 1", "abc123", 7)
    assert "'Trial-5-no-1-step-7'" in said
    assert "Trial-5-no-1-step-7" in pipeline.models(empty)
    again = load_model(pipeline.resolve_model(empty, "Trial-5-no-1-step-7"))
    assert weights_hash(snapshot(weights_of(again.model))) == weights_hash(snapshot(weights_of(lm.model)))
    assert "'abc123-step-7'" in keep_model(empty, lm, "Trial: 5 % / no. 1", "abc123", 7)
    assert "'abc123-step-8'" in keep_model(empty, lm, "", "abc123", 8)


def asked(tiny_folder, **more):
    recipe = Recipe(pool="small", strategy="uniform", budget=Budget(rows=16), method="sft")
    params = {"lr": 1e-3, "steps": 6, "batch": 4, "warmup": 1, "validate_every": 3, "validation_size": 4}
    return RepairSpec(
        name="a trial",
        selection=recipe,
        method="sft",
        params=params | more.pop("params", {}),
        model=str(tiny_folder("gpt2")),
        scorer=str(SHIPPED / "models" / "scorer"),
        panel=Panel(every=4, prompts=4, texts=4, samples=2),
        device="cpu",
    ).model_copy(update=more)


def panels(run):
    rows = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    return {r["step"]: r["panel"] for r in rows if "panel" in r}


def test_a_run_ends_with_the_same_bits_with_and_without_a_panel(own, tiny_folder, tmp_path):
    shutil.copytree(own.root, tmp_path / "other")
    other = Workspace.open(tmp_path / "other", None)
    seen = pipeline.run_repair(own, asked(tiny_folder))
    unseen = pipeline.run_repair(other, asked(tiny_folder, panel=Panel(every=0)))
    assert seen.id == unseen.id
    assert seen.manifest.result["weights"] == unseen.manifest.result["weights"]
    assert seen.manifest.result["losses"] == unseen.manifest.result["losses"]
    shown = panels(seen)
    assert list(shown) == [0, 4, 6]
    assert shown[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert shown[6]["kl"] > 0
    assert 0 <= shown[6]["toxicity"] <= 1
    assert all(s["prompt"].startswith("Say ") for s in shown[6]["samples"])


def test_without_validation_prompts_of_its_own_the_evaluation_pool_gives_way_to_the_runs(own, tiny_folder):
    pool = pipeline.pool(own, "small")
    spec = asked(tiny_folder)
    from core.pool import save_pool
    from core.pool.build import build_pool
    from core.pool.mapping import Mapping
    from core.pool.read import read_table

    path = own.path("tested.csv")
    path.write_text("prompt,response\nOnly a test,yes\nAnother test,no\n")
    mapping = Mapping(columns={"prompt": "prompt", "response": "response"})
    built = build_pool(read_table(path), mapping, name="tested", fractions=(0, 0, 1))
    save_pool(own, built, mapping, "tested.csv")
    measured = EvaluationSpec(pool="tested", protocol=EvaluationProtocol(new_tokens=3), scorer=spec.scorer)
    filled = spec.model_copy(update={"evaluation": measured})
    lm = load_model(str(tiny_folder("gpt2")))
    found = module.open_panel(own, lm, filled, pool, str)
    validation = set(pool.frame["prompt"].iloc[pool.rows("validation")])
    assert set(found.prompts) <= validation
    assert len(found.prompts) == 4
    assert found.protocol.new_tokens == 3
    assert len(found.texts) == 4


class Asks(Silent):
    """Asks once to save, after step 3."""

    def __init__(self):
        self.step, self.rows = 0, []

    def record(self, row):
        self.step = row["step"] if "loss" in row else self.step
        self.rows.append(row)

    def asked(self, what):
        return what == "save" and self.step == 3


@pytest.mark.parametrize("scope", ["all", "lora"])
def test_save_now_leaves_a_model_that_can_be_evaluated(own, tiny_folder, scope):
    reporter = Asks()
    spec = asked(tiny_folder, params={"scope": scope, "validation_size": 0})
    run = pipeline.run_repair(own, spec, reporter)
    [saved] = [row for row in reporter.rows if "saved" in row]
    assert saved["step"] == 3
    assert "'a-trial-step-3'" in saved["saved"]
    short = pipeline.run_repair(own, spec.model_copy(update={"params": spec.params | {"steps": 3}}))
    kept = load_model(pipeline.resolve_model(own, "a-trial-step-3"))
    assert weights_hash(snapshot(weights_of(kept.model))) == short.manifest.result["weights"]
    assert run.manifest.result["weights"] != short.manifest.result["weights"]
