"""The form that starts repairs: rows, method, mix, measuring, seeds, and what it will take beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from core import pipeline
from core.demo import plan
from core.jobs import Jobs
from core.pool import eligible
from core.repair import METHODS, RepairParams
from core.values import Budget, Mix, Pool, Recipe, RepairSpec, Selection, settings
from core.workspace import Workspace
from ui import measuring_form, state
from ui.guards import link, plain
from ui.measuring_form import with_default
from ui.params_form import params_form

CLONE = "repair.clone"  # the spec of a job that is to be started again with changes
ROUND = "repair.round"  # counts clones: each fills a form of its own
MOST_SEEDS = 10
ALL, AS_CLONED = "all", "cloned"  # rows to learn from that are not chosen yet, beside keys of selections


def form(ws: Workspace, pool: Pool) -> None:
    """Everything a run needs; the start button submits one job per seed."""
    like = _cloned(pool)
    key = f"repair.{st.session_state.get(ROUND, 0)}"
    source = _source(ws, pool, like, key)
    method = _method(source, like, key)
    model = _model(ws, pool, like, key)
    params = _params(pool, method, like, key)
    token_mask = _token_mask(method, like, key)
    mix = _mix(ws, pool, method, like, key)
    with st.expander("Measuring", icon=":material/straighten:"):
        evaluation = measuring_form.evaluation(ws, pool, model, like, key)
    with st.expander("Watching and keeping", icon=":material/visibility:"):
        rest = measuring_form.keeping(like, key)
    left, right = st.columns(2)
    seed = like.seed if like else 0
    first = left.number_input("First seed", 0, value=seed, key=f"{key}.seed", persist_state="session")
    count = right.number_input(
        "Seeds", 1, MOST_SEEDS, 1, key=f"{key}.seeds", help="One run per seed.", persist_state="session"
    )
    ready = _usable(pool, source, method, params) and (bool(token_mask) or not METHODS[method].masks)
    spec = RepairSpec(
        selection=source.key if isinstance(source, Selection) else source,
        method=method,
        params=params.model_dump(mode="json"),
        model=model,
        mix=mix,
        token_mask=token_mask,
        evaluation=evaluation,
        **rest,
    )
    if ready:
        _will_take(ws, pool, spec, params, source, int(count))
    look: Any = {"type": "primary", "icon": ":material/play_arrow:", "width": "stretch"}
    if st.button("Start repair", key="repair.start", disabled=not ready, **look):
        spec = spec.model_copy(update={"selection": _kept(ws, source)})
        start_runs(ws, spec, [int(first) + i for i in range(int(count))], _title(source, params, mix))


def _cloned(pool: Pool) -> RepairSpec | None:
    """The run this form began from, if one was to be changed; a new clone begins a new form."""
    given = st.session_state.pop(CLONE, None)
    if given is not None:
        st.session_state[ROUND] = st.session_state.get(ROUND, 0) + 1
        st.session_state[f"{CLONE}.spec"] = given
    held = st.session_state.get(f"{CLONE}.spec")
    like = RepairSpec(**held) if held is not None else None
    if like is not None:
        left, right = st.columns([3, 1], vertical_alignment="center")
        left.caption(plain(f"Settings of an earlier {like.method} run; change what you like, then start."))
        if right.button(
            "",
            key="repair.clone.clear",
            icon=":material/close:",
            help="Begin from the method's own settings.",
        ):
            del st.session_state[f"{CLONE}.spec"]
            st.session_state[ROUND] += 1
            st.rerun()
    return like


def _model(ws: Workspace, pool: Pool, like: RepairSpec | None, key: str) -> str:
    default = like.model if like and like.model else pipeline.default_model(ws, pool.name)
    return str(
        st.selectbox(
            "Model",
            with_default(pipeline.models(ws), default),
            key=f"{key}.model",
            persist_state="session",
            accept_new_options=True,
            help="A name, a folder with config.json and safetensors, or a Hugging Face id.",
        )
    )


def _params(pool: Pool, method: str, like: RepairSpec | None, key: str) -> RepairParams:
    """The method's settings: those of the run that was cloned, of the demo, or the method's own."""
    cloned = like is not None and like.method == method
    demo = plan.METHODS.get(method, {}) if pool.name == plan.POOL else {}
    start: Mapping[str, Any] = like.params if like is not None and cloned else demo
    with st.expander("Training settings", icon=":material/tune:"):
        if not cloned:
            words = "Settings of the demo." if demo else "Defaults are the method's own (its paper's)."
            st.caption(f"{words} A small model needs larger rates than a large one.")
        return params_form(
            METHODS[method].params, f"{key}.{method}.{'demo' if demo else 'own'}", start, first=6
        )


def _source(ws: Workspace, pool: Pool, like: RepairSpec | None, key: str) -> Selection | Recipe:
    """What to learn from: this session's choice, a saved selection, or all eligible rows."""
    current = state.choice(pool)
    saved = [s for s in pipeline.selections(ws) if s.pool_fingerprint == pool.fingerprint]
    options: dict[str, Selection | Recipe] = {s.key: s for s in ([current] if current else []) + saved}
    options[ALL] = Recipe(pool=pool.name, strategy="uniform", budget=Budget(rows=None, percent=100.0))
    if like is not None and isinstance(like.selection, Recipe) and like.selection.pool == pool.name:
        options[ALL if _is_all(like.selection) else AS_CLONED] = like.selection
    names = list(options)
    meant = like.selection if like else current.key if current else ""
    if isinstance(meant, Recipe):
        meant = ALL if _is_all(meant) else AS_CLONED
    key_of = st.selectbox(
        "Rows to learn from",
        names,
        names.index(meant) if meant in names else 0,
        format_func=lambda name: _short(options[name]) if name in options else name,
        key=f"{key}.rows",
    )
    if len(options) == 1:
        link("selection", "Choose rows on the Selection page")
    return options[str(key_of)]


