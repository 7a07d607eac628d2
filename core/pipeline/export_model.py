"""A repaired model as a folder any program opens: weights, tokenizer, and a card that tells all of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.errors import BadInput, MissingInput, UnknownName
from core.lm.decoders.files import DECODER, read_decoder, side_folder
from core.pipeline.choose import load_selection
from core.pipeline.runs import Run, find_run
from core.pipeline.trade_off import number
from core.repair.results import decoded_hash
from core.values import Evaluation, Frozen, Reporter, Silent
from core.workspace import Workspace, atomic_folder, read_json, write_bytes, write_json

FACTS = "winnow.json"
CARD = "README.md"


class Exported(Frozen):
    """Where the model lies, and how much it is."""

    folder: str
    weights: str  # hash of the exported weights, equal to the run's
    bytes: int


def export_run(ws: Workspace, run_id: str, out: Path, reporter: Reporter | None = None) -> Exported:
    """Write OUT: safetensors, configuration, tokenizer, model card, and winnow.json with every fact.

    OUT must be new or an empty folder; it appears whole or not at all. Raises MissingInput for a run that
    kept no model.
    """
    run = find_run(ws, run_id)
    if run is None:
        raise UnknownName(f"there is no run {run_id!r} in {ws.root}; `run list` shows them")
    if not (run.folder / "model").is_dir():
        raise MissingInput(
            f"run {run_id} has no model (it kept none, or it was deleted since); run the same spec again "
            "with keep_model 'changed', then export"
        )
    out = out.expanduser().resolve()
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise BadInput(f"{out} is there already and not empty; name a new folder, nothing was written")
    reporter = reporter or Silent()
    reporter.progress(0, 1, "exporting the model")
    base = read_base(ws, run)
    with atomic_folder(out) as part:
        weights = _write(run.folder / "model", part)
        if weights != run.manifest.result["weights"]:
            raise BadInput(
                f"the model of run {run_id} is not the one it measured (weights {weights}, measured "
                f"{run.manifest.result['weights']}); its folder was changed, repair again"
            )
        recipe = load_selection(ws, run.manifest.selection).recipe
        write_json(
            part / FACTS,
            {"run": run.manifest, "recipe": recipe, "evaluation": run.evaluation, "before": base},
        )
        write_bytes(part / CARD, card(run, base, weights).encode())
    reporter.progress(1, 1, "exporting the model")
    return Exported(
        folder=str(out),
        weights=weights,
        bytes=sum(p.stat().st_size for p in out.rglob("*") if p.is_file()),
    )


def read_base(ws: Workspace, run: Run) -> Evaluation | None:
    """What the untouched model was measured to do, or None."""
    from core.pipeline.evaluations import read_evaluation

    return read_evaluation(ws, run.manifest.base_evaluation) if run.manifest.base_evaluation else None


def _write(model: Path, out: Path) -> str:
    """The model and the side models of its decoder, each as a full save; their hash as a run has it."""
    from core.lm.load import load_model, quiet
    from core.training.checkpoints import snapshot, weights_hash, weights_of

    lm = load_model(str(model))
    with quiet():
        lm.model.save_pretrained(out)
    lm.tokenizer.save_pretrained(out)
    own = weights_hash(snapshot(weights_of(load_model(str(out)).model)))
    said = read_decoder(model)
    if said is None:
        return own
    sides = [_write(side_folder(model, name), out / name) for name in said.sides]
    shutil.copyfile(model / DECODER, out / DECODER)
    return decoded_hash(read_json(model / DECODER), [own, *sides])


def card(run: Run, base: Evaluation | None, weights: str) -> str:
    """The model card in markdown: what it is, what it learned from, what was measured, what to mind."""
    m = run.manifest
    lines = [
        "---",
        "library_name: transformers",
        f"tags: [winnow, repair, {m.spec.method}]",
        "---",
        "",
        f"# {_plain(run.label)}",
        "",
        f"A language model repaired by `{m.spec.method}` with {m.budget:,} of {m.eligible:,} eligible rows "
        f"of the pool `{_plain(m.pool)}`, chosen by `{m.strategy}`; seed {m.spec.seed}.",
        "",
        "| fact | value |",
        "|---|---|",
        f"| base model | {_plain(m.model)} (hash `{m.model_hash}`) |",
        f"| weights | hash `{weights}` |",
        f"| pool | fingerprint `{m.pool_fingerprint}` |",
        f"| selection | `{m.selection}` |",
        f"| run | `{m.id}`, {m.created}, {m.device} |",
        f"| training | {m.result['steps']} steps, best at {m.result['best_step']}, "
        f"{m.result['seconds']:.1f} s |",
        "",
        *_measures(run.evaluation, base),
        "",
        "Numbers of other scorers or protocols do not compare with these. `winnow.json` holds the recipe, "
        "all settings and versions.",
    ]
    return "\n".join(lines) + "\n"


def _measures(found: Evaluation | None, base: Evaluation | None) -> list[str]:
    if found is None:
        return ["It was not measured."]
    p = found.protocol
    head = [
        f"Measured on held-out rows of `{_plain(found.pool)}` by the scorer `{_plain(found.scorer)}` "
        f"(hash `{found.scorer_hash}`), protocol {p.name}: {p.samples} continuations of {p.new_tokens} "
        "tokens. Brackets are 95 % intervals over prompts or documents; n = 1 seed.",
        "",
        "| metric | base model | repaired | n | unit |",
        "|---|---|---|---|---|",
    ]
    return head + [
        f"| {name} | {number(base.metrics.get(name)) if base else 'n/a'} | {number(m)} | {m.n:,} | {m.unit} |"
        for name, m in found.metrics.items()
    ]


def _plain(text: str) -> str:
    """Names come from people: nothing of them may become markup."""
    return "".join(c for c in text if c.isalnum() or c in " -_.,:/%()").strip()
