"""What serving needs beside the bundle: items and their texts' vectors, the shape of the users table, rules of ingest.

With the vectors at hand a user without new text is answered without a language model, and exactly as in training:
an encoder gives a text other last digits alone than in a batch.
"""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from schemas.artifacts import ArtifactRef
from schemas.config import IngestConfig, TextsConfig
from schemas.errors import DataError
from schemas.tables import ITEMS, TEXT, USERS
from tasks.disk.artifacts import write_parquet, write_text
from tasks.segments.bundle import Bundle
from tasks.stores.buckets import read_frames, read_table

if TYPE_CHECKING:
    import polars as pl

ITEMS_FILE, USERS_FILE, VECTORS_FILE = "items.parquet", "users.parquet", "vectors.safetensors"
INGEST_FILE = "ingest.json"
FILES = (ITEMS_FILE, USERS_FILE, VECTORS_FILE, INGEST_FILE)
_KEYS, _VECTORS = "keys", "vectors"
_KEY = np.dtype("S16")
Lookup = Callable[[list[str]], np.ndarray]


class Known(NamedTuple):
    """Vectors of known texts: sorted (n,) keys of 16 bytes, and (n, d) float16."""

    keys: np.ndarray
    vectors: np.ndarray

    def find(self, texts: list[str]) -> np.ndarray:
        """(m,) row of each text, −1 where it is not known."""
        if not len(self.keys):
            return np.full(len(texts), -1)
        asked = text_keys(texts)
        at = np.minimum(np.searchsorted(self.keys, asked), len(self.keys) - 1)
        return np.where(self.keys[at] == asked, at, -1)


class Catalogue(NamedTuple):
    """The files beside a bundle; None where the training data had no such table."""

    items: "pl.DataFrame | None"
    users: "pl.DataFrame | None"
    known: Known | None
    ingest: IngestConfig = IngestConfig()


def text_keys(texts: list[str]) -> np.ndarray:
    """(n,) keys of 16 bytes, the same on every machine."""
    sized = (blake2b(t.encode("utf-8", "surrogatepass"), digest_size=_KEY.itemsize).digest() for t in texts)
    return np.frombuffer(b"".join(sized), _KEY)


def write(
    folder: Path, tables: Mapping[str, ArtifactRef], bundle: Bundle, lookup: Lookup | None, ingest: IngestConfig
) -> None:
    """Writes the files of a bundle's catalogue; tables that are not there are left out.

    Args:
        folder: Where to.
        tables: Input tables of the training.
        bundle: Whose texts config makes the items' texts.
        lookup: Vectors of those texts; None: the bundle reads no texts.
        ingest: By which rules the tables were read, and requests will be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / INGEST_FILE, ingest.model_dump_json())
    items = read_table(tables[ITEMS.name]) if ITEMS.name in tables else None
    if items is not None:
        write_parquet(folder / ITEMS_FILE, items)
    if USERS.name in tables:
        write_parquet(folder / USERS_FILE, next(read_frames(tables[USERS.name])).clear())
    texts = [] if lookup is None else texts_of(items, bundle)
    if lookup is not None and texts:
        _write_vectors(folder / VECTORS_FILE, texts, lookup(texts))


def texts_of(items: "pl.DataFrame | None", bundle: Bundle) -> list[str]:
    """Distinct texts of a catalogue, also of items that nobody has touched yet; none where the bundle reads none."""
    from tasks.texts.templates import item_texts

    if items is None or bundle.manifest.texts is None:
        return []
    config = TextsConfig(**bundle.manifest.texts)
    found: list[str] = item_texts(items, config).get_column(TEXT).unique().sort().to_list()
    return found if config.consumed_weight else []


def _write_vectors(path: Path, texts: list[str], vectors: np.ndarray) -> None:
    from safetensors.numpy import save_file

    keys = text_keys(texts)
    order = np.argsort(keys)
    bytes_ = keys[order].view(np.uint8).reshape(-1, _KEY.itemsize)
    arrays: dict[str, np.ndarray] = {_KEYS: bytes_, _VECTORS: vectors[order].astype(np.float16)}
    save_file(arrays, path)


def read(folder: Path) -> Catalogue:
    """The catalogue in a folder; what was not written is None.

    Raises:
        DataError: a file is damaged.
    """
    import polars as pl

    try:
        items, users = (
            pl.read_parquet(folder / name) if (folder / name).exists() else None for name in (ITEMS_FILE, USERS_FILE)
        )
        return Catalogue(items, users, _read_vectors(folder / VECTORS_FILE), _read_ingest(folder / INGEST_FILE))
    except (pl.exceptions.PolarsError, OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder}: the catalogue is damaged ({str(error).splitlines()[0][:200]})") from error


def _read_ingest(path: Path) -> IngestConfig:
    """The rules of the training; plain ones beside a model of a version that kept none."""
    return IngestConfig.model_validate_json(path.read_bytes()) if path.exists() else IngestConfig()


def _read_vectors(path: Path) -> Known | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.exists():
        return None
    try:
        arrays = load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    keys, vectors = arrays[_KEYS], arrays[_VECTORS]
    shape = (len(vectors), _KEY.itemsize)
    if keys.dtype != np.uint8 or keys.shape != shape or vectors.dtype != np.float16 or vectors.ndim != 2:
        raise ValueError("vectors of another shape than fenqun writes")
    return Known(np.ascontiguousarray(keys).view(_KEY).reshape(-1), vectors)


def known_first(known: Known | None, other: Lookup) -> Lookup:
    """Looks texts up among the known vectors, and asks `other` for the rest only."""
    if known is None:
        return other

    def lookup(texts: list[str]) -> np.ndarray:
        at = known.find(texts)
        missing = np.flatnonzero(at < 0)
        if not len(missing):
            return known.vectors[at].astype(np.float32)
        fresh = other([texts[i] for i in missing.tolist()])
        vectors = np.empty((len(texts), fresh.shape[1]), np.float32)
        vectors[at >= 0] = known.vectors[at[at >= 0]]
        vectors[missing] = fresh
        return vectors

    return lookup
