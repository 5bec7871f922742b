"""Loads a language model from a checked folder and dresses it as an encoder; transformer.py and causal.py share it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from schemas.errors import DataError, UsageError
from tasks.encoders import _cpu, _engine, tuned_fingerprint, weights_sum
from tasks.encoders._adapters import applied
from tasks.encoders._base import LanguageModelConfig, Progress, check_texts, collect, fingerprint
from tasks.encoders._place import device_of, dtype_of
from tasks.encoders._pooling import Pooling, described, described_limit, mean_of_chunks, pool, truncated
from tasks.encoders._safety import check_folder, check_loaded, tokenizer_hash
from tasks.encoders._stamp import Files, files_of, resolve
from tasks.encoders._tokens import Tokeniser

if TYPE_CHECKING:
    import torch

_LONGEST = 8192  # tokens per text where neither the config nor the model's folder sets a limit


class LanguageModelEncoder:
    """A loaded model that encodes texts.

    Attributes:
        engine: What feeds the model.
        spec: The facts that decide the vectors, with everything `auto` resolved; recorded with a bundle.
        config: The config with dtype and weights pinned to what was loaded: another machine that loads it gets this
            fingerprint or a refusal.
        weights_sha256: Of the weights, hex.
        dim: Width of the vectors.
        fingerprint: Sha256 (hex) of `spec`; of tuned weights, of it and them.
    """

    def __init__(
        self, engine: _engine.Engine, spec: dict[str, Any], config: LanguageModelConfig, tuned: "Tuned | None" = None
    ) -> None:
        self.engine = engine
        self.weights_sha256: str = spec["weights"]
        self.config = config.model_copy(update={"dtype": spec["dtype"], "sha256": spec["weights"]})
        self.spec = spec
        self.dim: int = spec["dimension"]
        frozen = fingerprint(spec)
        self.fingerprint = frozen if tuned is None else tuned_fingerprint(frozen, tuned.sha256)

    def encode(self, texts: list[str], progress: Progress | None = None) -> np.ndarray:
        """Vectors of `texts`, in order, as (n, dim) float32."""
        return collect(self, texts, progress)

    def encode_batches(self, texts: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (indices into `texts`, their vectors (b, dim) float32), a window of similar lengths at a time."""
        check_texts(texts)
        return self.engine.run(texts)


@dataclass(frozen=True)
class Tuned:
    """Tuned weights, known by their sum."""

    sha256: str
    arrays: Mapping[str, np.ndarray] = field(compare=False)

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray] | None) -> "Tuned | None":
        """The same with its sum; None for none."""
        return None if arrays is None else cls(weights_sum(arrays), arrays)


def build(
    config: LanguageModelConfig,
    device: str,
    pooling: Pooling | None,
    default: Pooling,
    end_token: bool = False,
    tuned: Mapping[str, np.ndarray] | None = None,
) -> LanguageModelEncoder:
    """Loads the model that `config` names and feeds it as `config` says.

    Args:
        config: The encoder's config.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        pooling: None takes what the model's folder says, else `default`.
        default: Pooling where neither the config nor the folder says.
        end_token: Whether the end-of-text token is put after each text.
        tuned: Weights that were tuned, as `_adapters` names them; None: those of the folder.

    Raises:
        DataError: the model is not there, not complete or not safe, or tuned weights do not fit it.
        UsageError: the config asks for what the model or the machine has not.
    """
    folder, expected = resolve(config)
    weights = check_folder(folder, expected)
    if config.sha256 not in (None, weights):
        check_folder(folder, config.sha256)
    style = _Style(pooling, default, end_token)
    return _built(config, device, style, folder, weights, files_of(folder), Tuned.of(tuned))


class _Style(NamedTuple):
    """How an encoder's kind treats a model: its pooling, the one where nothing says so, and an end-of-text token."""

    pooling: Pooling | None
    default: Pooling
    end_token: bool