def _is_all(recipe: Recipe) -> bool:
    return recipe.budget.percent == 100.0  # noqa: PLR2004 - percent


def _short(source: Selection | Recipe) -> str:
    if isinstance(source, Recipe):
        if _is_all(source):
            return "all eligible rows (full-data run)"
        return f"{source.strategy}, {source.budget.words} for {source.method}, seed {source.seed}"
    r = source.recipe
    return f"{r.strategy}, {len(source.ids):,} rows for {r.method}, seed {r.seed} ({source.key[:6]})"


def _title(source: Selection | Recipe, params: RepairParams, mix: Mix | None) -> str:
    """What tells this run from others of its method in the list of jobs."""
    if isinstance(source, Selection):
        rows = f"{source.recipe.strategy}, {len(source.ids):,} rows"
    else:
        rows = "all rows" if _is_all(source) else f"{source.strategy}, {source.budget.words}"
    usual = type(params).model_fields["scope"].default
    scope = "" if params.scope == usual else f", {params.scope}"
    return rows + (f" + {mix.rows:,} benign" if mix else "") + scope


def _method(source: Selection | Recipe, like: RepairSpec | None, key: str) -> str:
    of_rows = source.method if isinstance(source, Recipe) else source.recipe.method
    meant = like.method if like else of_rows
    names = list(METHODS)
    method = st.selectbox(
        "Method",
        names,
        names.index(meant) if meant in names else 0,
        format_func=lambda m: METHODS[m].title,
        key=f"{key}.method.{getattr(source, 'key', 'all')}",
        persist_state="session",
    )
    needs = " and ".join(n for n in METHODS[method].needs if n != "prompt")
    st.caption(plain(f"Source: {METHODS[method].source} · needs {needs or 'any text'}"))
    return str(method)


def _token_mask(method: str, like: RepairSpec | None, key: str) -> str:
    """Which tokens are penalised, for methods that need to know."""
    if not METHODS[method].masks:
        return ""
    typed = st.text_input(
        "Token mask",
        like.token_mask if like else "",
        key=f"{key}.mask",
        help="Key of the stored mask that names the harmful tokens of each row (IF-Guide, section 4.2).",
    )
    if not typed:
        st.warning(plain(f"{METHODS[method].title} penalises the tokens of a mask: give the key of one."))
    return str(typed).strip()


