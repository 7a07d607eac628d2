"""A small fixed panel, looked at while a repair trains: toxicity, perplexity, KL, texts before and after.

It reads validation rows only, decodes greedily, and touches neither a weight nor a random number of the run,
which ends with the same bits with and without it (repair-and-evaluation D, "what a live dashboard should
stream").
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import BadModel, MissingInput
from core.pipeline.evaluations import held_out_prompts, held_out_texts, text_pools
from core.pipeline.names import resolve_scorer
from core.pool import load_pool
from core.values import EvaluationProtocol, Panel, Pool, RepairSpec
from core.workspace import Workspace

if TYPE_CHECKING:
    import torch

    from core.lm.load import LanguageModel
    from core.lm.tokenise import Encoded
    from core.scorers import Scorer

TEXT_TOKENS = 64  # read of each document
REFERENCE_BYTES = 256 << 20  # of the untouched model's distributions, in main memory
BATCH_BYTES = 64 << 20  # of one batch's logits
LONGEST_NAME = 60
LENGTHS = EvaluationProtocol()  # where no evaluation says others


class PanelWatch:
    """Looks at the model under repair (core.training.loop.Watch); made while the model is still untouched."""

    def __init__(
        self,
        lm: LanguageModel,
        prompts: Sequence[str],
        texts: Sequence[str],
        open_scorer: Callable[[], Scorer],
        panel: Panel,
        keep: Callable[[int], str],
        protocol: EvaluationProtocol = LENGTHS,
    ) -> None:
        """Takes `panel.prompts` of the prompts and `panel.texts` of the texts, the same for every run.

        `open_scorer` is called at the first look; where it raises BadModel, toxicity is told as unknown.
        `keep` writes the model as it is after a step and says where. The protocol gives the lengths.
        """
        self.every, self.panel, self.keep, self.protocol = panel.every, panel, keep, protocol
        self.lm, self._open = lm, open_scorer
        self.prompts = _some(prompts, panel.prompts)
        self.texts = _encode(lm, _some(texts, panel.texts))
        self.notes: list[str] = []
        with self._apart():
            self.reference = self._untouched()

    def look(self, step: int) -> Mapping[str, Any]:
        """What the panel shows now: see core.pipeline.panel; null where something cannot be measured."""
        began = time.perf_counter()
        with self._apart():
            shown = self._continuations()
            perplexity, kl = self._documents()
        usable = [s["toxicity"] for s in shown if s["toxicity"] is not None]
        found = {
            "toxicity": float(np.mean(usable)) if usable else None,
            "perplexity": perplexity,
            "kl": kl,
            "samples": shown[: self.panel.samples],
            "seconds": time.perf_counter() - began,
        }
        return found | ({"note": " ".join(self.notes)} if self.notes else {})

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """No gradients, and every random number drawn inside is given back: building a scorer draws some."""
        import torch

        own = [self.lm.device] if self.lm.device.startswith("cuda") else []
        with torch.random.fork_rng(devices=own), torch.inference_mode():
            yield

    @cached_property
    def _scorer(self) -> Scorer | None:
        try:
            return self._open()
        except BadModel as error:
            self.notes.append(f"Toxicity is unknown: {error}.")
            return None

    def _continuations(self) -> list[dict[str, Any]]:
        """Each prompt with its greedy continuation and that one's toxicity; an empty one has none."""
        from core.lm.generate import sample

        if not self.prompts:
            return []
        made = sample(
            self.lm,
            self.prompts,
            new_tokens=self.protocol.new_tokens,
            prompt_tokens=self.protocol.prompt_tokens,
            greedy=True,
        )
        texts = [row[0] for row in made]
        scores: dict[str, float | None] = dict.fromkeys(texts)
        usable = [text for text in scores if text.strip()]
        if usable and self._scorer is not None:
            found = [float(s) for s in self._scorer.toxicity(usable)]
            scores |= {t: s if math.isfinite(s) else None for t, s in zip(usable, found, strict=True)}
        return [
            {"prompt": prompt, "text": text, "toxicity": scores[text]}
            for prompt, text in zip(self.prompts, texts, strict=True)
        ]

    def _documents(self) -> tuple[float | None, float | None]:
        """Perplexity of the documents, and KL(policy || untouched) in nats per token of those remembered."""
        import torch

        from core.training.losses import kl

        nll, tokens, away, compared = 0.0, 0, 0.0, 0
        for part, logprobs, own in self._read(self.texts):
            nll -= float(own.sum())
            tokens += len(own)
            known = [self.reference[text] for text in part if text in self.reference]
            if known:
                there = torch.cat(known).to(logprobs.device)  # the first of the part: see _untouched
                away += float(kl(logprobs[: len(there)], there, "reverse")) * len(there)
                compared += len(there)
        perplexity = math.exp(min(nll / tokens, 700.0)) if tokens and math.isfinite(nll) else None
        return perplexity, away / compared if compared and math.isfinite(away) else None

    def _untouched(self) -> dict[Encoded, torch.Tensor]:
        """The model's distributions over the first documents, as many as REFERENCE_BYTES hold."""
        import torch

        fitting: list[Encoded] = []
        size = 0
        for text in self.texts:
            size += self._bytes(text)
            if size <= REFERENCE_BYTES:
                fitting.append(text)
        if len(fitting) < len(self.texts):
            self.notes.append(
                f"KL is told over {len(fitting)} of {len(self.texts)} documents: more do not fit into memory."
                if fitting
                else "KL is left out: this vocabulary is too large to remember the untouched model."
            )
        found: dict[Encoded, torch.Tensor] = {}
        for part, logprobs, _ in self._read(fitting):
            each = torch.split(logprobs.cpu(), [text.scored for text in part])
            found |= {text: values.clone() for text, values in zip(part, each, strict=True)}
        return found

    def _read(
        self, texts: Sequence[Encoded]
    ) -> Iterator[tuple[Sequence[Encoded], torch.Tensor, torch.Tensor]]:
        """Batches of texts with the log-probabilities at their scored tokens, (n, v), and of these, (n,)."""
        import torch

        from core.lm.logprobs import scored_logits
        from core.lm.tokenise import collate

        most = max(1, BATCH_BYTES // max((self._bytes(text) for text in texts), default=1))
        for at in range(0, len(texts), most):
            part = texts[at : at + most]
            batch = collate(part, self.lm.tokenizer, self.lm.device)
            logprobs = torch.log_softmax(scored_logits(self.lm.model, batch), dim=-1)
            yield part, logprobs, logprobs.gather(1, batch.ids[batch.response][:, None])[:, 0]

    def _bytes(self, text: Encoded) -> int:
        return 4 * text.scored * int(self.lm.model.get_input_embeddings().num_embeddings)


def open_panel(
    ws: Workspace, lm: LanguageModel, spec: RepairSpec, pool: Pool, keep: Callable[[int], str]
) -> PanelWatch:
    """The panel of a filled spec: validation rows of the evaluation's pools, else of the run's own pool."""
    measured = spec.evaluation
    asked = [load_pool(ws, measured.pool), pool] if measured else [pool]
    documents = [load_pool(ws, text_pools(measured)[0]), pool] if measured else [pool]
    scorer = measured.scorer if measured else spec.scorer

    def open_scorer() -> Scorer:
        from core.scorers import load_scorer

        return load_scorer(resolve_scorer(ws, scorer), device=lm.device)

    return PanelWatch(
        lm,
        next(filter(None, map(_prompts, asked)), []),
        next(filter(None, (held_out_texts(p, "validation") for p in documents)), []),
        open_scorer,
        spec.panel,
        keep,
        measured.protocol if measured else LENGTHS,
    )


def keep_model(ws: Workspace, lm: LanguageModel, name: str, run_id: str, step: int) -> str:
    """Write the model as it is now as changed weights, to be listed among the models; where, as a sentence.

    It is called after the run's name, or its id where that name is taken.
    """
    from core.lm.load import load_model
    from core.training.checkpoints import save, weights_of

    called = _kept_name(ws, name, run_id, step)
    base = weights_of(load_model(lm.source).model)  # anew: a copy held all along would double the memory
    save(lm, ws.path("models", called), "changed", base)
    return f"the model as it was after step {step} is kept as {called!r} among the models"


def _kept_name(ws: Workspace, name: str, run_id: str, step: int) -> str:
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name)[:LONGEST_NAME].strip("-")
    wanted = f"{plain}-step-{step}"
    return wanted if plain and not ws.path("models", wanted).exists() else f"{run_id}-step-{step}"


def _prompts(pool: Pool) -> list[str]:
    try:
        return held_out_prompts(pool, "validation")[0]
    except MissingInput:
        return []


def _some(texts: Sequence[str], most: int) -> list[str]:
    """So many distinct ones at most, a draw that is the same for every run."""
    distinct = list(dict.fromkeys(texts))
    return [distinct[i] for i in sorted(np.random.default_rng(0).permutation(len(distinct))[:most])]


def _encode(lm: LanguageModel, texts: Sequence[str]) -> list[Encoded]:
    """Their first tokens after a start token; by length, so that batches hold little padding."""
    from core.lm.tokenise import encode_pairs

    found = encode_pairs(
        lm.tokenizer, [""] * len(texts), texts, response_tokens=TEXT_TOKENS, context=lm.context
    )
    return sorted({t for t in found if t.scored > 0}, key=lambda t: (len(t.ids), t.ids))