@lru_cache(maxsize=1)
def _built(
    config: LanguageModelConfig,
    device: str,
    style: _Style,
    folder: Path,
    weights: str,
    files: Files,
    tuned: Tuned | None,
) -> LanguageModelEncoder:
    """The encoder of a checked folder with these files: slices of a run share one, a changed folder is read anew."""
    pooling, default, end_token = style
    place = device_of(device)
    dtype = dtype_of(config.dtype, place)
    model, tokenizer = load_parts(folder)
    model = model if tuned is None else applied(model, tuned.arrays)
    own_pooling, own_norm = described(folder) if pooling is None or config.normalise is None else (None, None)
    spec: dict[str, Any] = {
        "engine": _engine.VERSION,
        "weights": weights,
        "tokenizer": tokenizer_hash(folder),
        "pooling": pooling or own_pooling or default,
        "prefix": config.prefix,
        "end_token": end_token,
        "max_tokens": _limit(config, model, tokenizer, described_limit(folder)),
        "dtype": str(dtype).removeprefix("torch."),
        "long_texts": config.long_texts,
        "normalise": own_norm is not False if config.normalise is None else config.normalise,
        "dimension": _width(config, model),
        "text_normalisation": config.text_normalisation,
    }
    if end_token and tokenizer.eos_token_id is None:
        raise UsageError(f"{folder}: the tokenizer has no end-of-text token: set `end_token: false`")
    tokenise = _tokeniser(spec, tokenizer)
    return LanguageModelEncoder(_feed(config, spec, model, tokenise, place, dtype), spec, config, tuned)


def _tokeniser(spec: dict[str, Any], tokenizer: Any) -> Tokeniser:
    """From texts to rows of tokens, as the facts of an encoder say."""
    return Tokeniser(
        tokenizer,
        spec["prefix"],
        spec["max_tokens"],
        spec["long_texts"] == "chunk",
        spec["text_normalisation"] == "nfkc",
        (tokenizer.eos_token_id,) if spec["end_token"] else (),
    )


def _feed(
    config: LanguageModelConfig,
    spec: dict[str, Any],
    model: Any,
    tokenise: Tokeniser,
    place: "torch.device",
    dtype: "torch.dtype",
) -> _engine.Engine:
    """The engine of a model: where it stands, how a batch goes through it, and what is done to the result."""

    def finish(vectors: np.ndarray, sizes: np.ndarray, owner: np.ndarray, texts: int) -> np.ndarray:
        return truncated(mean_of_chunks(vectors, sizes, owner, texts), spec["dimension"], spec["normalise"])

    return _engine.Engine(
        tokenise=tokenise,
        forward=_forward(model, place, dtype, spec["pooling"], config.compile),
        finish=finish,
        device=place,
        pad=tokenise.tokenizer.pad_token_id or 0,
        budget=config.token_budget or (65_536 if place.type == "cuda" else 4_096),
        multiple=32 if config.compile else 1,
    )


def _forward(
    model: Any, place: "torch.device", dtype: "torch.dtype", pooling: Pooling, compiled: bool
) -> _engine.Forward:
    """One batch through the model. On CUDA the weights are cast once; on the CPU autocast keeps sums in float32."""
    import torch

    cast = dtype == torch.bfloat16 and place.type == "cpu"
    model = model.to(place) if cast else model.to(place, dtype)
    if place.type == "cpu" and not compiled and _cpu.available():
        model = _cpu.pack(model, dtype)
    if compiled:
        model = torch.compile(model, dynamic=True)

    def forward(ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=cast):
            states = model(input_ids=ids, attention_mask=mask).last_hidden_state
        return pool(states, mask, pooling)

    return forward


def load_parts(folder: Path) -> tuple[Any, Any]:
    """The model (float32, on the CPU, for inference) and its tokenizer, from safetensors, without foreign code.

    Raises:
        DataError: the folder cannot be loaded, or weights are missing from it.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    weights: dict[str, Any] = {"use_safetensors": True, "dtype": torch.float32, "output_loading_info": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        model, info = AutoModel.from_pretrained(folder, **weights, **options)
    except Exception as error:  # broken files surface as a dozen kinds; each means that the folder is unusable
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{folder}: the model cannot be loaded ({line}): give a complete model folder") from error
    check_loaded(folder, info)
    return model.eval().requires_grad_(False), tokenizer


def _limit(config: LanguageModelConfig, model: Any, tokenizer: Any, own: int | None) -> int:
    """Tokens per text: the config's, else the folder's, else the tokenizer's; never above the model's positions."""
    positions = getattr(model.config, "max_position_embeddings", None) or 10**9
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    if getattr(table, "padding_idx", None) is not None:  # RoBERTa and MPNet count positions from padding_idx + 1
        positions -= table.padding_idx + 1  # type: ignore[union-attr]
    hard = min(int(tokenizer.model_max_length), positions)
    if config.max_tokens is not None and config.max_tokens > hard:
        raise UsageError(f"max_tokens {config.max_tokens} is above what the model reads ({hard}): lower it")
    return config.max_tokens or min(own or hard, hard, _LONGEST)


def _width(config: LanguageModelConfig, model: Any) -> int:
    width = int(model.config.hidden_size)
    if config.dimension is not None and config.dimension > width:
        raise UsageError(f"dimension {config.dimension} is above the model's {width}: lower it")
    return config.dimension or width
