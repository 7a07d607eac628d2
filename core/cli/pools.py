"""`pool import`, `pool failures` and `pool list`."""

from __future__ import annotations

from typing import Annotated

import typer

from core import pipeline
from core.cli.options import JsonOption, WorkspaceOption, pairs, protocol_of, show
from core.cli.terminal import Terminal
from core.errors import BadInput
from core.evaluation import PROTOCOLS
from core.pool import FIELDS, Built, build_pool, guess_mapping, read_table, save_pool
from core.pool import Mapping as ColumnMapping
from core.values import FLAGS, EvaluationSpec
from core.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="Import and list candidate pools.")


@app.command("import")
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
        typer.Option(
            "--map",
            help="FIELD=COLUMN, e.g. prompt=question; fields not given are guessed. "
            f"Fields: {', '.join(FIELDS)}.",
        ),
    ] = None,
    rules: Annotated[
        list[str] | None,
        typer.Option(
            "--value",
            help="FLAG:PATTERN=yes or FLAG@COLUMN:PATTERN=yes (also =no), e.g. refusal:2_full_refusal=yes; "
            f"the pattern may hold * and ?. Flags: {', '.join(FLAGS)}.",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Shares of train, validation and test, by group; they sum to 1.")
    ] = "0.8,0.1,0.1",
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    dataset_split: Annotated[
        str | None, typer.Option(help="Split of a Hugging Face data set, e.g. train.")
    ] = None,
    dataset_config: Annotated[
        str | None, typer.Option(help="Configuration of a Hugging Face data set, where it has several.")
    ] = None,
    collapse: Annotated[bool, typer.Option(help="Keep one of each set of exactly equal rows.")] = False,
    replace: Annotated[bool, typer.Option(help="Replace a pool of that name that holds other rows.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read a table of examples, list what cannot be used, and store the rest as a pool."""
    ws = Workspace.open(workspace)
    raw = read_table(source, split=dataset_split, config=dataset_config)
    guess = guess_mapping(raw)
    mapping = ColumnMapping(
        columns=guess.columns | pairs(columns or [], "--map"), rules=(*guess.rules, *(rules or []))
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
    show(result, as_json, _import_text(name, built, mapping))


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


@app.command("failures")
def pool_failures(
    pool: Annotated[
        str, typer.Option(help="Pool whose validation prompts are continued (test is not read).")
    ],
    model: Annotated[str, typer.Option(help="demo, run:ID, a name, a folder or a hub id.")],
    name: Annotated[str, typer.Option(help="Name of the new pool.")],
    scorer: Annotated[str, typer.Option(help="Toxicity scorer (default: the pool's).")] = "",
    protocol: Annotated[
        str, typer.Option(help=f"How toxicity is measured: {', '.join(PROTOCOLS)}.")
    ] = "quick",
    prompts: Annotated[int | None, typer.Option(help="Prompts at most (default: the protocol's).")] = None,
    samples: Annotated[
        int | None, typer.Option(help="Continuations per prompt (default: the protocol's).")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Score from which a continuation is a failure (default: 0.5).")
    ] = None,
    replace: Annotated[bool, typer.Option(help="Replace a pool of that name that holds other rows.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a model's toxic continuations of validation prompts as a pool.

    It is what --reference of `select` names for strategies that look for rows like observed failures: its
    rows are blocked, nothing trains toward them.
    """
    numbers = {"prompts": prompts, "samples": samples, "threshold": threshold}
    asked = {"pool": pool, "model": model, "scorer": scorer, "protocol": protocol_of(protocol, numbers)}
    spec = pipeline.parse(EvaluationSpec, asked, "the evaluation", see="--help")
    ws = Workspace.open(workspace)
    built = pipeline.failures_pool(ws, spec, name, replace=replace, reporter=Terminal())
    facts = {"pool": name, "fingerprint": built.pool.fingerprint, "rows": len(built.pool)}
    text = f"pool {name}: {len(built.pool):,} toxic continuations of {built.counts['groups']:,} prompts"
    source = str(built.pool.frame["source"].iloc[0])
    show(facts | {"source": source, "counts": built.counts}, as_json, f"{text}\n  {source}")


@app.command("list")
def pool_list(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the pools of the workspace and the shipped demo pools."""
    found = pipeline.pools(Workspace.open(workspace))
    lines = [f"{p.name:<24} {p.rows:>8,} rows  {p.fingerprint[:12]}  {p.origin}" for p in found]
    show(
        found,
        as_json,
        "\n".join(lines) or "no pools yet; import one with: python -m core pool import FILE --name N",
    )
