"""Trains a language model and a toxicity scorer on one side of real public text, and measures on the other.

python -m bench.lab [--workspace W] [--data D] [--minutes M] build|all
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, spearmanr

from bench.lab_data import CLASSES, TOXIC, LabData, Labelled, data_key, read_lab_data
from bench.lab_tables import import_pools, run_study
from core.errors import WinnowError
from core.scorers import load_scorer
from core.training.pretrain import PretrainParams, train_lm
from core.training.scorer import ScorerParams, train_scorer
from core.workspace import Workspace, content_key, folder_hash, read_json, write_json, write_parquet

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
VERSION = 1  # raise when a change here or in lab_data changes what is trained
SCORER_SHARE = 0.2  # of the minutes; the language model gets the rest
HELD_DOCUMENTS = 200  # per source, for the perplexity table
Z95 = 1.96

SCORER = ScorerParams(layers=2, width=128, heads=4, ffn=512, vocab=8000, epochs=4, lr=5e-4)
MODEL = PretrainParams(layers=6, width=128, heads=4, context=128, vocab=4096, epochs=3, batch=16, bf16=True)


class Lines:
    """A Reporter that writes one line to stderr every half minute."""

    def __init__(self, every: float = 30.0) -> None:
        self._every, self._began, self._said = every, time.monotonic(), 0.0
        self._row: Mapping[str, Any] = {}

    def progress(self, done: int, total: int, what: str) -> None:
        """Say how far it is, if enough time has passed."""
        now = time.monotonic()
        if now - self._said >= self._every or done == total:
            self._said = now
            loss = f", loss {self._row['loss']:.3f}" if "loss" in self._row else ""
            print(f"{now - self._began:6.0f} s  {done} of {total} {what}{loss}", file=sys.stderr, flush=True)

    def record(self, row: Mapping[str, Any]) -> None:
        """Keep the newest row for the next line."""
        self._row = row

    def stopping(self) -> bool:
        """Never: stop with Ctrl-C, nothing half made stays behind."""
        return False

    def asked(self, what: str) -> bool:
        """Nothing is ever asked for on the way."""
        return False


def build(ws: Workspace, data: Path, minutes: float) -> None:
    """Train what is not there yet, print what it is worth, and write the pools that measure it."""
    key, lab = data_key(data), read_lab_data(data)
    scorer_params = SCORER.model_copy(update={"max_seconds": 60 * minutes * SCORER_SHARE})
    scorer = _cached(
        ws,
        "lab-scorer",
        content_key([key, VERSION, SCORER]),
        lambda folder: train_scorer(
            lab.labelled.texts,
            lab.labelled.labels,
            CLASSES,
            folder,
            params=scorer_params,
            label="lab",
            reporter=Lines(),
        ),
    )
    _print_scorer(scorer, score_table(ws.path("models", "lab-scorer"), lab.held_labelled))
    model_params = MODEL.model_copy(update={"max_seconds": 60 * minutes * (1 - SCORER_SHARE)})
    model = _cached(
        ws,
        "lab-lm",
        content_key([key, VERSION, MODEL]),
        lambda folder: train_lm(
            lab.documents,
            folder,
            params=model_params,
            held_out={name: texts[:HELD_DOCUMENTS] for name, texts in lab.held_documents.items()},
            reporter=Lines(),
        ),
    )
    _print_model(model)
    write_pools(ws, lab)


def write_pools(ws: Workspace, lab: LabData) -> None:
    """Write the evaluation inputs and the pairs as tables that `pool import` reads."""
    tables = {"rtp_prompts": lab.prompts, "wikitext": lab.articles, "pairs": lab.pairs}
    for name, frame in tables.items():
        path = ws.path("lab", f"{name}.parquet")
        write_parquet(path, frame)
        print(f"{len(frame):7,} rows  {path}")


def auc(values: NDArray[np.floating[Any]], positive: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Chance that a positive stands above a negative, with its 95 % interval (Hanley and McNeil 1982)."""
    p, n = int(positive.sum()), int((~positive).sum())
    area = float(mannwhitneyu(values[positive], values[~positive]).statistic / (p * n))
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    spread = (area * (1 - area) + (p - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)) / (p * n)
    half = Z95 * float(np.sqrt(max(spread, 0.0)))
    return area, max(area - half, 0.0), min(area + half, 1.0)


