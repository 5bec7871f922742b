"""What every encoder offers, and what the language-model encoders are configured by."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import Field

from schemas.config import Positive, Section

if TYPE_CHECKING:
    import numpy as np

Progress = Callable[[int, int], None]
"""Called with (texts done, texts in all) after each window of texts."""


class Encoder(Protocol):
    """Turns texts into vectors. The same fingerprint and text give the same vector, up to the rounding of `dtype`."""

    dim: int
    fingerprint: str

    def encode(self, texts: list[str], progress: Progress | None = None) -> "np.ndarray":
        """Vectors of `texts`, in order, as (n, dim) float32."""
        ...

    def encode_batches(self, texts: list[str]) -> "Iterator[tuple[np.ndarray, np.ndarray]]":
        """Yields (indices into `texts`, their vectors (b, dim) float32) until each index came once, in any order."""
        ...


class LanguageModelConfig(Section):
    """Fields that encoders of language models share."""

    model: str = Field(
        "all-MiniLM-L6-v2",
        description="a local folder, the name of a model that comes in a package, or a hub name with its revision",
    )
    revision: str | None = Field(None, description="commit of the hub repository; a hub name needs one")
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="refuse weights with another sha256 (hex); none: recorded only"
    )
    offline: bool = Field(True, description="never ask the hub; what is not on this machine is refused")
    home: str | None = Field(
        None, description="folder under which packaged models are unpacked; none: FENQUN_HOME, else ./var"
    )
    prefix: str = Field("", description="put before each text, such as 'query: ' for E5")
    max_tokens: Positive | None = Field(None, description="tokens per text, special ones included; none: the model's")
    long_texts: Literal["truncate", "chunk"] = Field(
        "truncate", description="cut a text above max_tokens, or average its chunks, weighed by their tokens"
    )
    normalise: bool | None = Field(None, description="scale vectors to length 1; none: as the model's folder says")
    dimension: Positive | None = Field(None, description="keep the first dimensions only (Matryoshka); none: all")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="arithmetic of the layers; auto: bfloat16 where the device multiplies it natively"
    )
    text_normalisation: Literal["none", "nfkc"] = Field(
        "none", description="Unicode form given to the tokenizer; none: texts are taken as they come"
    )
    token_budget: Positive | None = Field(
        None, description="padded tokens per batch; none: 4096 on CPU, 65536 on a GPU; halved when memory is short"
    )
    compile: bool = Field(False, description="torch.compile with lengths padded to multiples of 32 (GPU; slow start)")


def fingerprint(spec: Mapping[str, object]) -> str:
    """Sha256 (hex) of the facts that decide an encoder's vectors, whatever their order."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def check_texts(texts: list[str]) -> None:
    """Refuses what tokenizers choke on.

    Raises:
        TypeError: `texts` holds something that is not a `str` (None, NaN), or is one `str`.
    """
    if isinstance(texts, str):
        raise TypeError("texts must be a list of str, not one str")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{index}] must be str, not {type(text).__name__}")


def collect(encoder: Encoder, texts: list[str], progress: Progress | None = None) -> "np.ndarray":
    """Runs `encode_batches` to its end and puts the vectors in the order of `texts`, as (n, dim) float32."""
    import numpy as np

    vectors = np.zeros((len(texts), encoder.dim), dtype=np.float32)
    done = 0
    for indices, batch in encoder.encode_batches(texts):
        vectors[indices] = batch
        done += len(indices)
        if progress is not None:
            progress(done, len(texts))
    return vectors
