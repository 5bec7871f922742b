"""An encoder that is loaded when it is first asked for a vector: a run whose texts are all in the cache needs none."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from schemas.config import Section, kind_of
from schemas.errors import DataError
from tasks.serving.plugins import module_of
from tasks.stores.artifacts import fingerprint, write_text


class LazyEncoder:
    """What is known of an encoder, and the encoder itself once it is needed.

    Attributes:
        facts: kind, config (with `auto` as it was resolved here), fingerprint, weights_sha256 and dimension.
    """

    def __init__(self, config: Section, device: str, facts: dict[str, Any] | None) -> None:
        self._config, self._device = config, device
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
        self._encoder = module_of("encoders", self._config).load(self._config, self._device)
        facts = {
            "kind": kind_of(self._config),
            "config": getattr(self._encoder, "config", self._config).model_dump(mode="json"),
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
