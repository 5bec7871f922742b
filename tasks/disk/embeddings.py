"""The content-addressed cache of embeddings: each distinct text is encoded once, ever.

A vector's key is a hash of (encoder fingerprint, text). Vectors lie as float16 in shards, one file each, which are
written aside, flushed and renamed, and never changed: a killed run leaves whole shards and no torn one. A shard that is
damaged all the same is told, set aside, and its texts are encoded again. Shards are added under a kernel lock, and a
key that is there already is not added again, so that of concurrent runs the first one's vector stays for good.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import numpy as np

from schemas.errors import DataError
from tasks.disk.files import flush, set_aside
from tasks.disk.lock import held
from tasks.disk.shards import HEADER, KEY, Shard, read_keys, to_bytes, vectors_whole

_SHARD_BYTES = 32 * 2**20
_FLUSH_ROWS = 1024  # texts that a killed run loses at most, beside the window in flight
_COPY_ROWS = 4096  # copies of this size use the same memory again; larger ones ask the kernel for new pages each time
_READ_ALL = 8  # a shard is read whole when more than 1 in so many of its rows are wanted


class Encoder(Protocol):
    """What `fill` needs of an encoder."""

    def encode_batches(self, texts: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (indices into `texts`, their vectors (b, dim))."""
        ...


@dataclass(frozen=True)
class Counts:
    """Distinct texts that were in the cache, and those that had to be encoded."""

    hits: int
    misses: int


