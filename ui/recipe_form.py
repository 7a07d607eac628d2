"""The form of a recipe: strategy, budget, settings, filters and where signals come from; and setting it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from core import pipeline
from core.embedding import ENCODERS
from core.errors import MissingInput
from core.labelling import LABELLERS
from core.repair import METHODS
from core.selection import STRATEGIES, StrategySpec
from core.values import BEHAVIOURS, FLAGS, TEMPLATES, Asked, Pool, Recipe, SemDedup, settings
from core.workspace import Workspace
from ui import budget_form, marks, params_form, state
from ui.guards import plain

FIRST = ("uniform", "blend")  # the first needs no signal, so the page shows something at once
IN_SIGHT = 6  # settings of a strategy before the expander
DEDUP = "selection.dedup"
CLUSTERS = ("kmeans", "hdbscan")
KINDS = ("no signal", "reference", "labels", "scores", "text and scores", "text")  # order of the chooser


def draw(ws: Workspace, pool: Pool) -> Recipe:
    """Everything that decides the selection; the form of a strategy is drawn from its settings."""
    strategy = _strategy()
    spec = STRATEGIES[strategy]
    method = _method(pool)
    found = pipeline.eligibility(pool, method)
    if not len(found.rows):
        raise _nothing(pool, method)
    budget = budget_form.draw(ws, pool, found.rows)
    params = _settings(ws, pool, strategy, spec)
    needs = spec.needs(params)
    labeller = _labeller(pool) if "column:behaviour" in needs else ""
    reference = _reference(ws, pool) if any(n.startswith("reference:") for n in needs) else ""
    dedup = _dedup()
    marks.box(pool)
    ids = pool.frame["id"].iloc[found.rows].astype(str)
    pins, bans = marks.effective(pool, set(ids), METHODS[method].title)
    with st.expander("Seed and sources", icon=":material/hub:", key="selection.more"):
        seed = _seed()
        sources = _sources(ws, pool)
    return Recipe(
        pool=pool.name,
        strategy=strategy,
        params=params.model_dump(mode="json"),
        budget=budget,
        seed=seed,
        method=method,
        pins=pins,
        bans=bans,
        dedup=dedup,
        reference=reference,
        labeller=labeller,
        **sources,
    )


def fill(recipe: Recipe) -> None:
    """Set the form's widgets to the recipe; for callbacks, which run before they are drawn.

    Raises UnknownName or BadInput where this version cannot read the recipe.
    """
    spec = STRATEGIES[recipe.strategy]
    params = settings(spec.params, recipe.params, f"strategy {recipe.strategy!r}")
    values: dict[str, Any] = {"strategy": recipe.strategy, "selection.method": recipe.method}
    for name in ("seed", "labeller", "reference", "encoder", "template", "model", "scorer"):
        values[f"selection.{name}"] = getattr(recipe, name)
    values[DEDUP] = recipe.dedup is not None
    for key, value in values.items():
        st.session_state[key] = value
    budget_form.fill(recipe.budget)
    params_form.fill(spec.params, f"strategy.{recipe.strategy}", params.model_dump())
    if recipe.dedup is not None:
        params_form.fill(SemDedup, DEDUP, recipe.dedup.model_dump())


def suit(pool: Pool) -> None:
    """After another pool was tuned: a method that this one has rows for, and no more rows than that."""
    method = st.session_state.get("selection.method")
    if method is None:
        return
    if not len(pipeline.eligibility(pool, method).rows):
        method = st.session_state["selection.method"] = list(METHODS)[_first_method(pool)]
    budget_form.suit(len(pipeline.eligibility(pool, method).rows))


def order() -> list[str]:
    """Strategies as the chooser lists them: the first ones, then by what they look at, then by title."""

    def place(name: str) -> tuple[int, int, str]:
        first = FIRST.index(name) if name in FIRST else len(FIRST)
        return first, KINDS.index(looks_at(STRATEGIES[name])), STRATEGIES[name].title

    return sorted(STRATEGIES, key=place)


def looks_at(spec: StrategySpec) -> str:
    """What the strategy decides by, read from its needs."""
    kinds = {need.partition(":")[0] for need in spec.needs(spec.params())}
    if not kinds:
        return "no signal"
    if "reference" in kinds:
        return "reference"
    if "column" in kinds:
        return "labels"
    if "score" not in kinds:
        return "text"
    return "text and scores" if kinds & {"vectors", "cluster"} else "scores"


def what_for(spec: StrategySpec) -> str:
    """One line on what the strategy does: the sentence its file begins with, without the title."""
    sentence = (sys.modules[spec.pick.__module__].__doc__ or "").strip().partition("\n\n")[0]
    sentence = " ".join(sentence.replace("`", "").split())
    title, colon, rest = sentence.partition(": ")
    return (rest[:1].upper() + rest[1:]) if colon and len(title) < len(rest) else sentence


def _strategy() -> str:
    names = order()
    state.seed("strategy", names[0])
    strategy = st.selectbox("Strategy", names, key="strategy", format_func=title, bind="query-params")
    spec = STRATEGIES[str(strategy)]
    if spec.label:
        st.badge(spec.label, help="The source does not say enough to repeat it exactly.", color="orange")
    st.caption(plain(f"{what_for(spec)} Source: {spec.source}"))
    return str(strategy)


def title(strategy: str) -> str:
    """The strategy's title with its label."""
    spec = STRATEGIES[strategy]
    told = not spec.label or spec.label.lower() in spec.title.lower()
    return spec.title if told else f"{spec.title} ({spec.label})"


