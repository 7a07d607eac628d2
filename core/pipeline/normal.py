"""Normal text: what the untouched model writes by itself, for KL terms to hold on to (IRepair's D_N)."""

from __future__ import annotations

import shutil
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
    """Free samples of the model, toxic ones dropped (A1); made once per model, settings and scorer.

    They begin from the start token alone. Those sampled by a process that was killed are not sampled again.
    """
    from core.lm.generate import sample
    from core.scorers import load_scorer

    source = resolve_scorer(ws, scorer)
    key = content_key({"model": lm.hash, "settings": wanted, "scorer": identity(ws, source)})
    with ws.lock(f"normal-{key}", timeout=24 * 3600):
        kept = ws.find("normal", f"{key}.json")
        if kept is None:
            judge = load_scorer(source, device=str(lm.device))  # first: what is missing shows at once
            scratch = ws.path("partial", "normal", key)
            [texts] = sample(
                lm,
                [""],
                samples=wanted.texts,
                new_tokens=wanted.tokens,
                top_p=wanted.top_p,
                prompt_tokens=1,
                seed=wanted.seed,
                scratch=scratch,
                key=key,
                reporter=reporter,
            )
            texts = [t for t in texts if t.strip()]
            toxicity = judge.toxicity(texts, reporter)
            clean = [t for t, s in zip(texts, toxicity, strict=True) if s <= wanted.max_toxicity]
            kept = ws.path("normal", f"{key}.json")
            write_json(
                kept,
                {"texts": clean, "dropped": len(texts) - len(clean), "settings": wanted, "scorer": scorer},
            )
            shutil.rmtree(scratch, ignore_errors=True)
    texts = list(read_json(kept)["texts"])
    if not texts:
        raise MissingInput(
            f"all {wanted.texts} free samples of the model were scored above {wanted.max_toxicity}; "
            "raise normal.max_toxicity or take a method without KL"
        )
    return texts
