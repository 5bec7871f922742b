"""From the vectors of tokens to the vector of a text."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from schemas.errors import DataError
from tasks.encoders._safety import read_json

if TYPE_CHECKING:
    import torch

Pooling = Literal["mean", "cls", "last"]
_MODES: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
    "mean": "mean",
    "cls": "cls",
    "lasttoken": "last",
}
_KNOWN = {"Transformer", "Pooling", "Normalize"}


def pool(states: "torch.Tensor", mask: "torch.Tensor | None", pooling: Pooling) -> "torch.Tensor":
    """Pools token states (b, t, d) padded on the right into (b, d) float32.

    Mean: over the tokens that the mask keeps. Cls: the first token. Last: the last token that the mask keeps.
    """
    import torch

    if pooling == "cls":
        return states[:, 0].float()
    if mask is None:
        return states.mean(dim=1, dtype=torch.float32) if pooling == "mean" else states[:, -1].float()
    if pooling == "last":
        return states[torch.arange(len(states), device=states.device), mask.sum(dim=1) - 1].float()
    weights = mask.to(torch.float32) / mask.sum(dim=1, keepdim=True)
    return torch.bmm(weights[:, None], states.float())[:, 0]


def described(folder: Path) -> tuple[Pooling | None, bool | None]:
    """What a sentence-transformers folder says of itself: (pooling, scaled to length 1); None where it says nothing.

    Raises:
        DataError: the folder asks for modules or pooling that are not implemented here.
    """
    file = folder / "modules.json"
    if not file.is_file():
        return None, None
    modules = json.loads(file.read_text(encoding="utf-8"))
    kinds = {module["type"].rsplit(".", 1)[-1]: module["path"] for module in modules}
    if foreign := sorted(kinds.keys() - _KNOWN):
        raise DataError(f"{folder}: modules.json asks for {', '.join(foreign)}: set `pooling` and `normalise` instead")
    pooling = _pooling_of(folder / kinds["Pooling"] / "config.json") if "Pooling" in kinds else None
    return pooling, "Normalize" in kinds


def described_limit(folder: Path) -> int | None:
    """Tokens per text that a sentence-transformers folder sets, which may be below the tokenizer's; None: unsaid."""
    file = folder / "sentence_bert_config.json"
    return read_json(file).get("max_seq_length") if file.is_file() else None


def _pooling_of(file: Path) -> Pooling:
    config = read_json(file)
    on = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    chosen = [_MODES.get(key) for key in [*on, str(config.get("pooling_mode", ""))] if key]
    if len(chosen) != 1 or chosen[0] is None:
        raise DataError(f"{file}: asks for pooling other than mean, cls or last token: set `pooling`")
    return chosen[0]


def mean_of_chunks(vectors: np.ndarray, sizes: np.ndarray, owner: np.ndarray, texts: int) -> np.ndarray:
    """Averages rows (r, d) into their texts (texts, d) float32, weighed by tokens; sums are float64, in row order."""
    if len(vectors) == texts:
        return vectors
    sums = np.zeros((texts, vectors.shape[1]))
    np.add.at(sums, owner, vectors * sizes[:, None].astype(np.float64))
    totals = np.bincount(owner, weights=sizes, minlength=texts)
    return (sums / totals[:, None]).astype(np.float32)


def truncated(vectors: np.ndarray, dimension: int | None, normalise: bool) -> np.ndarray:
    """Keeps the first `dimension` places (Kusupati et al. 2022, Matryoshka), then scales rows to length 1 if asked."""
    vectors = vectors[:, :dimension]
    if not normalise:
        return np.ascontiguousarray(vectors)
    length = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    return (vectors / np.maximum(length, 1e-12)).astype(np.float32)