def _mix(ws: Workspace, pool: Pool, method: str, like: RepairSpec | None, key: str) -> Mix | None:
    """Benign rows beside the chosen ones: the behaviour-aware paper's experiment."""
    start = like.mix if like else None
    if METHODS[method].needs != ("response",):
        return None
    with st.expander("Benign rows mixed in", icon=":material/blender:"):
        if not st.toggle(
            "Mix benign rows in",
            value=start is not None,
            key=f"{key}.mix",
            help="Fine-tune on the chosen safety rows and many benign ones together; only benign rows are "
            "held out for validation.",
        ):
            return None
        names = with_default(state.pool_names(ws), start.pool if start and start.pool else pool.name)
        place = st.selectbox("Benign rows of", names, key=f"{key}.mix.pool")
        rows = st.number_input("Benign rows", 1, value=start.rows if start else 1000, key=f"{key}.mix.rows")
        return Mix(pool=str(place), rows=int(rows), seed=start.seed if start else 0)


def _usable(pool: Pool, source: Selection | Recipe, method: str, params: RepairParams) -> bool:
    """Whether the method can learn from every chosen row; says what to do where it cannot."""
    columns = tuple(c for c in METHODS[method].columns(params) if c != "prompt")
    usable = eligible(pool, columns).rows
    words = " and ".join(columns) or "some text"
    if not len(usable):
        st.warning(plain(f"{METHODS[method].title} needs {words}; no train row of {pool.name} has that."))
        return False
    rows = usable if isinstance(source, Recipe) else state.rows_of(pool, source.ids)
    lost = len(rows) - int(np.isin(rows, usable).sum())
    if lost:
        st.warning(plain(f"{lost:,} of these {len(rows):,} rows lack {words}; select for this method."))
        link("selection", "Select again")
    return not lost and len(rows) > 0


def _will_take(
    ws: Workspace, pool: Pool, spec: RepairSpec, params: RepairParams, source: Selection | Recipe, runs: int
) -> None:
    """Memory and time before anything starts; the finished run tells beside it what it took."""
    recipe = source.recipe if isinstance(source, Selection) else source
    columns = METHODS[spec.method].columns(params)
    rows = len(source.ids) if isinstance(source, Selection) else len(eligible(pool, columns).rows)
    rows += spec.mix.rows if spec.mix else 0
    found = pipeline.estimate(ws, spec, params, recipe.model_copy(update={"method": spec.method}), rows)
    if found is None:
        st.caption("Memory and time are told once the model is on this disk.")
        return
    st.caption(plain(found.sentence + (f" {runs} runs, one after the other." if runs > 1 else "")))
    free = pipeline.free_memory()
    if found.memory_bytes > free and spec.device in ("auto", "cpu"):
        st.warning(
            plain(
                f"This machine has {free / 1e9:.2g} GB free: lower the batch or the tokens, take the scope "
                "lora, or a block method."
            )
        )


def _kept(ws: Workspace, source: Selection | Recipe) -> str | Recipe:
    """A selection is stored before it is used, so that the run can be traced to its rows."""
    if isinstance(source, Selection):
        return pipeline.save_selection(ws, source)
    return source


def start_runs(ws: Workspace, spec: RepairSpec, seeds: list[int], rows: str) -> None:
    """Submit one job per seed; a full-data recipe chooses for the run's own method."""
    if isinstance(spec.selection, Recipe):
        spec = spec.model_copy(
            update={"selection": spec.selection.model_copy(update={"method": spec.method})}
        )
    settings(METHODS[spec.method].params, spec.params, f"repair method {spec.method!r}")
    for seed in seeds:
        one = spec.model_copy(update={"seed": seed})
        Jobs(ws).submit("repair", one, f"{spec.method}: {rows}, seed {seed}", once=True)
    st.toast(f"{len(seeds)} run{'s' if len(seeds) > 1 else ''} queued.")
    st.rerun()
