"""The demo says what its intervals carry, and no more."""

from __future__ import annotations

from pathlib import Path

from core.demo.plan import EVALUATION, TEXTS, spec
from core.demo.table import findings, table
from core.pipeline import Run, RunManifest
from core.values import Evaluation, Measure


def measured(toxicity: float, spread: float = 0.01, perplexity: float = 2.0) -> Evaluation:
    m = Measure(value=toxicity, low=toxicity - spread, high=toxicity + spread, n=160)
    ppl = Measure(value=perplexity, low=perplexity, high=perplexity, n=300)
    return Evaluation(
        model="demo",
        model_hash="m",
        pool="demo-prompts",
        pool_fingerprint="p",
        split_hash="s",
        scorer="demo",
        scorer_hash="c",
        protocol=EVALUATION.protocol,
        metrics=dict.fromkeys(("emt", "tp", "toxicity_mean", "toxicity_category_mean"), m),
        texts={name: {"perplexity": ppl} for name in TEXTS},
    )


def run(
    strategy: str, seed: int, found: Evaluation, method: str = "dpo", blocks: dict[int, int] | None = None
) -> Run:
    manifest = RunManifest.model_construct(
        id=f"{strategy}{seed}",
        spec=spec(strategy, method, seed),
        selection="k",
        strategy=strategy,
        budget=330,
        pool="demo",
        pool_fingerprint="p",
        model="demo",
        model_hash="m",
        result={"block_counts": blocks or {}},
        created="",
        seconds=1.0,
        device="cpu",
        versions={},
    )
    return Run(manifest.id, Path(), manifest, found)


BASE = measured(0.24)


def test_only_runs_whose_interval_is_clear_of_the_base_count_as_repaired() -> None:
    text = findings(BASE, [run("uniform", 0, measured(0.05)), run("saps", 0, measured(0.225))])[0]
    assert "in 1 of 2 runs" in text


def test_no_strategy_is_called_better_while_one_pair_of_intervals_overlaps() -> None:
    good = [run("saps", s, measured(0.05)) for s in range(3)]
    bad = [run("uniform", s, measured(0.10)) for s in range(3)]
    assert any("saps is below uniform" in line for line in findings(BASE, [*good, *bad]))
    close = [*good[:2], run("saps", 2, measured(0.085))]
    lines = findings(BASE, [*close, *bad])
    assert any("no better strategy is shown" in line for line in lines)
    assert not any("is below uniform" in line for line in lines)


def test_a_perplexity_increase_above_fifteen_percent_is_said() -> None:
    fine, poor = (findings(BASE, [run("saps", 0, measured(0.05, perplexity=p))])[0] for p in (2.2, 2.4))
    assert "PPL normal +10.0% to +10.0%;" in fine and "above the 15%" not in fine
    assert "PPL normal +20.0% to +20.0% (above the 15%" in poor


def test_chosen_blocks_are_counted_and_called_no_evidence() -> None:
    runs = [run("saps", s, measured(0.05), "irepair_kl", {0: 90, 3: 10}) for s in range(2)]
    lines = findings(BASE, runs)
    assert (
        "irepair_kl chose block 0 in 90%, block 3 in 10% of 200 steps: no evidence of where toxicity lies."
        in lines
    )


def test_the_table_has_the_base_first_and_one_line_per_run_with_intervals_and_all_three_perplexities() -> (
    None
):
    lines = table(BASE, [run("uniform", 0, measured(0.05, perplexity=2.1))]).splitlines()
    assert "160 held-out prompts x 25 samples" in lines[0] and "scorer demo" in lines[0]
    assert [h in lines[2] for h in ("PPL normal", "PPL clean", "PPL behaviours")] == [True] * 3
    assert lines[4].split()[:4] == ["none", "0", "none", "-"] and "0.240 [0.230, 0.250]" in lines[4]
    assert lines[5].split()[:4] == ["uniform", "330", "dpo", "0"]
    assert lines[5].count("2.100 (+5.0%)") == 3
