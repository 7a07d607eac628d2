"""What a score is given, and what it promises back: one number per example, with its direction and unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_type_hints

import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenContract, MissingInput
from core.lm.load import LanguageModel, load_model
from core.registry import Registry
from core.scorers import Scorer
from core.values import Params, Pool, Reporter, Silent

Text = Literal["answer", "response", "rejected", "prompt"]


@dataclass(frozen=True)
class Tools:
    """What a score may use; present as far as its `needs` say."""

    scorer: Scorer | None = None
    model: LanguageModel | None = None


class Score(Protocol):
    """(n,) float64, one number per row of the pool; NaN where the row lacks the text that is scored."""

    def __call__(self, pool: Pool, params: Any, tools: Tools, reporter: Reporter) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class ScoreSpec:
    """A score as the registry knows it."""

    title: str
    source: str
    direction: str  # "higher is ..."
    unit: str
    needs: tuple[str, ...]  # of "scorer", "model"
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
) -> NDArray[np.float64]:
    """(n,) float64, NaN where a row lacks the text; raises MissingInput without scorer or model it needs.

    `model` is a folder or Hugging Face id of a causal language model; it is loaded only where the score needs
    it.
    """
    spec = SCORES[name]
    settings = params if isinstance(params, Params) else spec.params(**(params or {}))
    if "scorer" in spec.needs and scorer is None:
        raise MissingInput(f"{spec.title} needs a toxicity scorer; name one, for example the scorer 'demo'")
    if "model" in spec.needs and not model:
        raise MissingInput(f"{spec.title} needs a language model; name one, for example the model 'demo'")
    opened = load_model(model, device=device) if model and "model" in spec.needs else None
    values = np.asarray(spec.compute(pool, settings, Tools(scorer, opened), reporter), dtype=np.float64)
    if values.shape != (len(pool),) or np.isinf(values).any():
        raise BrokenContract(f"{name} must return {len(pool)} numbers, none infinite, got {values!r}")
    return values


def texts_of(pool: Pool, text: Text) -> list[str]:
    """The named text of each row; "answer" is the response, or the rejected text where there is none."""
    return pool.texts("response") if text == "answer" else [str(t) for t in pool.column(text)]
