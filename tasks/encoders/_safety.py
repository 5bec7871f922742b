"""What is checked before a language model is loaded: no foreign code, no pickle, the pinned weights."""

import hashlib
import json
from pathlib import Path
from typing import Any

from schemas.errors import DataError, UsageError

_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack"}
_TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
_UNUSED = ("pooler.",)
"""Layers that the encoders never read (BERT's head for sentence pairs); a checkpoint may lack them."""


def sha256_of(file: Path) -> str:
    """Sha256 (hex) of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def weights_hash(folder: Path) -> str:
    """Sha256 (hex) of model.safetensors, or of the list of its shards' names and hashes where it is split."""
    files = sorted(folder.glob("*.safetensors"))
    if len(files) == 1:
        return sha256_of(files[0])
    return hashlib.sha256("\n".join(f"{file.name} {sha256_of(file)}" for file in files).encode()).hexdigest()


def tokenizer_hash(folder: Path) -> str:
    """Sha256 (hex) of the files beside the weights that decide what the model is fed and how it computes."""
    files = [folder / name for name in (*_TOKENIZERS, "tokenizer_config.json", "config.json", "merges.txt")]
    held = [f"{file.name} {sha256_of(file)}" for file in files if file.is_file()]
    return hashlib.sha256("\n".join(held).encode()).hexdigest()


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        DataError: the file is missing or is no JSON object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as JSON ({error}): give a complete model folder") from None
    if not isinstance(content, dict):
        raise DataError(f"{file}: holds no JSON object: give a complete model folder")
    return content


def _optional(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}


def check_folder(folder: Path, pinned: str | None) -> str:
    """Checks a model folder before anything in it is loaded; returns the weights' sha256.

    Raises:
        DataError: own code, an architecture that transformers does not ship, no safetensors (a pickle is never opened),
            no tokenizer, or weights with another hash than `pinned`.
    """
    config = read_json(folder / "config.json")
    tokenizer = folder / "tokenizer_config.json"
    for name, content in {"config.json": config, tokenizer.name: _optional(tokenizer)}.items():
        if "auto_map" in content:
            raise DataError(f"{folder}: {name} asks for code of its own (auto_map), which is never run: refused")
    _check_architecture(folder, config)
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(file.name for file in folder.iterdir() if file.suffix in _PICKLES)
        found = f"only {', '.join(pickles)}, which can run code" if pickles else "no weights"
        raise DataError(f"{folder}: holds {found}: convert the model to model.safetensors")
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise DataError(f"{folder}: holds no tokenizer (tokenizer.json): save the tokenizer beside the model")
    found = weights_hash(folder)
    if pinned is not None and found != pinned:
        raise DataError(f"{folder}: weights have sha256 {found}, the config pins {pinned}: refused")
    return found


def _check_architecture(folder: Path, config: dict[str, Any]) -> None:
    import transformers

    kind = config.get("model_type")
    if kind not in transformers.CONFIG_MAPPING:
        raise DataError(f"{folder}: model_type {kind!r} is no architecture that transformers ships: refused")
    for name in config.get("architectures") or ():
        if not hasattr(transformers, name):
            raise DataError(f"{folder}: architecture {name!r} is not one that transformers ships: refused")


def check_loaded(folder: Path, info: dict[str, Any]) -> None:
    """Refuses a model of which some weights were not in the file and so are random.

    Raises:
        DataError: weights are missing or have the wrong shape.
    """
    missing = sorted(key for key in info.get("missing_keys", ()) if not key.startswith(_UNUSED))
    wrong = sorted(str(key) for key in info.get("mismatched_keys", ()))
    if missing or wrong:
        some = ", ".join((missing + wrong)[:3])
        raise DataError(
            f"{folder}: {len(missing)} weights missing, {len(wrong)} misshapen ({some} …): incomplete model"
        )


def from_hub(model: str, revision: str | None, offline: bool) -> Path:
    """The folder of a hub model at a pinned revision; only safetensors, JSON and tokenizer files are fetched.

    Raises:
        UsageError: no revision was pinned.
        DataError: the model is not in the local cache (offline), or cannot be fetched.
    """
    if revision is None:
        raise UsageError(f"encoder model {model!r} is no folder and no packaged model: a hub name needs its `revision`")
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=patterns, local_files_only=offline))
    except Exception as error:  # the hub's client raises a dozen kinds, all of which mean this
        reason = "is not on this machine and offline is set" if offline else f"cannot be fetched ({error})"
        raise DataError(f"encoder model {model!r} at {revision} {reason}: give a local folder") from error
