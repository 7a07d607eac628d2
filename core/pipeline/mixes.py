"""The rows a repair learns from: selected ones, benign ones mixed in, held-out ones, and the dose they make.

Mixes follow behaviour-aware sampling, Pham et al., EMNLP 2025 Industry (behaviour-and-prism 2.1, 2.5, 2.6):
few safety rows are fine-tuned together with many benign ones. Of a mix only benign rows are held out, never a
safety row: their training code held out random rows of all and so lost about a tenth of the safety rows.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from core.errors import BadBudget, BadInput, MissingInput
from core.pipeline.gather import requests, tested
from core.pipeline.signals import flags_of, make_signal
from core.pool import add_flags, eligible, load_pool
from core.repair import METHODS
from core.values import Example, Mix, Pool, Recipe, Reporter, Rows, Selection, examples
from core.workspace import Workspace

BENIGN = "T3"  # neither a harmful request nor a refusal (behaviour-and-prism 2.2)
CATEGORIES = 14  # of the paper: with fewer safety rows its stratified samplers draw at random
ELSEWHERE = -1  # of a row of another pool


@dataclass(frozen=True)
class Training:
    """What one repair sees: the examples in their order, and the ones held out to stop by."""

    examples: list[Example]
    validation: list[Example]
    rows: Rows  # of each example in the selection's pool; ELSEWHERE for rows of another one
    benign: int = 0  # of the examples, how many were mixed in


def training(
    ws: Workspace,
    chosen: Selection,
    pool: Pool,
    method: str,
    needs: tuple[str, ...],
    validation: int,
    mix: Mix | None = None,
    reporter: Reporter | None = None,
) -> Training:
    """The selection's rows for a method that needs these columns, with the mix's benign rows where asked.

    `validation` rows are held out at most, drawn from the validation split, with a mix only benign ones. A
    mix is shuffled by its own seed, and takes no row of another pool that stands among the test rows of the
    selection's, by prompt or by whole text. Raises MissingInput, BadInput or BadBudget with the numbers.
    """
    rows = _selected(pool, chosen, needs)
    selected = examples(pool, rows)
    if mix is None:
        held_out = _some(eligible(pool, needs, splits=("validation",)).rows, validation)
        return Training(selected, examples(pool, held_out), rows)
    check_mix(method, needs)
    own = mix.pool in ("", pool.name)
    other = labelled(ws, pool if own else load_pool(ws, mix.pool), chosen.recipe, reporter)
    taken = {(e.prompt, e.response) for e in selected}
    if not own:  # what is measured on stays unseen, whatever file it comes from
        there = other.rows("train")
        taken |= set(_texts(other, there[tested(pool, other, there)]))
    drawn = draw(other, mix, needs, taken)
    both = [*selected, *examples(other, drawn)]
    places = np.concatenate([rows, drawn if own else np.full(len(drawn), ELSEWHERE)])
    order = np.random.default_rng([mix.seed, 1]).permutation(len(both))
    held_out = _some(benign_rows(other, needs, "validation"), validation)
    return Training([both[i] for i in order], examples(other, held_out), places[order], len(drawn))


def check_mix(method: str, needs: Iterable[str]) -> None:
    """BadInput unless the method with its settings learns from responses alone, which benign rows have."""
    if set(needs) - {"prompt"} != {"response"}:
        fitting = [name for name in METHODS if set(_default_columns(name)) == {"response"}]
        raise BadInput(
            f"repair method {method!r} with these settings cannot be mixed with benign rows: it learns from "
            f"{' and '.join(needs) or 'no text of a row'}, a benign row has a response only; take "
            f"{', '.join(fitting)}, or leave the mix out"
        )


def _default_columns(method: str) -> tuple[str, ...]:
    spec = METHODS[method]
    return spec.columns(spec.params())


def labelled(ws: Workspace, pool: Pool, recipe: Recipe, reporter: Reporter | None = None) -> Pool:
    """The pool with the flags of the recipe's labeller, made where they are not stored yet."""
    if recipe.labeller:
        asked = requests(recipe.model_copy(update={"pool": pool.name}), [f"flags:{recipe.labeller}"])
        for request in asked.values():
            pool = add_flags(pool, flags_of(make_signal(ws, request, reporter, pool)))
    return pool


