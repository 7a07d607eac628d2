"""Evaluations: which prompts and texts measure a model, and keeping every number with what made it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from core import evaluation as stage
from core.errors import MissingInput
from core.pipeline.names import default_model, default_scorer, identity, resolve_model, resolve_scorer
from core.pool import load_pool
from core.values import Evaluation, EvaluationSpec, HeldOut, Pool, Reporter, Silent
from core.workspace import Workspace, atomic_folder, content_key, read_as, write_json, write_parquet

if TYPE_CHECKING:
    from core.lm.load import LanguageModel

EVALUATION_VERSION = 1  # raised when the same inputs would give other numbers
VERSIONS = ("torch", "transformers", "detoxify", "numpy")


def versions() -> dict[str, str]:
    """Versions of the libraries that a repair's or an evaluation's numbers depend on."""
    return {name: version(name) for name in VERSIONS}


def open_model(source: str, device: str) -> LanguageModel:
    """The model on the device meant ("auto": the best one there is), with threads that suit its size."""
    from core.lm.load import load_model, resolve_device
    from core.lm.threads import use_threads

    lm = load_model(source, device=resolve_device(device))
    use_threads(sum(weight.numel() for weight in lm.model.parameters()))
    return lm


def filled_spec(ws: Workspace, spec: EvaluationSpec, model: str = "") -> EvaluationSpec:
    """The spec with the model, and the pool's default scorer, where none was named."""
    model = spec.model or model or default_model(ws, spec.pool)
    return spec.model_copy(update={"model": model, "scorer": spec.scorer or default_scorer(ws, spec.pool)})


def evaluation_key(ws: Workspace, spec: EvaluationSpec) -> str:
    """Where the evaluation of a filled spec is stored: a hash of all that could change a number."""
    texts = text_pools(spec)
    pools = [load_pool(ws, name) for name in (spec.pool, *texts)]
    other_rows = {} if spec.split == "test" else {"split": spec.split}  # keys of test rows stay as they were
    return content_key(
        {
            "model": identity(ws, resolve_model(ws, spec.model)),
            "scorer": identity(ws, resolve_scorer(ws, spec.scorer)),
            "protocol": spec.protocol,
            "texts": texts,  # their names stand beside the numbers
            "joined": spec.joined,
            "pools": [(p.fingerprint, p.split_hash) for p in pools],
            "version": EVALUATION_VERSION,
        }
        | other_rows
    )


def text_pools(spec: EvaluationSpec) -> tuple[str, ...]:
    """Pools whose held-out text gives perplexity: those named, else the prompts' own."""
    return spec.texts or (spec.pool,)


def base_evaluation(ws: Workspace, spec: EvaluationSpec) -> Evaluation | None:
    """The stored evaluation of the named model, or None; looks, never computes."""
    spec = filled_spec(ws, spec)
    return read_evaluation(ws, evaluation_key(ws, spec))


def read_evaluation(ws: Workspace, key: str) -> Evaluation | None:
    """The evaluation stored under `key`, or None."""
    path = ws.find("evaluations", key, "evaluation.json")
    return None if path is None else read_as(Evaluation, path)


def run_evaluation(ws: Workspace, spec: EvaluationSpec, reporter: Reporter | None = None) -> Evaluation:
    """Measure a model, or read what was measured before; stored with all generations."""
    spec = filled_spec(ws, spec)
    key = evaluation_key(ws, spec)
    with ws.lock(f"evaluation-{key}", timeout=24 * 3600):
        if (stored := read_evaluation(ws, key)) is not None:
            return stored
        lm = open_model(resolve_model(ws, spec.model), "auto")
        found, tables = measure(ws, lm, spec, reporter or Silent())
        with atomic_folder(ws.path("evaluations", key), alone=True) as part:
            write_evaluation(part, found, tables)
    return found


def write_evaluation(folder: Path, found: Evaluation, tables: stage.Results) -> None:
    """Keep the numbers with every generation and every text's sums, from which pairs of models compare."""
    write_parquet(folder / "generations.parquet", tables.generations)
    write_parquet(folder / "text_units.parquet", tables.text_units)
    write_json(folder / "evaluation.json", found)


def read_units(folder: Path) -> stage.Units:
    """Per-prompt and per-document values of a kept evaluation."""
    generations = pd.read_parquet(
        folder / "generations.parquet", columns=["prompt_row", "sample", "toxicity"]
    )
    return stage.per_unit(generations, pd.read_parquet(folder / "text_units.parquet"))


def held_out_prompts(pool: Pool, split: HeldOut = "test") -> tuple[list[str], list[list[str]]]:
    """Distinct non-empty prompts of the split, and the categories of each."""
    part = pool.frame.iloc[pool.rows(split)]
    found: dict[str, dict[str, None]] = {}
    for prompt, categories in zip(part["prompt"], part["category"], strict=True):
        if str(prompt).strip():
            found.setdefault(str(prompt), {}).update(dict.fromkeys(str(c) for c in categories))
    if not found:
        raise MissingInput(
            f"pool {pool.name!r} has no held-out prompts ({split} rows with a prompt); evaluate on a pool of "
            f"prompts, imported with --split {'0,0,1' if split == 'test' else '0,1,0'}"
        )
    return list(found), [list(categories) for categories in found.values()]


def held_out_texts(pool: Pool, split: HeldOut = "test") -> list[str]:
    """The documents of the split: prompt and response as one text each, blocked rows left out."""
    part = pool.frame.iloc[pool.rows(split)]
    part = part[~part["blocked"].astype(bool) & (part["response"] != "")]
    return [f"{p} {r}".strip() for p, r in zip(part["prompt"], part["response"], strict=True)]


def measure(
    ws: Workspace, lm: LanguageModel, spec: EvaluationSpec, reporter: Reporter
) -> tuple[Evaluation, stage.Results]:
    """Measure the loaded model as the filled spec says: the numbers, and what they were made from."""
    from core.scorers import load_scorer

    pool = load_pool(ws, spec.pool)
    prompts, categories = held_out_prompts(pool, spec.split)
    texts = {name: held_out_texts(load_pool(ws, name), spec.split) for name in text_pools(spec)}
    if empty := [name for name in spec.texts if not texts[name]]:
        raise MissingInput(
            f"pool {empty[0]!r} has no held-out text ({spec.split} rows with a response that are not "
            "blocked), so no perplexity can be measured on it; leave it out of the texts"
        )
    texts = {name: documents for name, documents in texts.items() if documents}
    scorer = load_scorer(resolve_scorer(ws, spec.scorer), device=str(lm.device))
    found = stage.evaluate(
        lm,
        prompts=prompts,
        categories=categories,
        texts=texts,
        scorer=scorer,
        protocol=spec.protocol,
        joined=spec.joined,
        reporter=reporter,
    )
    return (
        Evaluation(
            model=spec.model,
            model_hash=lm.hash,
            pool=pool.name,
            pool_fingerprint=pool.fingerprint,
            split_hash=pool.split_hash,
            split=spec.split,
            scorer=scorer.name,
            scorer_hash=scorer.hash,
            protocol=spec.protocol,
            metrics=found.metrics,
            by_category=found.by_category,
            texts=found.texts,
            failed_generations=found.failed,
            warnings=tuple(found.warnings),
            seconds=found.seconds,
            versions=versions(),
        ),
        found,
    )