class EmbeddingCache:
    """Vectors of one encoder, by text.

    What `get` returns is what was rounded to float16: training and serving use these values and no others.

    Args:
        folder: Home of all encoders' vectors; this encoder's lie in a folder of their own inside.
        fingerprint: The encoder's; another fingerprint shares nothing with this one.
        dim: Width of the vectors.
    """

    def __init__(self, folder: str | Path, fingerprint: str, dim: int) -> None:
        self.folder = Path(folder) / fingerprint[:32]
        self.dim = dim
        self._salt = hashlib.blake2b(fingerprint.encode(), digest_size=32).digest()
        self._shards: list[Shard] = []
        self._seen: set[str] = set()
        self._keys = np.zeros(0, dtype=KEY)
        self._places = np.zeros(0, dtype=np.int64)  # position in the shards' keys, put in a row
        self._refresh()

    def __len__(self) -> int:
        return len(self._keys)

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The distinct texts that are not in the cache, in the order of their first appearance."""
        self._refresh()
        distinct = list(dict.fromkeys(texts))
        keys = self._hash(distinct)
        self._check(self._find(keys))
        known = self._find(keys) >= 0
        return [text for text, here in zip(distinct, known.tolist(), strict=True) if not here]

    def put(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        """Adds vectors (n, dim), rounded to float16, for good; a text that is there already keeps its vector.

        Raises:
            DataError: a vector has the wrong width or holds a number that float16 cannot.
        """
        if vectors.shape != (len(texts), self.dim):
            raise DataError(f"embeddings: vectors are {vectors.shape}, expected {(len(texts), self.dim)}")
        with np.errstate(over="ignore"):
            rounded = vectors.astype("<f2")
        if np.isinf(rounded).any():
            raise DataError("embeddings: the encoder gives infinite or huge numbers: set its `normalise: true`")
        keys, first = np.unique(self._hash(texts), return_index=True)
        with self._locked():
            self._refresh()
            new = self._find(keys) < 0
            self._write(keys[new], rounded[first[new]])
        self._refresh()

    def get(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of `texts`, in order, as (n, dim) float32.

        Raises:
            DataError: some texts are not in the cache; encode `missing(texts)` first.
        """
        keys = self._hash(texts)
        places = self._find(keys)
        if (places < 0).any():
            self._refresh()
            places = self._find(keys)
        if self._check(places):
            places = self._find(keys)
        if absent := int((places < 0).sum()):
            raise DataError(f"embeddings: {absent} of {len(texts)} texts are not in {self.folder}: run embed first")
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        order = np.argsort(places, kind="stable")
        edges = np.cumsum([0, *(len(shard.keys) for shard in self._shards)])
        cuts = np.searchsorted(places[order], edges)
        for shard, edge, start, stop in zip(self._shards, edges, cuts[:-1], cuts[1:], strict=False):
            if stop > start:
                wanted = order[start:stop]
                self._read(shard, places[wanted] - edge, vectors, wanted)
        return vectors

    def _hash(self, texts: Sequence[str]) -> np.ndarray:
        salted = hashlib.blake2b(digest_size=KEY.itemsize, key=self._salt)
        digests = bytearray()
        for text in texts:
            state = salted.copy()
            state.update(text.encode("utf-8", "surrogatepass"))
            digests += state.digest()
        return np.frombuffer(bytes(digests), dtype=KEY)

    def _find(self, keys: np.ndarray) -> np.ndarray:
        """(n,) places of `keys` in the shards' keys put in a row, −1 where a key is unknown."""
        if not len(self._keys):
            return np.full(len(keys), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[at] == keys, self._places[at], -1)

    def _refresh(self) -> None:
        """Takes up the shards that this or another process added since the last look."""
        names = sorted(file.name for file in self.folder.glob("*.shard") if file.name not in self._seen)
        if not names:
            return
        for name in names:
            try:
                self._shards.append(Shard(self.folder / name, read_keys(self.folder / name, self.dim)))
                self._seen.add(name)
            except DataError as error:
                self._set_aside(self.folder / name, str(error))
        self._index()

    def _index(self) -> None:
        """Puts the shards' keys in a row and sorts them."""
        row = np.concatenate([np.zeros(0, dtype=KEY), *(shard.keys for shard in self._shards)])
        self._places = np.argsort(row, kind="stable")
        self._keys = row[self._places]

    def _check(self, places: np.ndarray) -> bool:
        """Holds the vectors that are about to be used against their sums; whether some were damaged and set aside."""
        edges = np.cumsum([len(shard.keys) for shard in self._shards])
        wanted = np.unique(np.searchsorted(edges, places[places >= 0], side="right"))
        shards = (self._shards[number] for number in wanted.tolist())
        damaged = [shard.file for shard in shards if not vectors_whole(shard)]
        for file in damaged:
            self._set_aside(file, "its vectors are not what was written")
        if damaged:
            self._shards = [shard for shard in self._shards if shard.file not in damaged]
            self._index()
        return bool(damaged)

    def _set_aside(self, file: Path, why: str) -> None:
        with suppress(FileNotFoundError):  # whoever found it too was first
            set_aside(file, why)

    def _read(self, shard: Shard, rows: np.ndarray, vectors: np.ndarray, at: np.ndarray) -> None:
        """Puts `rows` of a shard at the places `at` of `vectors`; one shard's bytes are in memory at a time."""
        offset, shape = HEADER.itemsize + shard.keys.nbytes, (len(shard.keys), self.dim)
        if len(rows) * _READ_ALL > len(shard.keys):
            whole = np.fromfile(shard.file, dtype="<f2", offset=offset, count=shape[0] * shape[1]).reshape(shape)
        else:
            whole = np.memmap(shard.file, dtype="<f2", mode="r", offset=offset, shape=shape)
        for start in range(0, len(rows), _COPY_ROWS):
            part = slice(start, start + _COPY_ROWS)
            vectors[at[part]] = whole[rows[part]].astype(np.float32)

    def _write(self, keys: np.ndarray, vectors: np.ndarray) -> None:
        step = max(_SHARD_BYTES // (2 * self.dim + KEY.itemsize), 1)
        for start in range(0, len(keys), step):
            part = np.ascontiguousarray(keys[start : start + step])
            number = len(self._seen) + start // step
            file = self.folder / f"{number:08d}-{uuid4().hex[:8]}.shard"
            aside = file.with_suffix(".tmp")
            with aside.open("wb") as out:
                out.write(to_bytes(part, np.ascontiguousarray(vectors[start : start + step])))
                out.flush()
                os.fsync(out.fileno())
            aside.rename(file)
            flush(self.folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with held(self.folder / ".lock"):
            for torn in self.folder.glob("*.tmp"):  # left by a killed run: who holds the lock writes none
                torn.unlink()
            yield


def fill(
    cache: EmbeddingCache,
    encoder: Encoder,
    texts: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
) -> Counts:
    """Encodes the texts that the cache lacks and writes as it goes: after a kill, a rerun encodes only the rest.

    Args:
        cache: The encoder's cache.
        encoder: Encodes what is missing.
        texts: Texts, repeated or not.
        progress: Called with (texts encoded, texts to encode) after each window.

    Returns:
        Distinct texts found and encoded.
    """
    missing = cache.missing(texts)
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    done = held = 0

    def flush() -> None:
        indices = np.concatenate([indices for indices, _ in waiting])
        cache.put([missing[i] for i in indices.tolist()], np.concatenate([vectors for _, vectors in waiting]))
        waiting.clear()

    for indices, vectors in encoder.encode_batches(missing) if missing else ():
        waiting.append((indices, vectors))
        held += len(indices)
        done += len(indices)
        if held >= _FLUSH_ROWS:
            flush()
            held = 0
        if progress is not None:
            progress(done, len(missing))
    if waiting:
        flush()
    return Counts(hits=len(set(texts)) - len(missing), misses=len(missing))
