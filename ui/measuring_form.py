"""The parts of the repair form that say what is measured, watched and kept, and where it runs."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core import pipeline
from core.demo import plan
from core.evaluation import PROTOCOLS
from core.values import EvaluationSpec, Panel, Pool, RepairSpec
from core.workspace import Workspace
from ui import state
from ui.guards import plain

KEEPS = {"changed": "changed weights only", "full": "whole model", "none": "no model, numbers only"}
DEVICES = ("auto", "cpu", "cuda", "mps")


def with_default(names: list[str], default: str) -> list[str]:
    """The names with the default in front."""
    return [default, *(n for n in names if n != default)]


def keeping(like: RepairSpec | None, key: str) -> dict[str, Any]:
    """What is looked at on the way, what stays, and where it runs."""
    panel = like.panel if like else Panel()
    every = st.number_input(
        "Look at the panel every ... steps",
        0,
        value=panel.every,
        key=f"{key}.every",
        help="Toxicity and perplexity on a few validation rows while it trains; 0 = only when asked.",
    )
    names = list(KEEPS)
    keep = st.selectbox(
        "Keep",
        names,
        names.index(like.keep_model) if like else 0,
        format_func=KEEPS.__getitem__,
        key=f"{key}.keep",
        help="Numbers and generations always stay.",
    )
    device = st.selectbox(
        "Device",
        with_default(list(DEVICES), like.device if like else "auto"),
        key=f"{key}.device",
        accept_new_options=True,
        help="auto takes a free GPU, else the processor; cuda:1 names one.",
    )
    return {
        "panel": panel.model_copy(update={"every": int(every)}),
        "keep_model": keep,
        "device": str(device),
    }


def evaluation(
    ws: Workspace, pool: Pool, model: str, like: RepairSpec | None, key: str
) -> EvaluationSpec | None:
    """What to measure before and after: as the demo does, as the cloned run did, or as chosen here."""
    known: dict[str, EvaluationSpec | None] = {}
    if like is not None:
        known["As the earlier run"] = like.evaluation
    if pool.name == plan.POOL:
        known["As the demo"] = plan.EVALUATION
    own, nothing = "As chosen here", "Not at all"
    how = st.segmented_control(
        "Measure", [*known, own, nothing], default=next(iter(known), own), required=True, key=f"{key}.how"
    )
    if how == nothing:
        return None
    if how in known:
        spec = known[str(how)]
        if spec is None:
            st.caption("The earlier run measured nothing.")
            return None
        p = spec.protocol
        st.caption(
            plain(f"{p.samples} continuations per prompt of {spec.pool}; texts {', '.join(spec.texts)}")
        )
        return spec.model_copy(update={"model": model})
    return _own(ws, pool, model, key)


def _own(ws: Workspace, pool: Pool, model: str, key: str) -> EvaluationSpec:
    names = state.pool_names(ws)
    protocol = st.selectbox("Protocol", list(PROTOCOLS), key=f"{key}.protocol")
    prompts = st.selectbox("Held-out prompts of", names, names.index(pool.name), key=f"{key}.prompts")
    texts = st.multiselect(
        "Held-out texts of", names, [pool.name], key=f"{key}.texts", help="The first is the main one."
    )
    scorer = st.selectbox(
        "Scorer",
        with_default(pipeline.scorers(ws), pipeline.default_scorer(ws, pool.name)),
        key=f"{key}.scorer",
    )
    lambada = st.multiselect(
        "Last word (LAMBADA) of",
        names,
        key=f"{key}.lambada",
        help="Accuracy and perplexity of the last word.",
    )
    requests = st.multiselect(
        "Requests of",
        names,
        key=f"{key}.requests",
        help="Safe and unsafe requests are answered: refusal of safe ones, compliance with unsafe ones.",
    )
    judge = fluency = ""
    if requests:
        judge = st.text_input(
            "Judge of answers",
            key=f"{key}.judge",
            help="A classifier, NAME or NAME:CLASS, says which answers are harmful; empty = refusals only.",
        )
    if st.toggle("Fluency under a larger model", key=f"{key}.fluent"):
        fluency = str(st.selectbox("Judged by", pipeline.models(ws), key=f"{key}.fluency"))
    return EvaluationSpec(
        model=model,
        pool=str(prompts),
        protocol=PROTOCOLS[str(protocol)],
        scorer=str(scorer),
        texts=tuple(texts),
        lambada=tuple(lambada),
        requests=tuple(requests),
        judge=judge,
        fluency=fluency,
    )
