"""An encoder that is loaded when it is first asked for a vector, here or in a process for each GPU.

A run whose texts are all in the cache loads none.
"""

import json
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from schemas.config import ExecutionConfig, Section, kind_of
from schemas.errors import DataError
from tasks.serving.plugins import module_of
from tasks.serving.progress import Progress
from tasks.stores._scheduler import on_gpus
from tasks.stores.artifacts import fingerprint, write_text
from tasks.stores.embeddings import Counts, EmbeddingCache, fill

_SHARE = 4096  # texts that one process encodes before it takes the next ones


class LazyEncoder:
    """What is known of an encoder, and the encoder itself once it is needed.

    Attributes:
        config: As it was asked for.
        device: Where it runs.
        facts: kind, config (with `auto` as it was resolved here), fingerprint, weights_sha256 and dimension.
    """

    def __init__(self, config: Section, device: str, facts: dict[str, Any] | None) -> None:
        self.config, self.device = config, device
        self._encoder: Any = None
        self.facts = facts if facts is not None else self._load()

    def encode_batches(self, texts: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (indices into `texts`, their vectors (b, dim) float32) of the encoder, which is loaded now.

        Raises:
            DataError: what was loaded is not what is known of it.
        """
        if self._encoder is None and (found := self._load()) != self.facts:
            raise DataError(f"encoder {found['kind']}: its model changed while it was read; run again")
        batches: Iterator[tuple[np.ndarray, np.ndarray]] = self._encoder.encode_batches(texts)
        return batches

    def _load(self) -> dict[str, Any]:
        self._encoder = module_of("encoders", self.config).load(self.config, self.device)
        facts = {
            "kind": kind_of(self.config),
            "config": getattr(self._encoder, "config", self.config).model_dump(mode="json"),
            "fingerprint": self._encoder.fingerprint,
            "weights_sha256": getattr(self._encoder, "weights_sha256", None),
            "dimension": self._encoder.dim,
        }
        plain: dict[str, Any] = json.loads(json.dumps(facts))
        return plain


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
    if not hasattr(module, "stamp"):
        return LazyEncoder(config, device, None)
    memory = Path(home) / "embeddings" / "known" / f"{fingerprint(kind_of(config), module.stamp(config, device))}.json"
    try:
        facts = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        facts = None
    encoder = LazyEncoder(config, device, facts)
    if facts is None:
        write_text(memory, json.dumps(encoder.facts, ensure_ascii=False))
    return encoder


def encode(
    texts: Sequence[str], encoder: LazyEncoder, home: str, execution: ExecutionConfig, progress: Progress | None = None
) -> Counts:
    """Fills the cache with the texts that it lacks: in this process, or in one for each GPU where there are several.

    Args:
        texts: Texts, repeated or not.
        encoder: As `known` gives it.
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
    on_gpus(partial(_share, encoder.config, encoder.device, home), shares, execution, told)
    return Counts(hits=len(set(texts)) - len(missing), misses=len(missing))


def _share(config: Section, device: str, home: str, texts: list[str]) -> None:
    os.environ.setdefault("FENQUN_HOME", home)
    encoder = known(config, device, home)
    fill(cache_of(encoder, home), encoder, texts)


def cache_of(encoder: LazyEncoder, home: str) -> EmbeddingCache:
    """The cache of an encoder's vectors in a state folder."""
    return EmbeddingCache(Path(home) / "embeddings", encoder.facts["fingerprint"], encoder.facts["dimension"])
