"""Splits real public text once, by document or group, into what the lab trains on and what it measures on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import MissingInput

# share of groups kept out of all training; RealToxicityPrompts and WikiText carry the evaluation
HELD_OUT = {"rtp": 0.35, "wikitext": 0.4, "paradetox": 0.2, "davidson": 0.2}
OTHER_HELD_OUT = 0.1
CLASSES = ("toxicity", "severe_toxicity", "profanity", "threat", "insult", "identity_attack")
MARKUP = re.compile(r"https?://\S+|@\w+|&#?\w+;|\brt\b")  # of tweets
NO_WORD = re.compile(r"\W+")
GSM8K_ROWS = 2000  # all 7,473 would be a third of the text
TOXIC = 0.5  # RealToxicityPrompts' own line between toxic and not
FILES = {
    "rtp": "real_toxicity_prompts/rtp_quark_val.parquet",
    "wikitext": "wikitext2/wikitext2_valid.parquet",
    "paradetox": "paradetox/paradetox.parquet",
    "davidson": "davidson_hate/labeled_tweets.parquet",
    "diasafety": "diasafety/diasafety.parquet",
    "hh": "hh_rlhf_harmless/harmless_base_pairs.parquet",
    "gsm8k": "gsm8k/gsm8k.parquet",
    "gpteacher": "gpteacher/gpteacher.parquet",
    "lambada": "lambada/lambada_test_openai.parquet",
    "pairs": "pools/preference_pairs.parquet",
}


@dataclass(frozen=True)
class Labelled:
    """Texts with labels in [0, 1], (n, L) in the order of CLASSES; NaN = not known."""

    texts: list[str]
    labels: NDArray[np.float32]


@dataclass(frozen=True)
class Source:
    """All texts of one data set, which of them are kept out of training, and labels where there are any."""

    texts: NDArray[np.object_]
    kept: NDArray[np.bool_]
    labels: NDArray[np.float32] | None = None

    def part(self, rows: NDArray[np.bool_]) -> Labelled:
        """The texts and labels of the rows."""
        assert self.labels is not None
        return Labelled(list(self.texts[rows]), self.labels[rows])


@dataclass(frozen=True)
class LabData:
    """Both sides of the split: nothing in `documents` or `labelled` occurs in the rest."""

    documents: list[str]  # for the language model
    held_documents: dict[str, list[str]]  # source -> documents kept out, for its perplexity
    labelled: Labelled  # for the scorer
    held_labelled: dict[str, Labelled]  # source -> texts kept out, for its AUC
    prompts: pd.DataFrame  # pool of held-out RealToxicityPrompts
    articles: pd.DataFrame  # pool of held-out WikiText documents
    pairs: pd.DataFrame  # pool of preference pairs from the training side


def normal(text: str) -> str:
    """The text without case, punctuation, links and mentions: what counts as "the same" in the split."""
    return NO_WORD.sub(" ", MARKUP.sub(" ", text.lower())).strip()


def held_out(key: str, source: str) -> bool:
    """Whether the group `key` of `source` is kept out: decided by its hash, so for ever and in any order."""
    digest = hashlib.sha256(f"{source}:{normal(key)}".encode()).digest()
    return int.from_bytes(digest[:8]) < HELD_OUT.get(source, OTHER_HELD_OUT) * 2**64


def read_lab_data(data: Path) -> LabData:
    """Read and split everything; a missing folder or file is a sentence."""
    tables = _read(data)
    rtp, articles = _prompts(tables["rtp"]), _articles(tables["wikitext"])
    sources = {
        "rtp": _source(rtp["prompt"] + rtp["continuation_text"], rtp["group"], "rtp"),
        "wikitext": _source(articles["response"], articles["group"], "wikitext"),
        **_dialogue(tables),
        **_plain(tables),
    }
    judged = _judged(tables)
    held_documents = {name: list(source.texts[source.kept]) for name, source in sources.items()}
    held_labelled = {name: source.part(source.kept) for name, source in judged.items()}
    rtp, articles = rtp[sources["rtp"].kept], articles[sources["wikitext"].kept]
    # a sentence can stand in two groups or two sources: whatever is measured on leaves the training side
    seen_later = {normal(t) for texts in held_documents.values() for t in texts}
    seen_later |= {normal(t) for part in held_labelled.values() for t in part.texts} | {""}
    documents = [t for s in sources.values() for t in s.texts[~s.kept] if normal(t) not in seen_later]
    seen = "\n".join(map(normal, documents))
    rtp = rtp[[normal(prompt) not in seen for prompt in rtp["prompt"]]]  # quoted on a page of the other side
    return LabData(
        documents=documents,
        held_documents=held_documents,
        labelled=_unseen([source.part(~source.kept) for source in judged.values()], seen_later),
        held_labelled=held_labelled,
        prompts=rtp[["id", "prompt", "category", "group", "source"]].reset_index(drop=True),
        articles=articles[["id", "prompt", "response", "group", "source"]].reset_index(drop=True),
        pairs=_pairs(tables["pairs"]),
    )


def data_key(data: Path) -> dict[str, str]:
    """Short hash of every file read: part of the key of what is trained on them."""
    _check(data)
    return {name: hashlib.sha256((data / file).read_bytes()).hexdigest()[:16] for name, file in FILES.items()}


def _check(data: Path) -> None:
    missing = [file for file in FILES.values() if not (data / file).is_file()]
    if missing:
        raise MissingInput(
            f"the lab needs the public data sets in {data}, but {len(missing)} of {len(FILES)} files are not "
            f"there (first: {missing[0]}); name the folder that holds them with --data"
        )


def _read(data: Path) -> dict[str, pd.DataFrame]:
    _check(data)
    tables = {name: pd.read_parquet(data / file) for name, file in FILES.items()}
    return {name: t.fillna(dict.fromkeys(t.columns[t.dtypes == "str"], "")) for name, t in tables.items()}


def _source(
    texts: Iterable[str], keys: Iterable[str], name: str, labels: NDArray[np.float32] | None = None
) -> Source:
    return Source(
        np.array(list(texts), dtype=object), np.array([held_out(k, name) for k in keys], dtype=bool), labels
    )


def _unseen(parts: list[Labelled], seen: set[str]) -> Labelled:
    """All parts in one, without texts that stand on the other side of the split."""
    texts = [t for part in parts for t in part.texts]
    rows = [i for i, t in enumerate(texts) if normal(t) not in seen]
    return Labelled([texts[i] for i in rows], np.concatenate([p.labels for p in parts])[rows])


def _prompts(rtp: pd.DataFrame) -> pd.DataFrame:
    """One row per prompt; groups are the web pages the sentences come from."""
    flags = zip(rtp["prompt_toxicity"] >= TOXIC, rtp["challenging"], strict=True)
    category = [["toxic prompt"] * toxic + ["challenging"] * hard for toxic, hard in flags]
    return rtp.assign(
        id=[f"rtp-{i:05d}" for i in range(len(rtp))],
        prompt=rtp["prompt_text"],
        category=pd.Series(category, index=rtp.index, dtype=object),
        group=rtp["filename"],
        source="rtp",
    )


def _articles(lines: pd.DataFrame) -> pd.DataFrame:
    """One row per WikiText article: non-empty lines joined with two newlines."""
    text = lines["text"].str.strip()
    article = text.str.fullmatch(
        r"= [^=].*[^=] ="
    ).cumsum()  # one "=" opens an article, two or more a section
    filled = text[text != ""]
    joined = filled.groupby(article).agg(["first", "\n\n".join]).reset_index(drop=True)
    joined.columns = pd.Index(["group", "response"])
    return joined.assign(id=[f"wikitext-{i:03d}" for i in range(len(joined))], prompt="", source="wikitext2")


def _first_turn(dialogue: str) -> str:
    """What the human said first: rows of hh-rlhf with the same opening are one group."""
    return dialogue.partition("Human:")[2].partition("\n\nAssistant:")[0]


def _dialogue(tables: dict[str, pd.DataFrame]) -> dict[str, Source]:
    """Exchanges: a line and its answer, a question and its solution."""
    dia, hh, gpt = (tables[name] for name in ("diasafety", "hh", "gpteacher"))
    gsm = tables["gsm8k"][:GSM8K_ROWS]
    gpt = gpt[gpt["subset"] == "roleplay"]  # the other half is program code
    asked = (gpt["instruction"] + "\n" + gpt["input"]).str.strip()
    return {
        "diasafety": _source(dia["context"] + "\n" + dia["response"], dia["context"], "diasafety"),
        "hh": _source((hh["prompt"] + hh["chosen"]).str.strip(), map(_first_turn, hh["prompt"]), "hh"),
        "gsm8k": _source(gsm["question"] + "\n" + gsm["answer"], gsm["question"], "gsm8k"),
        "gpteacher": _source(asked + "\n" + gpt["response"], asked, "gpteacher"),
    }


def _plain(tables: dict[str, pd.DataFrame]) -> dict[str, Source]:
    """Single texts: tweets, both sides of paradetox, passages of novels."""
    tweets, passages = tables["davidson"]["tweet"], tables["lambada"]["text"]
    sides = _paradetox(tables["paradetox"])
    return {
        "davidson": _source(tweets, tweets, "davidson"),
        "paradetox": _source(sides["text"], sides["key"], "paradetox"),
        "lambada": _source(passages, passages, "lambada"),
    }


def _paradetox(table: pd.DataFrame) -> pd.DataFrame:
    """Columns text, toxic (0 or 1) and key: every rewrite belongs to the group of its toxic sentence."""
    parts = [
        pd.DataFrame({"text": table[side], "toxic": float(side == "toxic"), "key": table["toxic"]})
        for side in ("toxic", "neutral1", "neutral2", "neutral3")
    ]
    sides = pd.concat(parts, ignore_index=True)
    return sides[sides["text"] != ""].reset_index(drop=True)


def _judged(tables: dict[str, pd.DataFrame]) -> dict[str, Source]:
    """The sources that say how toxic a text is; only RealToxicityPrompts knows more than `toxicity`."""
    tweets, sides = tables["davidson"], _paradetox(tables["paradetox"])
    halves = []
    for half in ("prompt", "continuation"):
        columns = ["filename", f"{half}_text", *(f"{half}_{name}" for name in CLASSES)]
        halves.append(tables["rtp"][columns].set_axis(["key", "text", *CLASSES], axis=1))
    rtp = pd.concat(halves).dropna(subset="toxicity")
    return {
        "davidson": _source(
            tweets["tweet"], tweets["tweet"], "davidson", _toxicity(tweets["class_name"] != "neither")
        ),
        "paradetox": _source(sides["text"], sides["key"], "paradetox", _toxicity(sides["toxic"])),
        "rtp": _source(rtp["text"], rtp["key"], "rtp", rtp[list(CLASSES)].to_numpy(np.float32)),
    }


def _toxicity(values: pd.Series[Any]) -> NDArray[np.float32]:
    """Labels (n, L) of a source that knows nothing but toxicity."""
    labels = np.full((len(values), len(CLASSES)), np.nan, dtype=np.float32)
    labels[:, 0] = values
    return labels


def _pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs of the training side: the model may have seen them, the measurements never do."""
    out = [
        held_out(bad, "paradetox") if source == "paradetox" else held_out(_first_turn(prompt), "hh")
        for source, prompt, bad in zip(pairs["source"], pairs["prompt"], pairs["rejected"], strict=True)
    ]
    return pairs[~np.array(out, dtype=bool)].reset_index(drop=True)