def _method(pool: Pool) -> str:
    names = list(METHODS)
    state.seed("selection.method", names[_first_method(pool)])
    return str(
        st.selectbox(
            "For the repair method",
            names,
            key="selection.method",
            format_func=lambda m: METHODS[m].title,
            help="Only rows with the columns this method learns from are eligible.",
            persist_state="session",
        )
    )


def _first_method(pool: Pool) -> int:
    """The first method this pool has rows for, preference pairs first."""
    names = list(METHODS)
    ranked = sorted(range(len(names)), key=lambda i: (names[i] != "dpo", i))
    return next((i for i in ranked if len(pipeline.eligibility(pool, names[i]).rows)), ranked[0])


def _nothing(pool: Pool, method: str) -> MissingInput:
    needs = " and ".join(n for n in METHODS[method].needs if n != "prompt") or "a text"
    return MissingInput(
        f"{METHODS[method].title} needs {needs} in every row, and no train row of {pool.name} has that; "
        "choose another method, or import a pool with those columns."
    )


def _settings(ws: Workspace, pool: Pool, strategy: str, spec: StrategySpec) -> Asked:
    """The strategy's own settings, the first of them in sight."""
    if not spec.params.model_fields:
        return spec.params()
    with st.container(border=True, key="selection.settings"):
        return params_form.params_form(
            spec.params, f"strategy.{strategy}", labels=_labels(ws, pool), first=IN_SIGHT
        )


def _labels(ws: Workspace, pool: Pool) -> dict[str, Sequence[str]]:
    """What rows of a quota table may be counted by: the labels this pool has."""
    named: dict[str, Sequence[str]] = {
        "category": sorted(pool.categories()[0]),
        "behaviour": [*BEHAVIOURS],
    }
    for kind in CLUSTERS:
        signal = state.find(ws, f"cluster:{kind}", pool)
        labels = [] if signal is None else np.unique(np.asarray(signal.array())).tolist()
        named[kind] = [str(c) for c in labels]
    return named


def _labeller(pool: Pool) -> str:
    """Which labeller fills the flags that the pool's source does not give; none where it gives all."""
    unknown = [flag for flag in FLAGS if (pool.column(flag) == "not_run").any()]
    fitting = [name for name in LABELLERS if set(LABELLERS[name].flags) & set(unknown)]
    if not fitting:
        return ""
    chosen = _one_of(
        "Unknown flags",
        "selection.labeller",
        fitting,
        f"Not known for every row: {', '.join(unknown)}.",
        lambda name: LABELLERS[name].title if name else "leave unknown",
    )
    if chosen and LABELLERS[chosen].weak:
        st.caption(plain(LABELLERS[chosen].weak))
    return chosen


def _reference(ws: Workspace, pool: Pool) -> str:
    others = [name for name in state.pool_names(ws) if name != pool.name]
    words = "Rows that candidates are compared with; test rows are never read."
    own = f"validation rows of {pool.name}"
    return _one_of("Reference pool", "selection.reference", others, words, lambda name: name or own)


def _dedup() -> SemDedup | None:
    """The filter before any strategy, with its settings once it is on."""
    state.seed(DEDUP, False)
    words = "SemDeDup: of rows that say nearly the same only one may be taken, whatever the strategy."
    if not st.toggle("Set near-duplicates aside", key=DEDUP, help=words, persist_state="session"):
        return None
    with st.container(border=True):
        return params_form.params_form(SemDedup, DEDUP)


def _seed() -> int:
    state.seed("selection.seed", 0)
    words = "Decides every draw; the same recipe chooses the same rows."
    box = st.number_input(
        "Seed", 0, 2**32 - 1, step=1, key="selection.seed", help=words, persist_state="session"
    )
    return int(box)


def _sources(ws: Workspace, pool: Pool) -> dict[str, Any]:
    """Which encoder, text, model and scorer the signals come from."""
    default_model, default_scorer = (
        find(ws, pool.name) for find in (pipeline.default_model, pipeline.default_scorer)
    )
    state.seed("selection.encoder", "minilm")
    state.seed("selection.template", TEMPLATES[0])
    encoder = _one_of(
        "Encoder", "selection.encoder", list(ENCODERS), "Gives the vectors.", _encoder, none=False
    )
    template = _one_of("Text", "selection.template", list(TEMPLATES), "That is embedded.", str, none=False)
    model = _one_of(
        "Model",
        "selection.model",
        pipeline.models(ws),
        "That model-based scores come from.",
        lambda name: name or f"default ({default_model})",
    )
    scorer = _one_of(
        "Toxicity scorer",
        "selection.scorer",
        pipeline.scorers(ws),
        "That toxicity comes from.",
        lambda name: name or f"default ({default_scorer})",
    )
    return {"encoder": encoder, "template": template, "model": model, "scorer": scorer}


def _encoder(name: str) -> str:
    return ENCODERS[name].title if name in list(ENCODERS) else name


def _one_of(
    label: str, key: str, options: Sequence[str], words: str, format_func: Any, *, none: bool = True
) -> str:
    """A choice that a recipe from elsewhere may have set to a name that is not here."""
    state.seed(key, "")
    every = [*([""] if none else []), *options]
    every += [] if st.session_state[key] in every else [st.session_state[key]]
    return str(
        st.selectbox(label, every, key=key, help=words, format_func=format_func, persist_state="session")
    )
