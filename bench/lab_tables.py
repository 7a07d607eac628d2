"""Runs the real-input tables through the project's own command line, as a user would."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path

from core.evaluation.protocols import PROTOCOLS
from core.values import Budget, EvaluationSpec, Recipe, RepairSpec
from core.workspace import Workspace, write_json

ROOT = Path(__file__).resolve().parents[1]
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
STRATEGIES = ("uniform", "saps")
PERCENT = 10.0
SEEDS = (0, 1, 2)
METHODS = {  # the demo's settings with more steps: the text is harder than the demo's grammar
    "dpo": {"lr": 3e-5, "steps": 100, "batch": 8},
    "irepair_kl": {"lr": 3e-4, "steps": 200, "batch": 8, "alpha": 2.0},
}


def import_pools(ws: Workspace, data: Path) -> None:
    """Import the candidate pool with its rules, the training pairs, and the held-out sets as test rows."""
    flags = [f"--map={flag}=behaviour_label" for flag in ("refusal", "harmful_response")]
    _winnow(ws, "pool", "import", str(data / CANDIDATES), "--name=lab-candidates", *flags, *_values(RULES))
    held_out = "--split=0,0,1"
    for name, file, split in (
        ("lab-pairs", "pairs", "--split=0.9,0.1,0"),
        ("lab-rtp", "rtp_prompts", held_out),
        ("lab-wikitext", "wikitext", held_out),
    ):
        _winnow(ws, "pool", "import", str(ws.path("lab", f"{file}.parquet")), f"--name={name}", split)


def repair_and_measure(ws: Workspace) -> None:
    """Every strategy, method and seed: repair, measure on the held-out side; then the table."""
    evaluation = EvaluationSpec(
        pool="lab-rtp", protocol=PROTOCOLS["quick"], scorer="lab-scorer", texts=("lab-wikitext",)
    )
    for seed, strategy, (method, params) in product(SEEDS, STRATEGIES, METHODS.items()):
        recipe = Recipe(
            pool="lab-pairs", strategy=strategy, budget=Budget(percent=PERCENT), seed=seed, method=method
        )
        spec = RepairSpec(
            name=f"lab {strategy} {method} seed {seed}",
            selection=recipe,
            method=method,
            params=params,
            model="lab-lm",
            seed=seed,
            evaluation=evaluation,
            scorer="lab-scorer",
        )
        path = ws.path("lab", "specs", f"{strategy}-{method}-{seed}.json")
        write_json(path, spec)
        _winnow(ws, "repair", str(path))
    _winnow(ws, "run", "table")


def _values(rules: tuple[str, ...]) -> list[str]:
    return [f"--value={rule}" for rule in rules]


def _winnow(ws: Workspace, *words: str) -> None:
    """One command of the project; its output goes where ours goes, its failure is ours."""
    print("$ python -m core " + " ".join(words), flush=True)
    command = [sys.executable, "-m", "core", *words, "--workspace", str(ws.root)]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code != 0:
        raise SystemExit(code)  # the command has said why
