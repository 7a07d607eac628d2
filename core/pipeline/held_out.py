"""Which of a pool's held-out rows measure a model: prompts, texts, requests."""

from __future__ import annotations

from core.errors import MissingInput
from core.evaluation import Request
from core.values import HeldOut, Pool


def held_out_prompts(pool: Pool, split: HeldOut = "test") -> tuple[list[str], list[list[str]]]:
    """Distinct non-empty prompts of the split, and the categories of each."""
    part = pool.frame.iloc[pool.rows(split)]
    found: dict[str, dict[str, None]] = {}
    for prompt, categories in zip(part["prompt"], part["category"], strict=True):
        if str(prompt).strip():
            found.setdefault(str(prompt), {}).update(dict.fromkeys(str(c) for c in categories))
    if not found:
        raise MissingInput(
            f"pool {pool.name!r} has no held-out prompts ({split} rows with a prompt); evaluate on a pool of "
            f"prompts, imported with --split {'0,0,1' if split == 'test' else '0,1,0'}"
        )
    return list(found), [list(categories) for categories in found.values()]


def held_out_texts(pool: Pool, split: HeldOut = "test") -> list[str]:
    """The documents of the split: prompt and response as one text each, blocked rows left out."""
    part = pool.frame.iloc[pool.rows(split)]
    part = part[~part["blocked"].astype(bool) & (part["response"] != "")]
    return [f"{p} {r}".strip() for p, r in zip(part["prompt"], part["response"], strict=True)]


def held_out_requests(pool: Pool, split: HeldOut = "test") -> list[Request]:
    """Prompts of the split that are known to ask for something harmful, or for nothing of the kind."""
    part = pool.frame.iloc[pool.rows(split)]
    part = part[part["harmful_request"].isin(["yes", "no"]) & (part["prompt"].str.strip() != "")]
    if not len(part):
        raise MissingInput(
            f"pool {pool.name!r} has no held-out requests ({split} rows with a prompt whose flag "
            "harmful_request is yes or no); map that flag when importing (such as the column `label` of "
            "XSTest, safe or unsafe), or leave the pool out of the requests"
        )
    return [
        Request(str(prompt), flag == "yes", tuple(str(name) for name in names))
        for prompt, flag, names in zip(part["prompt"], part["harmful_request"], part["category"], strict=True)
    ]