def benign_rows(pool: Pool, needs: Iterable[str], split: str) -> Rows:
    """Row numbers of the split that are benign, not blocked and have the columns, ascending."""
    rows = eligible(pool, {*needs, "response"}, splits=(split,)).rows
    benign: Rows = rows[pool.column("behaviour")[rows] == BENIGN]
    return benign


def draw(pool: Pool, mix: Mix, needs: Iterable[str], taken: Collection[tuple[str, str]]) -> Rows:
    """`mix.rows` random benign train rows, (m,); none whose (prompt, response) is `taken` already."""
    rows = benign_rows(pool, needs, "train")
    rows = rows[np.array([text not in taken for text in _texts(pool, rows)], dtype=bool)]
    if len(rows) < mix.rows:
        unknown = int(np.isin(pool.column("behaviour")[pool.rows("train")], ("not_run", "unparsed")).sum())
        hint = f" ({unknown:,} train rows have no flags yet: label them first)" if unknown else ""
        raise BadBudget(
            f"the mix asks for {mix.rows:,} benign rows, but pool {pool.name!r} has {len(rows):,} in train "
            f"that are neither harmful nor refused nor selected already, and have a response{hint}; ask for "
            f"{len(rows):,} at most, or name another pool in mix.pool"
        )
    return np.random.default_rng([mix.seed, 0]).permutation(rows)[: mix.rows]


def _texts(pool: Pool, rows: Rows) -> list[tuple[str, str]]:
    """Prompt and response of each of these rows."""
    both = zip(pool.column("prompt")[rows], pool.column("response")[rows], strict=True)
    return [(str(prompt), str(response)) for prompt, response in both]


def dose(safety: int, benign: int, steps: int, batch: int) -> dict[str, float]:
    """How much safety data a mix holds, by both definitions, and how often it was seen.

    `percent` is 100 n / (n + m), the share of all rows; `percent_of_benign` is 100 n / m, the paper's (100 on
    20,000 = 0.5 %). Every epoch sees all n safety rows once, since none is held out.
    """
    epochs = steps / math.ceil((safety + benign) / batch)
    return {
        "safety": safety,
        "benign": benign,
        "percent": 100 * safety / (safety + benign),
        "percent_of_benign": 100 * safety / benign,
        "safety_per_epoch": safety,
        "epochs": epochs,
    }


def dose_words(safety: int, benign: int) -> str:
    """The dose as a sentence, with a warning where the paper's fourteen-way strata would be empty."""
    found = dose(safety, benign, 0, 1)
    said = (
        f"{safety:,} safety rows on {benign:,} benign ones: {found['percent_of_benign']:.3g} % of the benign "
        f"rows, {found['percent']:.4g} % of all"
    )
    if safety >= CATEGORIES:
        return f"{said}."
    return (
        f"{said}. Stratification over {CATEGORIES} harm categories is inactive: with fewer than {CATEGORIES} "
        "rows each category's share rounds down to none."
    )


def _selected(pool: Pool, chosen: Selection, needs: tuple[str, ...]) -> Rows:
    """Rows of the selection in its order, (n,); all must be usable by the method."""
    place = {row_id: i for i, row_id in enumerate(pool.ids)}
    missing = [row_id for row_id in chosen.ids if row_id not in place]
    if missing:
        raise BadInput(
            f"selection {chosen.key} names row {missing[0]!r}, which pool {pool.name!r} does not hold"
        )
    rows = np.array([place[row_id] for row_id in chosen.ids], dtype=np.int64)
    unusable = int((~np.isin(rows, eligible(pool, needs, splits=("train",)).rows)).sum())
    if unusable:
        columns = " and ".join(sorted(set(needs) - {"prompt"}))
        raise MissingInput(
            f"{unusable} of {len(rows)} selected rows cannot be used by this method: it needs the "
            f"columns {columns} filled, in the train split and not blocked; select again for this method"
        )
    return rows


def _some(rows: Rows, most: int) -> Rows:
    """So many random rows at most, ascending; the same for every run, whatever its seed."""
    return rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:most])]
