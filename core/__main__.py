"""The command line: everything the pages do, without a browser. `python -m core --help` lists it."""

from __future__ import annotations

import json
import os
import signal as signals
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before anything can load torch
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import typer

from core import pipeline
from core.errors import BadInput, Stopped, WinnowError
from core.evaluation import PROTOCOLS
from core.pool import Built, build_pool, guess_mapping, read_table, save_pool
from core.pool import Mapping as ColumnMapping
from core.values import (
    Budget,
    Evaluation,
    EvaluationSpec,
    Recipe,
    RepairSpec,
    Selection,
)
from core.workspace import Workspace, plain, write_json

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
pool_app = typer.Typer(no_args_is_help=True, help="Import and list candidate pools.")
run_app = typer.Typer(no_args_is_help=True, help="List repairs and read the trade-off table.")
demo_app = typer.Typer(
    no_args_is_help=True, help="The embedded demo: build its artefacts, run its 12 repairs."
)
app.add_typer(pool_app, name="pool")
app.add_typer(run_app, name="run")
app.add_typer(demo_app, name="demo")

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        help="Folder for everything Winnow stores (default: WINNOW_WORKSPACE, else ./workspace).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as json, for machines.")]
ExampleOption = Annotated[
    bool, typer.Option("--print-example", help="Print an example of the json input and stop.", is_eager=True)
]
SETTING = "NAME=VALUE; VALUE is read as json if it can be, else as text"


