"""Normal text: what the untouched model writes by itself, for KL terms to hold on to (IRepair's D_N)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import MissingInput
from core.pipeline.names import identity, resolve_scorer
from core.values import NormalText, Reporter
from core.workspace import Workspace, content_key, read_json, write_json

if TYPE_CHECKING:
    from core.lm.load import LanguageModel


def normal_text(
    ws: Workspace, lm: LanguageModel, wanted: NormalText, scorer: str, reporter: Reporter
) -> list[str]:
    """Free samples of the model, toxic ones dropped (A1); made once per model, settings and scorer."""
    from core.lm.generate import unconditional
    from core.scorers import load_scorer

    source = resolve_scorer(ws, scorer)
    key = content_key({"model": lm.hash, "settings": wanted, "scorer": identity(ws, source)})
    with ws.lock(f"normal-{key}", timeout=24 * 3600):
        kept = ws.find("normal", f"{key}.json")
        if kept is None:
            texts = unconditional(
                lm,
                wanted.texts,
                new_tokens=wanted.tokens,
                top_p=wanted.top_p,
                seed=wanted.seed,
                reporter=reporter,
            )
            texts = [t for t in texts if t.strip()]
            toxicity = load_scorer(source, device=str(lm.device)).toxicity(texts, reporter)
            clean = [t for t, s in zip(texts, toxicity, strict=True) if s <= wanted.max_toxicity]
            kept = ws.path("normal", f"{key}.json")
            write_json(
                kept,
                {"texts": clean, "dropped": len(texts) - len(clean), "settings": wanted, "scorer": scorer},
            )
    texts = list(read_json(kept)["texts"])
    if not texts:
        raise MissingInput(
            f"all {wanted.texts} free samples of the model were scored above {wanted.max_toxicity}; "
            "raise normal.max_toxicity or take a method without KL"
        )
    return texts
