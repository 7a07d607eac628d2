"""Opens a causal language model from safetensors files only, and says by hash which one it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.errors import BadInput, BadModel
from core.lm.decoders import Decoder, open_decoder, read_decoder
from core.lm.identity import BASE, files_hash
from core.workspace import read_json

if TYPE_CHECKING:
    import torch

CHANGED = "changed.safetensors"
CONTEXT = 1024  # where the configuration names none


@dataclass(frozen=True)
class LanguageModel:
    """A model ready to use (evaluation mode: no dropout, ever), its tokenizer, and where both came from."""

    model: Any  # a transformers PreTrainedModel
    tokenizer: Any  # a transformers tokenizer
    source: str  # folder or Hugging Face id
    hash: str  # of the files it was loaded from; training in place does not change it
    device: str
    context: int  # tokens it can look at
    decoder: Decoder | None = None  # changes the next-token logits while generating


def load_model(
    source: str, *, device: str = "cpu", dtype: Literal["float32", "bfloat16"] = "float32"
) -> LanguageModel:
    """Load a folder (a full save, or changed weights on top of a base) or a Hugging Face id.

    A decoder.json in the folder comes along as `decoder`, with its side models. Raises BadModel when there is
    no such model, when it has no safetensors (pickled weights are never opened), when weights are missing,
    when the base of a changed save is no longer what it was, or when decoder.json cannot be used.
    """
    folder = find_folder(source)
    device = resolve_device(device)
    read_decoder(folder)  # a bad one shows before weights are read
    read = _load_changed if (folder / BASE).is_file() else _load_full
    return with_decoder(read(source, folder, device, dtype), folder)


def with_decoder(lm: LanguageModel, folder: Path) -> LanguageModel:
    """`lm` as FOLDER/decoder.json says it is to be decoded; `lm` itself where there is no such file.

    For a model that is in memory already; load_model does the same. Raises BadModel.
    """
    dtype: Any = str(lm.model.dtype).removeprefix("torch.")
    decoder = open_decoder(lm, folder, lambda side: load_model(str(side), device=lm.device, dtype=dtype))
    return lm if decoder is None else replace(lm, decoder=decoder)


def _load_full(
    source: str, folder: Path, device: str, dtype: Literal["float32", "bfloat16"]
) -> LanguageModel:
    """A full save: configuration, weights and tokenizer in one folder."""
    import transformers
    from safetensors import SafetensorError

    _check_files(source, folder)
    try:
        with quiet():
            opened: Any = transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise BadModel(
            f"{source} cannot be loaded as a causal language model: {str(error).strip()[:200]}"
        ) from error
    model, found = opened
    tokenizer = _tokenizer(source, folder)
    # transformers would fill these with random numbers and only log it
    if missing := sorted(str(name) for name in (*found["missing_keys"], *found["mismatched_keys"])):
        raise BadModel(
            f"{source} lacks the weights {', '.join(missing[:3])} ({len(missing)} in all); it is incomplete "
            "or no causal language model, save it again or take another"
        )
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        raise BadModel(
            f"the tokenizer of {source} has {len(tokenizer)} tokens, its model only "
            f"{model.get_input_embeddings().num_embeddings}; they do not belong together"
        )
    _fuse_gelu(model)
    model.eval().to(device)
    return LanguageModel(model, tokenizer, source, files_hash(folder), device, _context(model))


def load_tokenizer(source: str) -> Any:
    """The tokenizer of the model `load_model` would open, without reading or fetching any weights.

    Raises BadModel when there is none.
    """
    folder = find_folder(source, weights=False)
    while (folder / BASE).is_file():  # a changed save reads as its base does
        folder = _base_folder(folder)
    return _tokenizer(source, folder)


def model_hash(source: str) -> str:
    """Short sha256 of weights, configuration and tokenizer; does not load torch."""
    return files_hash(find_folder(source))


def find_folder(source: str, *, weights: bool = True) -> Path:
    """The folder meant by `source`; a Hugging Face id is fetched (json, text and safetensors files only)."""
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if path.is_absolute() or path.exists() or source.startswith((".", "~")) or source.count("/") > 1:
        raise BadModel(f"no model folder at {source}; give a folder with config.json and model.safetensors")
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                source,
                allow_patterns=[
                    "*.json",
                    "*.txt",
                    "tokenizer.model",
                    *(["*.safetensors"] if weights else []),
                ],
                ignore_patterns=["*/*"],
            )
        )
    except (OSError, ValueError) as error:
        raise BadModel(
            f"{source!r} is no folder here and cannot be fetched from Hugging Face "
            f"({type(error).__name__}); check the name and the network, or give a folder"
        ) from error


def resolve_device(device: str = "auto") -> str:
    """The device to compute on; "auto" takes CUDA, else MPS, else the CPU. Others not here are refused."""
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    kind, _, number = device.partition(":")
    if not there.get(kind, False) or (kind == "cuda" and number and int(number) >= torch.cuda.device_count()):
        have = ", ".join(name for name, here in there.items() if here)
        raise BadInput(f"device {device!r} is not available here; this machine has: {have}")
    return device


def blocks(model: Any) -> list[torch.nn.Module]:
    """The transformer blocks in order: attention, MLP and their norms; no embeddings, final norm or head.

    It is the outermost list with one module per hidden layer: transformer.h (GPT-2, GPT-Neo),
    gpt_neox.layers, model.layers (Llama and its kin).
    """
    import torch

    layers = int(model.config.num_hidden_layers)
    for module in model.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == layers:
            return list(module)
    raise BadModel(
        f"{type(model).__name__} has no list of {layers} transformer blocks; it cannot be repaired "
        "block by block"
    )


def _check_files(source: str, folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise BadModel(
            f"{source} is no model folder: it holds no config.json; give the folder that was written by "
            "save_pretrained"
        )
    if not any(folder.glob("*.safetensors")):
        pickled = [p.name for p in sorted(folder.iterdir()) if p.suffix in (".bin", ".pt", ".pth", ".ckpt")]
        found = f"only {pickled[0]}, and pickled weights are never opened" if pickled else "no weights"
        raise BadModel(f"{source} has {found}; convert the model to safetensors first")


def _tokenizer(source: str, folder: Path) -> Any:
    import transformers

    try:
        with quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise BadModel(f"the tokenizer of {source} cannot be loaded: {str(error).strip()[:200]}") from error
    if not tokenizer.vocab_size:  # transformers makes up an empty one, which reads every text as no tokens
        raise BadModel(f"{source} has no tokenizer files; save its tokenizer into the same folder")
    return tokenizer


def _load_changed(
    source: str, folder: Path, device: str, dtype: Literal["float32", "bfloat16"]
) -> LanguageModel:
    """A changed save: its base, verified by hash, with the changed weights copied over it."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    base = load_model(str(_base_folder(folder)), device=device, dtype=dtype)
    weights = dict(base.model.named_parameters())
    try:
        changed = load_file(folder / CHANGED)
    except (OSError, SafetensorError) as error:
        raise BadModel(f"{folder / CHANGED} cannot be read ({error}); restore it or repair again") from error
    unknown = [n for n, values in changed.items() if n not in weights or weights[n].shape != values.shape]
    if unknown:
        raise BadModel(
            f"{source} changes {unknown[0]}, which its base does not have in that shape; repair again"
        )
    with torch.no_grad():
        for name, values in changed.items():
            weights[name].copy_(values)
    return LanguageModel(base.model, base.tokenizer, source, files_hash(folder), device, base.context)


def _base_folder(folder: Path) -> Path:
    """The base a changed save names: where it was, else where it lies seen from the save; same bytes only."""
    said = read_json(folder / BASE)
    places = (
        [said["source"], str(folder.resolve() / said["relative"])] if said["relative"] else [said["source"]]
    )
    changed = False
    for place in places:
        try:
            base = find_folder(place)
        except BadModel:
            continue
        if files_hash(base) == said["hash"]:
            return base
        changed = True
    what = "has changed since" if changed else "is not there any more"
    raise BadModel(
        f"{folder} holds only the weights that differ from {said['source']}, which {what}; put the model "
        f"with hash {said['hash']} back there, or repair again"
    )


def _fuse_gelu(model: Any) -> None:
    """Replace GPT-2's tanh GELU, eight passes over memory in transformers, by torch's single one.

    The same function up to rounding, without weights; it was a quarter of a training step of a small model.
    """
    import torch
    from transformers.activations import NewGELUActivation

    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))


def _context(model: Any) -> int:
    return int(getattr(model.config, "max_position_embeddings", None) or CONTEXT)


@contextmanager
def quiet() -> Iterator[None]:
    """Neither progress bars nor load reports of transformers on stderr: the reporter is the only voice."""
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
