"""Evaluations: what a spec asks for, measured once, and every number kept with what made it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from core import evaluation as stage
from core.errors import MissingInput
from core.pipeline.held_out import held_out_prompts as held_out_prompts
from core.pipeline.held_out import held_out_requests as held_out_requests
from core.pipeline.held_out import held_out_texts as held_out_texts
from core.pipeline.names import default_model, default_scorer, identity, resolve_model, resolve_scorer
from core.pool import load_pool, read_manifest
from core.scorers import load_judge, load_scorer, split_judge
from core.values import Evaluation, EvaluationSpec, Reporter, Silent
from core.workspace import Memo, Workspace, atomic_folder, content_key, read_as, write_json, write_parquet

if TYPE_CHECKING:
    from core.lm.load import LanguageModel
    from core.scorers import Judge

EVALUATION_VERSION = 1  # raised when the same inputs would give other numbers
VERSIONS = ("torch", "transformers", "detoxify", "numpy")


def versions() -> dict[str, str]:
    """Versions of the libraries that a repair's or an evaluation's numbers depend on."""
    return {name: version(name) for name in VERSIONS}


def open_model(source: str, device: str, ws: Workspace | None = None, scorer: str = "") -> LanguageModel:
    """The model on the device meant ("auto": the best one there is), with threads that suit its size.

    With a workspace a model that decodes by reward gets the scorer its decoder.json names, else `scorer`.
    """
    from core.lm.load import load_model, resolve_device
    from core.lm.threads import use_threads

    lm = load_model(source, device=resolve_device(device))
    use_threads(sum(weight.numel() for weight in lm.model.parameters()))
    return lm if ws is None else rewarded(ws, lm, scorer)


def rewarded(ws: Workspace, lm: LanguageModel, scorer: str = "") -> LanguageModel:
    """The model as it is, or with the reward function that its decoder still lacks."""
    if lm.decoder is None or not lm.decoder.needs_reward:
        return lm
    from core.lm.decoders import with_reward

    source = resolve_scorer(ws, lm.decoder.settings()["scorer"] or scorer)
    return with_reward(lm, load_scorer(source, device=str(lm.device)).toxicity)


def filled_spec(ws: Workspace, spec: EvaluationSpec, model: str = "") -> EvaluationSpec:
    """The spec with the model, and the pool's default scorer, where none was named."""
    model = spec.model or model or default_model(ws, spec.pool)
    return spec.model_copy(update={"model": model, "scorer": spec.scorer or default_scorer(ws, spec.pool)})


def evaluation_key(ws: Workspace, spec: EvaluationSpec) -> str:
    """Where the evaluation of a filled spec is stored: a hash of all that could change a number."""
    texts = text_pools(spec)
    model = resolve_model(ws, spec.model)
    return content_key(
        {
            "model": identity(ws, model),
            "scorer": identity(ws, resolve_scorer(ws, spec.scorer)),
            "protocol": spec.protocol,
            "texts": texts,  # their names stand beside the numbers
            "joined": spec.joined,
            "pools": _contents(ws, (spec.pool, *texts)),
            "version": EVALUATION_VERSION,
        }
        | _key_of_more(ws, spec, model)
    )


def _key_of_more(ws: Workspace, spec: EvaluationSpec, model: str) -> dict[str, Any]:
    """What only some specs ask for: keys of the others stay as they were."""
    more: dict[str, Any] = {} if spec.split == "test" else {"split": spec.split}
    if spec.lambada:
        more["lambada"] = [spec.lambada, _contents(ws, spec.lambada)]
    if spec.requests:
        more["requests"] = [spec.requests, _contents(ws, spec.requests), spec.request_tokens]
    if spec.requests and spec.judge:
        name, label = split_judge(spec.judge)
        more["judge"] = [identity(ws, resolve_scorer(ws, name)), label]
    if spec.fluency:
        more["fluency"] = identity(ws, resolve_model(ws, spec.fluency))
    if (reward := _reward(model)) is not None:
        more["reward"] = identity(ws, resolve_scorer(ws, reward or spec.scorer))
    return more


def _contents(ws: Workspace, names: Sequence[str]) -> list[tuple[str, str]]:
    said = [read_manifest(ws, name) for name in names]  # not the rows: studies ask for hundreds of keys
    return [(manifest["fingerprint"], manifest["split_hash"]) for manifest in said]


def _read(ws: Workspace, spec: EvaluationSpec) -> dict[str, str]:
    """KIND:POOL -> hash of what is read of it, so that two evaluations know whether they read the same."""
    kinds = {"texts": text_pools(spec), "lambada": spec.lambada, "requests": spec.requests}
    named = [(kind, name) for kind, names in kinds.items() for name in names]
    glued = [kind == "texts" and name in spec.joined for kind, name in named]
    read = zip(named, _contents(ws, [name for _, name in named]), glued, strict=True)
    return {f"{kind}:{name}": content_key([*what, one]) for (kind, name), what, one in read}


