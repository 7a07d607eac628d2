"""The behaviour-aware experiment on the demo: few safety rows among many benign ones, random against T1.

python -m bench.behaviour [--workspace W]

Pham et al., EMNLP 2025 Industry (behaviour-and-prism 2): n safety rows are fine-tuned together with benign
ones; does it matter which? The safety pool is the demo pool's harmful requests and refusals (T1, T2, T4); the
benign rows are its others. Measured: harmful compliance and over-refusal on held-out requests.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pandas as pd

from bench.commands import winnow
from core import pipeline
from core.demo import plan
from core.values import Budget, EvaluationSpec, Mix, StudyMethod, StudySpec, StudyStrategy
from core.workspace import Workspace, write_json, write_parquet

SAFETY = "demo-safety"
COLUMNS = (
    "id",
    "prompt",
    "response",
    "rejected",
    "category",
    "harmful_request",
    "refusal",
    "harmful_response",
    "group",
)
BENIGN = 1000  # rows; with 10, 30 and 100 safety rows among them the dose is 1 to 9 %
STUDY = StudySpec(
    name="behaviour-study",
    question="Which safety rows keep a model refusing what is harmful while it learns benign answers?",
    pool=SAFETY,
    strategies=(
        StudyStrategy(strategy="uniform", label="random"),
        StudyStrategy(strategy="sss"),
        StudyStrategy(strategy="sss", params={"t1_only": True}, label="sss-b"),
        StudyStrategy(strategy="pss"),
        StudyStrategy(strategy="pss", params={"t1_only": True}, label="pss-b"),
    ),
    budgets=tuple(Budget(rows=rows) for rows in (10, 30, 100)),
    methods=(
        StudyMethod(
            method="sft",
            params={"lr": 3e-4, "epochs": 2, "batch": 8, "warmup": 10, "end_token": True},
        ),
    ),
    seeds=(0, 1, 2),
    full=False,
    model=plan.MODEL,
    scorer=plan.SCORER,
    mix=Mix(pool=plan.POOL, rows=BENIGN),
    evaluation=EvaluationSpec(
        pool=plan.PROMPTS,
        protocol=plan.EVALUATION.protocol.model_copy(update={"name": "behaviour", "samples": 5}),
        scorer=plan.SCORER,
        texts=plan.TEXTS[:1],
        requests=("demo-behaviours",),
        request_tokens=24,
    ),
    device="cpu",
)


def main() -> None:
    """Make the safety pool where it is missing, run what is missing of the study, print what it says."""
    parser = argparse.ArgumentParser(prog="python -m bench.behaviour", description=__doc__)
    parser.add_argument("--workspace", type=Path, help="default: WINNOW_WORKSPACE, else workspace/")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is first imported, which is later
    ws = Workspace.open(parser.parse_args().workspace)
    if SAFETY not in {found.name for found in pipeline.pools(ws)}:
        frame = pipeline.pool(ws, plan.POOL).frame
        safety = (frame["harmful_request"] == "yes") | (frame["refusal"] == "yes")
        path = ws.path("bench", f"{SAFETY}.parquet")
        write_parquet(path, pd.DataFrame(frame.loc[safety, list(COLUMNS)]))
        winnow(ws, "pool", "import", str(path), f"--name={SAFETY}")
    path = ws.path("bench", "behaviour.json")
    write_json(path, STUDY)
    winnow(ws, "study", "run", str(path), "--here", "2")
    winnow(ws, "study", "report", STUDY.name)


if __name__ == "__main__":
    main()
