"""An encoder that is loaded when it is first asked for a vector, here or in a process for each GPU.

A run whose texts are all in the cache loads none.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from schemas.artifacts import State
from schemas.config import Section, kind_of
from schemas.errors import DataError
from schemas.execution import ExecutionConfig
from schemas.runs import Embedded
from tasks.disk.artifacts import fingerprint, load_state, write_text
from tasks.disk.embeddings import Counts, EmbeddingCache, fill
from tasks.disk.files import recalled, sealed
from tasks.execution.scheduler import Progress, on_gpus
from tasks.plugins.contracts import offers
from tasks.plugins.find import module_of, plugin, restored
from tasks.segments.bundle import Encoder

Lookup = Callable[[list[str]], np.ndarray]
"""Texts -> (n, d) float32 vectors: from the cache of embeddings, or straight from the encoder."""
_SHARE = 4096  # texts that one process encodes before it takes the next ones


class LazyEncoder:
    """What is known of an encoder, and the encoder itself once it is needed.

    Attributes:
        facts: kind, config (with `auto` as it was resolved here), fingerprint, sums of its weights, and dimension.
        tuned: Its weights that were tuned; None: it is frozen.
    """

    def __init__(self, facts: dict[str, Any], load: Callable[[], Any], tuned: State | None = None) -> None:
        self.facts, self.tuned, self._load = facts, tuned, load
        self._encoder: Any = None

    def encode_batches(self, texts: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (indices into `texts`, their vectors (b, dim) float32) of the encoder, which is loaded now.

        Raises:
            DataError: what was loaded is not what is known of it.
        """
        self._encoder = self._encoder or self._load()
        batches: Iterator[tuple[np.ndarray, np.ndarray]] = self._encoder.encode_batches(texts)
        return batches


def recorded(entry: Encoder, device: str = "auto", tuned: State | None = None) -> LazyEncoder:
    """The encoder that a bundle was fitted with, and its weights that were tuned."""
    return LazyEncoder(entry.model_dump(), partial(load_encoder, entry, device, tuned), tuned)


def reader_of(texts: Embedded, device: str = "auto") -> LazyEncoder:
    """The encoder that read the texts of a slice, tuned or frozen."""
    return recorded(Encoder(**texts.encoder), device, None if texts.tuned is None else load_state(texts.tuned))


def known(config: Section, device: str, home: str) -> LazyEncoder:
    """The encoder of a config; loaded now, unless one with the same stamp was loaded before.

    Args:
        config: A `Config` of `tasks/encoders`; plugins with a `stamp` are remembered, the others are quick to load.
        device: Where it runs.
        home: The state folder, which remembers.

    Raises:
        DataError: the model is not there, not complete or not safe.
        UsageError: the config asks for what the model or the machine has not.
    """
    module = module_of("encoders", config)
    if not offers("encoders", module, "stamp"):
        return _loaded(config, device)
    memory = Path(home) / "embeddings" / "known" / f"{fingerprint(kind_of(config), module.stamp(config, device))}.json"
    facts = recalled(memory)
    if facts is None:
        encoder = _loaded(config, device)
        write_text(memory, sealed(encoder.facts))
        return encoder
    return LazyEncoder(facts, partial(_unchanged, config, device, facts))


def _loaded(config: Section, device: str) -> LazyEncoder:
    encoder = module_of("encoders", config).load(config, device)
    return LazyEncoder(_facts(encoder, config), lambda: encoder)


def _unchanged(config: Section, device: str, facts: dict[str, Any]) -> Any:
    encoder = module_of("encoders", config).load(config, device)
    if _facts(encoder, config) != facts:
        raise DataError(f"encoder {facts['kind']}: its model changed while it was read; run again")
    return encoder


def _facts(encoder: Any, config: Section) -> dict[str, Any]:
    return {
        "kind": kind_of(config),
        "config": getattr(encoder, "config", config).model_dump(mode="json"),
        "fingerprint": encoder.fingerprint,
        "weights_sha256": getattr(encoder, "weights_sha256", None),
        "dimension": encoder.dim,
    }


def encode(
    texts: Sequence[str], encoder: LazyEncoder, home: str, execution: ExecutionConfig, progress: Progress | None = None
) -> Counts:
    """Fills the cache with the texts that it lacks: in this process, or in one for each GPU where there are several.

    Args:
        texts: Texts, repeated or not.
        encoder: As `known` or `recorded` gives it.
        home: The state folder, which every process reaches: each writes the vectors it made.
        execution: How many GPUs, and where their workers are.
        progress: Hears (texts encoded, texts to encode).

    Returns:
        Distinct texts found and encoded.
    """
    cache = cache_of(encoder, home)
    missing = cache.missing(texts) if execution.gpus > 1 else []
    if len(missing) < 2:
        return fill(cache, encoder, texts, progress)
    count = min(len(missing), max(execution.gpus, len(missing) // _SHARE))

    def told(done: int, of: int) -> None:
        if progress is not None:
            progress(len(missing) * done // of, len(missing))

    shares = [missing[start::count] for start in range(count)]  # each with short and long texts
    on_gpus(partial(_share, encoder.facts, encoder.tuned, execution.device, home), shares, execution, told)
    return Counts(hits=len(set(texts)) - len(missing), misses=len(missing))


def _share(facts: dict[str, Any], tuned: State | None, device: str, home: str, texts: list[str]) -> None:
    os.environ.setdefault("FENQUN_HOME", home)
    encoder = recorded(Encoder(**facts), device, tuned)
    fill(cache_of(encoder, home), encoder, texts)


def cache_of(encoder: LazyEncoder, home: str) -> EmbeddingCache:
    """The cache of an encoder's vectors in a state folder."""
    return EmbeddingCache(Path(home) / "embeddings", encoder.facts["fingerprint"], encoder.facts["dimension"])


def load_encoder(entry: Encoder, device: str = "auto", tuned: State | None = None) -> Any:
    """The encoder that a bundle was fitted with.

    Args:
        entry: What the bundle says of it.
        device: Where it runs.
        tuned: Its weights that were tuned; their sum is part of the fingerprint.

    Raises:
        DataError: the encoder found here is another one.
    """
    module = plugin("encoders", entry.kind)
    config = restored(module.Config, entry.config, f"encoders.{entry.kind}")
    if (entry.tuned_sha256 is None) != (tuned is None):
        raise DataError(f"encoder {entry.kind}: tuned weights and what is said of them do not go together; retrain")
    encoder = module.load(config, device) if tuned is None else module.tuned(config, device, tuned.arrays)
    if encoder.fingerprint != entry.fingerprint or encoder.dim != entry.dimension:
        raise DataError(
            f"encoder {entry.kind}: not the one of the bundle (fingerprints differ); restore that model, or retrain"
        )
    return encoder


def lazy_lookup(entry: Encoder, device: str = "auto", tuned: State | None = None) -> Lookup:
    """Vectors straight from the recorded encoder, which is loaded at the first call.

    They are rounded to float16 as the cache rounds them, so that cached and fresh vectors of a text are the same.

    Raises (at the first call):
        DataError: the encoder found here is not the one that the bundle was fitted with.
    """
    loaded: list[Any] = []

    def lookup(texts: list[str]) -> np.ndarray:
        if not texts:  # nothing to read is no reason to load a model
            return np.empty((0, entry.dimension), np.float32)
        if not loaded:
            loaded.append(load_encoder(entry, device, tuned))
        vectors: np.ndarray = loaded[0].encode(texts)
        return vectors.astype(np.float16).astype(np.float32)

    return lookup
