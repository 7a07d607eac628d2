"""What a name means: models, scorers, and the defaults a pool suggests."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from core.errors import BadModel
from core.pool import read_manifest
from core.workspace import Workspace, content_key, folder_hash, read_json, write_json

HUB_ID = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")
SHIPPED_MODEL, SHIPPED_SCORER = "lm", "scorer"
CHANGED_MARK = "base.json"
MODEL_MARKS = ("config.json", CHANGED_MARK)
SCORER_MARK = "classes.json"
DEMO_ORIGIN = "demo grammar"  # as core.demo writes it; a file of a person's own may be called demo.csv
DETOXIFY = ("unbiased", "original", "multilingual", "unbiased-small", "original-small")


def resolve_model(ws: Workspace, name: str) -> str:
    """Folder or hub id meant by "demo", run:ID, a name under WORKSPACE/models, a folder, or a hub id."""
    return _resolve(ws, name, "model", SHIPPED_MODEL)


def resolve_scorer(ws: Workspace, name: str) -> str:
    """Folder or detoxify model meant by "demo", a name under WORKSPACE/models, a folder, or "unbiased"."""
    return name if name in DETOXIFY else _resolve(ws, name, "scorer", SHIPPED_SCORER)


def _resolve(ws: Workspace, name: str, what: str, shipped: str) -> str:
    if name == "demo":
        folder = ws.find("models", shipped)
        if folder is None:
            raise BadModel(f"the demo {what} is not there; make it with: python -m core demo build")
        return str(folder)
    if name.startswith("run:"):
        folder = ws.find("runs", name.removeprefix("run:"), "model")
        if folder is None:
            raise BadModel(
                f"{name!r} kept no {what}; see `run list`, or repair again with keep_model 'changed'"
            )
        return str(folder)
    inside = ws.find("models", name) if HUB_ID.fullmatch(name) and ".." not in name else None
    if inside is not None:
        return str(inside)
    if os.path.isdir(Path(name).expanduser()):  # unlike Path's own, False for what cannot be a path
        return str(Path(name).expanduser().resolve())
    if what == "model" and HUB_ID.fullmatch(name):
        return name
    raise BadModel(
        f"there is no {what} named {name!r}: give 'demo', a name under {ws.root / 'models'}, or a folder "
        "that exists"
    )


def identity(ws: Workspace, source: str) -> str:
    """Content hash of a model or scorer folder, remembered by sizes and times; of a hub id, its name's."""
    folder = Path(source)
    if not folder.is_dir():
        return content_key({"hub": source})
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    stamp = content_key(
        [str(folder.resolve()), [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]]
    )
    kept = ws.path("hashes", f"{stamp}.json")
    if kept.exists():
        return str(read_json(kept)["hash"])
    value = folder_hash(folder)
    write_json(kept, {"hash": value})
    return value


def models(ws: Workspace) -> list[str]:
    """Names of the language models at hand, the demo's first."""
    return _named(
        ws, SHIPPED_MODEL, lambda p: any((p / m).is_file() for m in MODEL_MARKS) and not _is_scorer(p)
    )


def scorers(ws: Workspace) -> list[str]:
    """Names of the scorers at hand, the demo's first, then detoxify's own (fetched on first use)."""
    return _named(ws, SHIPPED_SCORER, _is_scorer) + list(DETOXIFY)


def _is_scorer(folder: Path) -> bool:
    return (folder / SCORER_MARK).is_file()


def _named(ws: Workspace, shipped: str, fits: Callable[[Path], bool]) -> list[str]:
    found: list[str] = []
    for base in filter(None, (ws.shipped, ws.root)):
        if (base / "models").is_dir():
            for folder in sorted((base / "models").iterdir()):
                if folder.is_dir() and fits(folder):
                    found.append("demo" if base == ws.shipped and folder.name == shipped else folder.name)
    return sorted(set(found), key=lambda name: (name != "demo", name))


def is_demo(ws: Workspace, pool: str) -> bool:
    """Whether the pool was written by the demo's grammar, so that the demo's model and scorer fit it."""
    return str(read_manifest(ws, pool).get("origin", "")).startswith(DEMO_ORIGIN)


def default_model(ws: Workspace, pool: str) -> str:
    """The model a pool suggests: the demo's for the demo's pools, else the workspace's first, else gpt2."""
    if is_demo(ws, pool):
        return "demo"
    own = [name for name in models(ws) if name != "demo" and not _is_changed(ws, name)]
    return own[0] if own else "gpt2"


def _is_changed(ws: Workspace, name: str) -> bool:
    """Whether it is what a repair left on the way: a pool never suggests that by itself."""
    return ws.find("models", name, CHANGED_MARK) is not None


def default_scorer(ws: Workspace, pool: str) -> str:
    """The scorer a pool suggests: the demo's only for the demo's pools, else detoxify's "unbiased"."""
    return "demo" if is_demo(ws, pool) else "unbiased"