class Terminal:
    """A Reporter for people: one line on stderr, how far and how long still. Ctrl-C stops cleanly."""

    def __init__(self) -> None:
        self._what, self._started, self._shown, self._stop = "", 0.0, 0.0, False
        signals.signal(signals.SIGINT, self._interrupt)

    def _interrupt(self, *_: object) -> None:
        if self._stop:  # asked twice: leave at once
            raise KeyboardInterrupt
        self._stop = True
        typer.echo("\nstopping after this step; press Ctrl-C again to leave at once", err=True)

    def progress(self, done: int, total: int, what: str) -> None:
        """Redraw the line at most five times a second."""
        if self._stop:
            raise Stopped("stopped as asked; what was finished before is kept")
        now = time.monotonic()
        if what != self._what:
            self._what, self._started = what, now
        elif done < total and now - self._shown < 0.2:  # noqa: PLR2004 - seconds
            return
        self._shown = now
        left = (now - self._started) / done * (total - done) if done else None
        remaining = "" if left is None else f", {left:.0f} s left"
        end = "\n" if done >= total else "\r"
        line = f"{what}: {done:,} of {total:,}{remaining}" if total else what
        if sys.stderr.isatty() or done >= total:
            sys.stderr.write(f"{line:<78}{end}")
            sys.stderr.flush()

    def record(self, row: Mapping[str, Any]) -> None:
        """Measurements go to the run's own file."""

    def stopping(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._stop


def _show(value: Any, as_json: bool, text: str) -> None:
    typer.echo(json.dumps(plain(value), ensure_ascii=False) if as_json else text)


def _pairs(given: list[str], option: str) -> dict[str, str]:
    pairs = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise BadInput(f"{option} {item!r} cannot be read; write it as NAME=VALUE")
        pairs[name] = value
    return pairs


def _settings(given: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in _pairs(given, "--set").items():
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def _read_input(path: Path) -> dict[str, Any]:
    if str(path) == "-":
        text = sys.stdin.read()
        try:
            value = json.loads(text)
        except ValueError as error:
            raise BadInput(f"standard input is no json ({error}); see --print-example") from error
    elif not path.is_file():
        raise BadInput(
            f"there is no file {path}; give a json file, '-' for standard input, or see --print-example"
        )
    else:
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise BadInput(f"{path} is no json ({error}); see --print-example") from error
    if not isinstance(value, dict):
        raise BadInput("the json input must be an object {...}; see --print-example")
    return value


def _example(value: Any) -> NoReturn:
    typer.echo(json.dumps(plain(value), indent=1))
    raise typer.Exit


@pool_app.command("import")
def pool_import(
    source: Annotated[
        str,
        typer.Argument(
            help="csv, jsonl, jsonl.gz or parquet file, or a Hugging Face data set's name or folder."
        ),
    ],
    name: Annotated[str, typer.Option(help="Name of the pool in the workspace.")],
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", help="FIELD=COLUMN, e.g. prompt=question; fields not given are guessed."),
    ] = None,
    rules: Annotated[
        list[str] | None,
        typer.Option(
            "--value",
            help="FLAG:VALUE=yes or FLAG@COLUMN:PATTERN=yes (also =no), e.g. refusal:2_full_refusal=yes.",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Shares of train, validation and test, by group.")
    ] = "0.8,0.1,0.1",
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    dataset_split: Annotated[
        str | None, typer.Option(help="Split of a Hugging Face data set, e.g. train.")
    ] = None,
    collapse: Annotated[bool, typer.Option(help="Keep one of each set of exactly equal rows.")] = False,
    replace: Annotated[bool, typer.Option(help="Replace a pool of that name that holds other rows.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read a table of examples, list what cannot be used, and store the rest as a pool."""
    ws = Workspace.open(workspace)
    raw = read_table(source, split=dataset_split)
    guess = guess_mapping(raw)
    mapping = ColumnMapping(
        columns=guess.columns | _pairs(columns or [], "--map"), rules=(*guess.rules, *(rules or []))
    )
    built = build_pool(
        raw, mapping, name=name, split_seed=seed, fractions=_fractions(split), collapse_duplicates=collapse
    )
    save_pool(ws, built, mapping, origin=str(source), replace=replace)
    result = {
        "pool": name,
        "fingerprint": built.pool.fingerprint,
        "rows": len(built.pool),
        "counts": built.counts,
    }
    result |= {
        "mapping": mapping.columns,
        "bad_rows": [b.model_dump() for b in built.bad],
        "notes": built.notes,
    }
    _show(result, as_json, _import_text(name, built, mapping))


def _import_text(name: str, built: Built, mapping: ColumnMapping) -> str:
    lines = [f"pool {name}: {len(built.pool):,} rows, fingerprint {built.pool.fingerprint[:16]}"]
    lines += [f"  {field} <- {column}" for field, column in mapping.columns.items()]
    lines += [f"  {what}: {count:,}" for what, count in built.counts.items()]
    lines += [f"  note: {note}" for note in built.notes]
    lines += [f"  bad row, line {bad.line}: {bad.reason}" for bad in built.bad[:10]]
    if len(built.bad) > 10:  # noqa: PLR2004 - enough to see the pattern; all are in bad_rows.jsonl
        lines.append(f"  ... and {len(built.bad) - 10:,} more bad rows, all in bad_rows.jsonl of the pool")
    return "\n".join(lines)


def _fractions(text: str) -> tuple[float, float, float]:
    try:
        train, validation, test = (float(part) for part in text.split(","))
    except ValueError as error:
        raise BadInput(f"--split {text!r} cannot be read; write three shares such as 0.8,0.1,0.1") from error
    return train, validation, test


@pool_app.command("list")
def pool_list(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the pools of the workspace and the shipped demo pools."""
    found = pipeline.pools(Workspace.open(workspace))
    lines = [f"{p.name:<24} {p.rows:>8,} rows  {p.fingerprint[:12]}  {p.origin}" for p in found]
    _show(
        found,
        as_json,
        "\n".join(lines) or "no pools yet; import one with: python -m core pool import FILE --name N",
    )


@app.command("signal")
def signal_command(
    method: Annotated[
        str,
        typer.Argument(
            help="STAGE:METHOD, e.g. embedding:minilm, projection:umap, clustering:hdbscan, scoring:toxicity."
        ),
    ],
    pool: Annotated[str, typer.Option(help="Name of the pool.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help=SETTING)] = None,
    model: Annotated[
        str, typer.Option(help="Model for model-based scores: demo, a name, a folder or a hub id.")
    ] = "",
    scorer: Annotated[
        str,
        typer.Option(help="Toxicity scorer: demo, a name, a folder, or unbiased, original, multilingual."),
    ] = "",
    reference: Annotated[
        list[str] | None, typer.Option(help="Reference pool, for methods that compare with one.")
    ] = None,
    encoder: Annotated[str, typer.Option(help="Encoder that gives the vectors.")] = "minilm",
    template: Annotated[
        str, typer.Option(help="Text to embed: prompt+response, prompt, response or difference.")
    ] = "prompt+response",
    space: Annotated[str, typer.Option(help="Space that clustering reads: embedding, pca50 or umap10.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of projection and clustering.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute something known per example and store it; asking again costs nothing."""
    ws = Workspace.open(workspace)
    stage, colon, name = method.partition(":")
    if not colon:
        raise BadInput(f"{method!r} names no signal; write STAGE:METHOD, e.g. embedding:minilm")
    request = pipeline.SignalRequest(
        stage=stage,
        method=name,
        pool=pool,
        params=_settings(settings or []),
        model=model,
        scorer=scorer,
        references=tuple(reference or ()),
        encoder=name if stage == "embedding" else encoder,
        encoder_params=_settings(settings or []) if stage == "embedding" else {},
        template=template,
        space=space,
        seed=seed,
        device=device,
    )
    made = pipeline.make_signal(ws, request, Terminal())
    facts = {k: v for k, v in made.facts.items() if k not in ("keywords", "words")}
    text = [f"{made.facts['words']}: {made.key.digest} in {made.folder}"]
    text.append(
        f"  {made.manifest['seconds']:.1f} s, peak memory "
        f"{made.manifest['peak_bytes'] / 2**20:,.0f} MiB, {facts}"
    )
    _show(
        {"digest": made.key.digest, "folder": made.folder, "manifest": made.manifest},
        as_json,
        "\n".join(text),
    )


@app.command("select")
def select_command(
    recipe: Annotated[
        str, typer.Argument(help="Recipe: a json file, '-' for standard input, or a strategy's name.")
    ] = "",
    pool: Annotated[str, typer.Option(help="Name of the pool (replaces the recipe's).")] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Write the chosen rows to this .jsonl, .csv or .parquet file, in plain text."),
    ] = None,
    print_example: ExampleOption = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose rows by a recipe; missing signals are computed first."""
    if print_example:
        _example(Recipe(pool="demo", strategy="saps", params={"rho": 0.5}, budget=Budget(percent=10.0)))
    if not recipe:
        raise BadInput(
            "give a recipe: a json file, '-' for standard input, or a strategy's name (see --print-example)"
        )
    ws = Workspace.open(workspace)
    named = not Path(recipe).is_file() and recipe != "-" and not recipe.endswith(".json")
    spec: dict[str, Any] = {"strategy": recipe} if named else _read_input(Path(recipe))
    chosen = pipeline.choose(
        ws,
        pipeline.parse(Recipe, spec | ({"pool": pool} if pool else {}), "the recipe"),
        make=True,
        reporter=Terminal(),
    )
    pipeline.save_selection(ws, chosen)
    if out is not None:
        pipeline.export_selection(ws, chosen, out)
    _show(chosen, as_json, _selection_text(chosen, out))


def _selection_text(chosen: Selection, out: Path | None) -> str:
    lines = [
        f"selection {chosen.key}: {len(chosen.ids):,} of {chosen.eligible:,} eligible rows "
        f"({chosen.seconds:.2f} s)"
    ]
    lines += [f"  left out: {count:,} rows, {reason}" for reason, count in chosen.left_out.items()]
    lines += [f"  shortfall: {chosen.shortfall:,} rows"] if chosen.shortfall else []
    lines += [f"  warning: {w}" for w in chosen.warnings]
    lines += [f"  written in plain text (not masked) to {out}"] if out else []
    return "\n".join(lines)


@app.command("repair")
def repair_command(
    spec: Annotated[
        Path | None, typer.Argument(help="Repair spec: a json file, or '-' for standard input.")
    ] = None,
    print_example: ExampleOption = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Repair one model with one selection by one method and seed, then measure it."""
    if print_example:
        _example(
            RepairSpec(
                selection=Recipe(pool="demo", strategy="uniform", budget=Budget(percent=10.0)),
                method="dpo",
                params={"lr": 3e-5, "steps": 50, "batch_size": 8},
                model="demo",
                evaluation=EvaluationSpec(pool="demo-prompts", texts=("demo-normal",)),
            )
        )
    if spec is None:
        raise BadInput("give a repair spec: a json file, or '-' for standard input (see --print-example)")
    ws = Workspace.open(workspace)
    run = pipeline.run_repair(
        ws, pipeline.parse(RepairSpec, _read_input(spec), "the repair spec"), Terminal()
    )
    text = f"run {run.id}: {run.label}\n  {run.folder}"
    if run.evaluation is not None:
        text += "\n" + evaluation_text(run.evaluation)
    _show(run.manifest.model_dump(mode="json") | {"evaluation": plain(run.evaluation)}, as_json, text)


@app.command("evaluate")
def evaluate_command(
    model: Annotated[str, typer.Option(help="demo, run:ID, a name, a folder or a hub id.")],
    pool: Annotated[str, typer.Option(help="Pool whose held-out (test) prompts are continued.")],
    protocol: Annotated[
        str, typer.Option(help=f"How toxicity is measured: {', '.join(PROTOCOLS)}.")
    ] = "quick",
    out: Annotated[Path | None, typer.Option(help="Write the evaluation to this json file.")] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(help="Pool whose held-out text gives perplexity; the first is the main one."),
    ] = None,
    scorer: Annotated[str, typer.Option(help="Toxicity scorer (default: the pool's).")] = "",
    prompts: Annotated[int | None, typer.Option(help="Prompts at most (default: the protocol's).")] = None,
    samples: Annotated[
        int | None, typer.Option(help="Continuations per prompt (default: the protocol's).")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model: toxicity of its continuations, and perplexity on held-out text."""
    if protocol not in PROTOCOLS:
        raise BadInput(f"there is no protocol {protocol!r}; known: {', '.join(PROTOCOLS)}")
    given = {k: v for k, v in {"prompts": prompts, "samples": samples}.items() if v is not None}
    spec = EvaluationSpec(
        model=model,
        pool=pool,
        protocol=PROTOCOLS[protocol].model_copy(update=given),
        scorer=scorer,
        texts=tuple(text or ()),
    )
    found = pipeline.run_evaluation(Workspace.open(workspace), spec, Terminal())
    if out is not None:
        write_json(out, found)
    _show(found, as_json, evaluation_text(found))


def evaluation_text(found: Evaluation) -> str:
    """The evaluation as lines of text: every number with its interval, n and unit."""
    p = found.protocol
    lines = [f"{found.model} on {found.pool}: protocol {p.name}, k = {p.samples}, scorer {found.scorer}"]
    lines += [
        f"  {name:<22} {pipeline.number(m)}  (n = {m.n:,}{' ' + m.unit if m.unit else ''})"
        for name, m in found.metrics.items()
    ]
    for text, measures in found.texts.items():
        lines += [
            f"  {text + ' ' + name:<42} {pipeline.number(m)}  (n = {m.n:,})" for name, m in measures.items()
        ]
    lines += (
        [f"  failed generations, left out: {found.failed_generations:,}"] if found.failed_generations else []
    )
    return "\n".join(lines + [f"  warning: {w}" for w in found.warnings])


@run_app.command("list")
def run_list(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List finished repairs, newest first."""
    found = pipeline.runs(Workspace.open(workspace))
    lines = [f"{r.id}  {r.manifest.created}  {r.label}" for r in found]
    _show(
        [r.manifest for r in found],
        as_json,
        "\n".join(lines) or "no repairs yet; start one with: python -m core repair SPEC",
    )


@run_app.command("table")
def run_table(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Print the trade-off: base and repaired models, only comparable ones in one table."""
    ws = Workspace.open(workspace)
    groups = pipeline.trade_off(ws)
    _show(
        [{"label": g.label, "base": g.base, "runs": {r.label: r.evaluation for r in g.runs}} for g in groups],
        as_json,
        "\n\n".join(pipeline.trade_off_text(ws, g) for g in groups) or "no evaluated repairs yet",
    )


@demo_app.command("build")
def demo_build(
    out: Annotated[Path | None, typer.Option(help="Folder to build into (default: assets/demo).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of grammar, models and splits.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Make the demo's pool, language model, scorer and signals again from a seed (minutes of CPU)."""
    from core.demo.build import build
    from core.workspace.store import SHIPPED

    facts = build(out or SHIPPED, seed=seed, reporter=Terminal())
    _show(facts, as_json, json.dumps(plain(facts), indent=1))


@demo_app.command("run")
def demo_run(
    full: Annotated[bool, typer.Option("--full", help="Also repair with all eligible rows.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Select, repair and evaluate on the demo pool: 12 runs, two at a time; prints the table."""
    from core.demo.run import run

    result = run(Workspace.open(workspace), full=full, reporter=Terminal())
    _show(result.rows, as_json, result.text)


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    try:
        app()
    except WinnowError as error:
        typer.echo(f"winnow: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