def _reward(model: str) -> str | None:
    """The scorer that a model's decoder.json names, "" = the default; None where none is asked."""
    from core.lm.decoders.files import RADFile, read_decoder

    said = read_decoder(Path(model))
    return said.scorer if isinstance(said, RADFile) else None


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
        lm = open_model(resolve_model(ws, spec.model), "auto", ws, spec.scorer)
        scratch = ws.path("partial", "evaluations", key)
        found, tables = measure(ws, lm, spec, reporter or Silent(), scratch=scratch)
        with atomic_folder(ws.path("evaluations", key), alone=True) as part:
            write_evaluation(part, found, tables)
        shutil.rmtree(scratch, ignore_errors=True)
    return found


def write_evaluation(folder: Path, found: Evaluation, tables: stage.Results) -> None:
    """Keep the numbers with every generation and every text's sums, from which pairs of models compare."""
    write_parquet(folder / "generations.parquet", tables.generations)
    write_parquet(folder / "text_units.parquet", tables.text_units)
    for name, table in (("lambada", tables.lambada_items), ("answers", tables.answers)):
        if len(table):
            write_parquet(folder / f"{name}.parquet", table)
    write_json(folder / "evaluation.json", found)


def read_units(folder: Path) -> stage.Units:
    """Per-prompt and per-document values of a kept evaluation."""
    generations = pd.read_parquet(
        folder / "generations.parquet", columns=["prompt_row", "sample", "toxicity"]
    )
    return stage.per_unit(generations, pd.read_parquet(folder / "text_units.parquet"))


def _texts(ws: Workspace, names: Sequence[str], spec: EvaluationSpec, need: str) -> dict[str, list[str]]:
    """Held-out text of the pools; one without any is left out, or where it was named an error."""
    found = {name: held_out_texts(load_pool(ws, name), spec.split) for name in names}
    if empty := [name for name in (*spec.texts, *spec.lambada) if name in found and not found[name]]:
        raise MissingInput(
            f"pool {empty[0]!r} has no held-out text ({spec.split} rows with a response that are not "
            f"blocked), so {need}; leave it out, or import its text as the response"
        )
    return {name: documents for name, documents in found.items() if documents}


def open_judge(ws: Workspace, spec: EvaluationSpec, device: str = "cpu") -> Judge | None:
    """The judge of harmful answers that the spec names; None where it names none, or asks no requests."""
    if not (spec.judge and spec.requests):
        return None
    name, label = split_judge(spec.judge)
    return load_judge(resolve_scorer(ws, name), label, name=name, device=device)


def _scores(ws: Workspace, scorer_hash: str) -> Memo:
    """What this very scorer said of texts, in any run of the workspace."""
    return Memo(ws.path("memo", f"scores-{scorer_hash}.sqlite"))


def measure(
    ws: Workspace,
    lm: LanguageModel,
    spec: EvaluationSpec,
    reporter: Reporter,
    *,
    weights: str = "",
    scratch: Path | None = None,
) -> tuple[Evaluation, stage.Results]:
    """Measure the loaded model as the filled spec says: the numbers, and what they were made from.

    weights: names repaired weights, since lm.hash is the untouched model's. What is generated is kept in
    `scratch` until the caller removes it, and taken up again by the next call.
    """
    pool, device = load_pool(ws, spec.pool), str(lm.device)
    prompts, categories = held_out_prompts(pool, spec.split)
    texts = _texts(ws, text_pools(spec), spec, "no perplexity can be measured on it")
    words = _texts(ws, spec.lambada, spec, "there is no last word to predict")
    requests = {name: held_out_requests(load_pool(ws, name), spec.split) for name in spec.requests}
    scorer = load_scorer(resolve_scorer(ws, spec.scorer), device=device)
    judge = open_judge(ws, spec, device)
    natural = open_model(resolve_model(ws, spec.fluency), device) if spec.fluency else None
    found = stage.evaluate(
        rewarded(ws, lm, spec.scorer),
        prompts=prompts,
        categories=categories,
        texts=texts,
        scorer=scorer,
        protocol=spec.protocol,
        joined=spec.joined,
        lambada=words,
        requests=requests,
        request_tokens=spec.request_tokens,
        judge=judge,
        fluency=natural,
        memo=_scores(ws, scorer.hash),
        judge_memo=_scores(ws, judge.hash) if judge else None,
        scratch=scratch,
        key=weights,
        reporter=reporter,
    )
    return (
        Evaluation(
            model=spec.model,
            model_hash=weights or lm.hash,
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
            lambada=found.lambada,
            requests=found.requests,
            judge=judge.name if judge else "",
            judge_hash=judge.hash if judge else "",
            fluency=spec.fluency,
            fluency_hash=natural.hash if natural else "",
            request_tokens=spec.request_tokens if requests else 0,
            contents=_read(ws, spec),
            failed_generations=found.failed,
            warnings=tuple(found.warnings),
            seconds=found.seconds,
            versions=versions(),
        ),
        found,
    )