def score_table(folder: Path, held: Mapping[str, Labelled]) -> list[dict[str, Any]]:
    """One row per source and label that is known there: AUC on the side kept out, n, and rank correlation."""
    scorer = load_scorer(str(folder))
    rows = []
    for source, part in held.items():
        scores = scorer.score(part.texts)
        for column, label in enumerate(CLASSES):
            wanted = part.labels[:, column]
            known = ~np.isnan(wanted)
            positive = wanted[known] >= TOXIC
            if not positive.any() or positive.all():
                continue
            got = scores[known, scorer.labels.index(label)]
            area, low, high = auc(got, positive)
            row = {"source": source, "label": label, "n": int(known.sum()), "positive": int(positive.sum())}
            row |= {"auc": area, "low": low, "high": high}
            row |= {"mean": float(got.mean()), "spearman": float(spearmanr(got, wanted[known]).statistic)}
            rows.append(row)
    return rows


def _cached(ws: Workspace, name: str, key: str, train: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """The facts of WORKSPACE/models/NAME; trains it when it is missing, changed, or made with another key."""
    folder, facts_path = ws.path("models", name), ws.path("lab", f"{name}.json")
    if facts_path.is_file() and folder.is_dir():
        facts: dict[str, Any] = read_json(facts_path)
        if facts["key"] == key and facts["hash"] == folder_hash(folder):
            return facts
    began = time.process_time()
    facts = train(folder) | {"key": key}
    facts["cpu_seconds"] = round(time.process_time() - began, 1)
    write_json(facts_path, facts)
    return facts


def _print_scorer(facts: Mapping[str, Any], rows: list[dict[str, Any]]) -> None:
    print(
        f'scorer "lab": {facts["weights"]:,} weights, {facts["vocab"]:,} WordPieces, {facts["texts"]:,} '
        f"texts, {facts['steps']:,} steps, {facts['seconds']:.0f} s ({facts['cpu_seconds']:.0f} s CPU)"
    )
    print("losses by epoch " + " ".join(f"{loss:.4f}" for loss in facts["losses"]))
    print(
        f"{'held out':10} {'label':16} {'n':>6} {'positive':>9} {'AUC':>6}  95 % interval   rank corr.  mean"
    )
    for row in rows:
        print(
            f"{row['source']:10} {row['label']:16} {row['n']:6,} {row['positive']:9,} {row['auc']:6.3f}  "
            f"[{row['low']:.3f}, {row['high']:.3f}]  {row['spearman']:10.3f}  {row['mean']:.3f}"
        )


def _print_model(facts: Mapping[str, Any]) -> None:
    print(
        f'model "lab-lm": {facts["weights"]:,} weights, {facts["vocab"]:,} tokens known, '
        f"{facts['documents']:,} documents with {facts['tokens']:,} tokens, {facts['steps']:,} steps, "
        f"{facts['seconds']:.0f} s ({facts['cpu_seconds']:.0f} s CPU)"
    )
    print("losses by epoch " + " ".join(f"{loss:.3f}" for loss in facts["losses"]))
    print(f"{'held out':10} {'tokens':>8}  token perplexity (context {facts['params']['context']})")
    for name, row in facts["held_out"].items():
        print(f"{name:10} {row['tokens']:8,}  {np.exp(row['loss']):.1f}")


def main() -> int:
    """Read the command line; a user's mistake is one sentence and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m bench.lab", description=__doc__)
    parser.add_argument("--workspace", type=Path, help="default: WINNOW_WORKSPACE, else workspace/")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the public data sets")
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="CPU minutes both trainings may take together"
    )
    parser.add_argument("what", choices=("build", "all"), help="build: models and pools; all: the tables too")
    options = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is first imported, which is later
    try:
        ws = Workspace.open(options.workspace)
        build(ws, options.data, options.minutes)
        if options.what == "all":
            import_pools(ws, options.data)
            run_study(ws)
    except WinnowError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
