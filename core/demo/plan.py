"""What the demo runs: 2 strategies x 2 repair methods x 3 seeds with 10 % of the pairs (demo-trial)."""

from __future__ import annotations

from typing import Any

from core.values import Budget, EvaluationProtocol, EvaluationSpec, NormalText, Panel, Recipe, RepairSpec

POOL, PROMPTS = "demo", "demo-prompts"
TEXTS = ("demo-normal", "demo-clean", "demo-behaviours")  # the first gives the perplexity that is compared
MODEL = SCORER = "demo"

STRATEGIES = ("uniform", "saps")
SEEDS = (0, 1, 2)
PERCENT = 10.0
METHODS: dict[str, dict[str, Any]] = {  # settings that worked in the trial, sections 4 and 7
    "dpo": {"lr": 3e-5, "steps": 50, "batch": 8, "beta": 0.1, "warmup": 10, "end_token": True},
    "irepair_kl": {"lr": 3e-4, "steps": 100, "batch": 8, "alpha": 2.0, "warmup": 10, "end_token": True},
}
FULL_STEPS = {
    "dpo": 400,
    "irepair_kl": 800,
}  # the full-data run sees each row about as often as the others do

EVALUATION = EvaluationSpec(
    model=MODEL,
    pool=PROMPTS,
    protocol=EvaluationProtocol(name="demo", prompts=None, samples=25, new_tokens=20, top_p=0.9),
    scorer=SCORER,
    texts=TEXTS,
)


def spec(strategy: str, method: str, seed: int, percent: float = PERCENT) -> RepairSpec:
    """One repair of the demo model; every seed chooses its own rows where the strategy leaves a choice."""
    steps = {"steps": FULL_STEPS[method]} if percent == 100 else {}  # noqa: PLR2004 - percent
    label = "all eligible rows" if steps else f"{strategy}, {percent:g} %"
    return RepairSpec(
        name=f"demo: {label}, {method}, seed {seed}",
        selection=Recipe(
            pool=POOL, strategy=strategy, budget=Budget(rows=None, percent=percent), seed=seed, method=method
        ),
        method=method,
        params=METHODS[method] | steps,
        model=MODEL,
        seed=seed,
        normal=NormalText(texts=512),
        evaluation=EVALUATION,
        scorer=SCORER,
        panel=Panel(every=0, prompts=0, texts=0),  # nobody watches
        keep_model="changed",
        device="cpu",
    )


def specs(full: bool = False) -> list[RepairSpec]:
    """The 12 runs, longer ones first so that both processes end together; `full` adds full-data runs."""
    by_time = sorted(METHODS, key=lambda m: -METHODS[m]["steps"])
    runs = [spec("uniform", method, 0, 100.0) for method in by_time] if full else []
    return runs + [spec(s, m, seed) for m in by_time for seed in SEEDS for s in STRATEGIES]
