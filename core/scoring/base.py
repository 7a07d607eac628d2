"""What a score is given, and what it promises back: one number per example, with its direction and unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, get_type_hints

import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenContract, MissingInput
from core.lm.load import LanguageModel, load_model, load_tokenizer
from core.lm.threads import use_threads
from core.registry import Registry
from core.scorers import Scorer
from core.values import Params, Pool, Reporter, Silent, settings
from core.workspace import content_key

Text = Literal["answer", "response", "rejected", "prompt"]
ASKED_FOR = {
    "scorer": "a toxicity scorer; name one, for example the scorer 'demo'",
    "model": "a language model; name one, for example the model 'demo'",
    "tokenizer": "a language model's tokenizer; name a model, for example 'demo'",
}


@dataclass(frozen=True)
class Tools:
    """What a score may use; present as far as its `needs` say."""

    scorer: Scorer | None = None
    model: LanguageModel | None = None
    tokenizer: Any = None  # a transformers tokenizer
    scratch: Path | None = None  # folder for half-done work; None = none is kept
    key: str = ""  # names all that decides the values, so that half-done work of another score is not taken


class Score(Protocol):
    """(n,) float64, one number per row of the pool; NaN where the row lacks the text that is scored."""

    def __call__(self, pool: Pool, params: Any, tools: Tools, reporter: Reporter) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class ScoreSpec:
    """A score as the registry knows it."""

    title: str
    source: str
    direction: str  # "higher is ..."; with the word "easier" in it, rankings by hardness turn the sign
    unit: str
    needs: tuple[str, ...]  # of "scorer", "model", "tokenizer"
    params: type[Params]
    compute: Score


SCORES: Registry[ScoreSpec] = Registry("score", "core.scoring.methods")


def scoring(
    *, title: str, source: str, direction: str, unit: str, needs: tuple[str, ...] = ()
) -> Callable[[Score], Score]:
    """Register the function below as the score named after its file."""

    def register(compute: Score) -> Score:
        params = get_type_hints(compute)["params"]
        SCORES.add(compute.__module__, ScoreSpec(title, source, direction, unit, needs, params, compute))
        return compute

    return register


def score(
    name: str,
    pool: Pool,
    params: Params | Mapping[str, Any] | None = None,
    *,
    scorer: Scorer | None = None,
    model: str | None = None,
    device: str = "cpu",
    reporter: Reporter = Silent(),
    scratch: Path | None = None,
) -> NDArray[np.float64]:
    """(n,) float64, NaN where a row lacks the text; raises MissingInput without scorer or model it needs.

    `model` is a folder or Hugging Face id of a causal language model; it is loaded only where the score needs
    it, and only its tokenizer where that is enough. `scratch` is a folder for half-done work: called again
    with the same pool, settings and tools, the work goes on where it was stopped.
    """
    spec = SCORES[name]
    chosen = settings(spec.params, params, f"score {name!r}")
    tools = _open(spec, scorer, model, device)
    hashes = [getattr(tool, "hash", "") for tool in (tools.model, tools.scorer)]
    tools = replace(tools, scratch=scratch, key=content_key([name, chosen, pool.fingerprint, *hashes]))
    values = np.asarray(spec.compute(pool, chosen, tools, reporter), dtype=np.float64)
    if values.shape != (len(pool),) or np.isinf(values).any():
        raise BrokenContract(f"{name} must return {len(pool)} numbers, none infinite, got {values!r}")
    return values


def _open(spec: ScoreSpec, scorer: Scorer | None, model: str | None, device: str) -> Tools:
    """Load what the score needs, no more; MissingInput for what was not named."""
    given = {"scorer": scorer, "model": model, "tokenizer": model}
    for need in spec.needs:
        if not given[need]:
            raise MissingInput(f"{spec.title} needs {ASKED_FOR[need]}")
    opened = None
    if model and "model" in spec.needs:
        opened = load_model(model, device=device)
        use_threads(sum(weight.numel() for weight in opened.model.parameters()))
    tokenizer = load_tokenizer(model) if model and "tokenizer" in spec.needs else None
    return Tools(scorer if "scorer" in spec.needs else None, opened, tokenizer)


def texts_of(pool: Pool, text: Text) -> list[str]:
    """The named text of each row; "answer" is the response, or the rejected text where there is none."""
    return pool.texts("response") if text == "answer" else [str(t) for t in pool.column(text)]
