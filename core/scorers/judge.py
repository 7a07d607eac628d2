"""A judge of answers: one class of an opened scorer or classifier, named "NAME" or "NAME:CLASS"."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import BadInput
from core.scorers.base import Scorer
from core.scorers.classifier import open_classifier
from core.scorers.sources import load_scorer, scorer_hash

CLASSES = "classes.json"
# classes that mean harm, the surest first; a classifier that has none of them must be told which one
HARM = ("harmful", "unsafe", "toxicity", "hate", "offensive")


@dataclass(frozen=True)
class Judge:
    """Says how likely an answer is harmful: the column `label` of what `scorer` says."""

    name: str  # what tables call it, with the class: "demo:toxicity"
    hash: str
    scorer: Scorer
    label: str

    @property
    def column(self) -> int:
        """Where the class stands among the scorer's labels."""
        return self.scorer.labels.index(self.label)


def split_judge(text: str) -> tuple[str, str]:
    """Name and class of "NAME:CLASS"; the class is "" where none is named."""
    name, colon, label = text.rpartition(":")
    return (name, label) if colon and name and "/" not in label else (text, "")


def load_judge(source: str, label: str = "", *, name: str = "", device: str = "cpu") -> Judge:
    """Open a scorer folder, a name of detoxify's, a checkpoint, or any folder of a text classifier.

    label: the class that means harm, "" = the one known to. Raises BadInput when the classes have no such
    one, BadModel when nothing can be opened, whole and safely.
    """
    folder = Path(source).expanduser()
    name = name or folder.name
    scorer: Scorer
    if folder.is_dir() and not (folder / CLASSES).is_file():
        scorer = open_classifier(folder, name, scorer_hash(source), device)
    else:
        scorer = load_scorer(source, device=device)
    chosen = _label(scorer, label, name)
    return Judge(f"{scorer.name}:{chosen}", scorer.hash, scorer, chosen)


def _label(scorer: Scorer, label: str, name: str) -> str:
    if label:
        if label.lower() in scorer.labels:
            return label.lower()
    elif len(scorer.labels) == 1:
        return scorer.labels[0]
    elif known := next((harm for harm in HARM if harm in scorer.labels), ""):
        return known
    asked = f"has no class {label!r}" if label else "does not say which class means harm"
    raise BadInput(
        f"the judge {name!r} {asked}; its classes are {', '.join(scorer.labels)}: write it as {name}:CLASS"
    )
