"""Runs the real-input tables through the project's own command line, as a user would."""

from __future__ import annotations

from pathlib import Path

from bench.commands import winnow
from core.evaluation.protocols import PROTOCOLS
from core.values import Budget, EvaluationSpec, StudyMethod, StudySpec, StudyStrategy
from core.workspace import Workspace, write_json

CANDIDATES = "pools/candidate_pool.parquet"
RULES = (
    "refusal:2_full_refusal=yes",
    "refusal:not_jailbroken=yes",
    "refusal:1_full_compliance=no",
    "harmful_request@source:xstest=no",  # safe requests that look unsafe ...
    "harmful_request@harm_category:contrast_*=yes",  # ... and their unsafe contrasts: a later rule wins
    "harmful_request@source:jbb_artifacts=yes",
    "harmful_response:Unsafe=yes",
    "harmful_response:rejected=yes",
)
METHODS = {  # the demo's settings with more steps: the text is harder than the demo's grammar
    "dpo": {"lr": 3e-5, "steps": 100, "batch": 8},
    "irepair_kl": {"lr": 3e-4, "steps": 200, "batch": 8, "alpha": 2.0},
    "irepair": {"lr": 3e-4, "steps": 200, "batch": 8},
}
FULL_STEPS = 4  # times as many in the full-data runs: a quarter of an epoch for DPO, half of one for IRepair
STUDY = StudySpec(
    name="lab-study",
    question="Which rows repair a model of real text, how few are enough, and what does it cost?",
    pool="lab-pairs",
    strategies=(
        StudyStrategy(strategy="uniform"),
        StudyStrategy(strategy="k_center"),
        StudyStrategy(strategy="top", params={"score": "grand"}, label="grand"),
        StudyStrategy(strategy="ccs"),
        StudyStrategy(strategy="saps"),
    ),
    budgets=tuple(Budget(percent=percent) for percent in (1.0, 2.0, 5.0, 10.0)),
    methods=tuple(
        StudyMethod(method=name, params=params, full_params={"steps": FULL_STEPS * int(params["steps"])})
        for name, params in METHODS.items()
    ),
    seeds=(0, 1, 2),
    model="lab-lm",
    scorer="lab-scorer",
    evaluation=EvaluationSpec(
        pool="lab-rtp",
        protocol=PROTOCOLS["quick"],
        scorer="lab-scorer",
        texts=("lab-wikitext",),
        lambada=("lab-wikitext",),
    ),
    device="cpu",
)


def import_pools(ws: Workspace, data: Path) -> None:
    """Import the candidate pool with its rules, the training pairs, and the held-out sets as test rows."""
    flags = [f"--map={flag}=behaviour_label" for flag in ("refusal", "harmful_response")]
    winnow(ws, "pool", "import", str(data / CANDIDATES), "--name=lab-candidates", *flags, *_values(RULES))
    held_out = "--split=0,0,1"
    for name, file, split in (
        ("lab-pairs", "pairs", "--split=0.9,0.1,0"),
        ("lab-rtp", "rtp_prompts", held_out),
        ("lab-wikitext", "wikitext", held_out),
    ):
        winnow(ws, "pool", "import", str(ws.path("lab", f"{file}.parquet")), f"--name={name}", split)


def run_study(ws: Workspace) -> None:
    """Strategies x budgets x methods x seeds on the real text, two runs at a time; then what they say."""
    path = ws.path("lab", "study.json")
    write_json(path, STUDY)
    winnow(ws, "study", "run", str(path), "--here", "2")
    winnow(ws, "study", "report", STUDY.name)


def _values(rules: tuple[str, ...]) -> list[str]:
    return [f"--value={rule}" for rule in rules]
