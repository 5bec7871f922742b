"""Which texts a tuned model never sees, and how well their partners are found."""

from dataclasses import dataclass

import numpy as np

from schemas.reports import Difference
from schemas.tuning import Examples
from tasks.numerics.keys import splitmix64
from tasks.numerics.paired import difference

_DRAWS = 1000
_FEWEST = 10  # texts to watch or to judge by
_AT_ONCE = 256  # texts whose partners are looked for at once


@dataclass(frozen=True)
class Held:
    """A split of texts, all as places in `Examples.texts`.

    Attributes:
        texts: (t,) trained on.
        pairs: (m, 2) both ends of which are trained on.
        candidates: (c,) among which partners are looked for, sorted.
        watched: (w, 2) text watched and its partner, both candidates; the partner may be on any side.
        judged: (j, 2) text judged and its partner.
    """

    texts: np.ndarray
    pairs: np.ndarray
    candidates: np.ndarray
    watched: np.ndarray
    judged: np.ndarray

    def lacks(self) -> str:
        """What there is too little of to tell a better model from a worse one; nothing where there is enough."""
        few = min(len(np.unique(side[:, 0])) for side in (self.watched, self.judged))
        return f"only {few} held-out texts have a partner" if few < _FEWEST else ""


def hold_out(examples: Examples, share: float, candidates: int, seed: int) -> Held:
    """Splits texts by their own hash: whatever else there is, a text stays on its side.

    Args:
        examples: Texts and pairs.
        share: Of texts that are not trained on.
        candidates: At most.
        seed: Another one is another split.
    """
    hashes = splitmix64(_keys(examples.texts) ^ np.uint64(seed))
    out = hashes.astype(np.float64) / 2.0**64 < share
    watched = out & (splitmix64(hashes) % np.uint64(2) == 0)
    near = np.zeros(len(hashes), dtype=bool)
    near[np.argsort(splitmix64(hashes ^ np.uint64(1)), kind="stable")[:candidates]] = True
    both = np.concatenate([examples.pairs, examples.pairs[:, ::-1]])
    asked = both[near[both].all(axis=1)]
    return Held(
        texts=np.flatnonzero(~out),
        pairs=examples.pairs[~out[examples.pairs].any(axis=1)],
        candidates=np.flatnonzero(near),
        watched=asked[watched[asked[:, 0]]],
        judged=asked[(out & ~watched)[asked[:, 0]]],
    )


def _keys(texts: tuple[str, ...]) -> np.ndarray:
    from hashlib import blake2b

    digests = b"".join(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


@dataclass(frozen=True)
class Judged:
    """Texts whose partners are looked for.

    Attributes:
        texts: The candidates.
        asked: (m, 2) text and partner, places in `texts`, sorted by text.
        top: A partner counts as found among so many.
    """

    texts: list[str]
    asked: np.ndarray
    top: int

    @classmethod
    def of(cls, pairs: np.ndarray, held: Held, examples: Examples, top: int) -> "Judged":
        """The texts of `held.judged`, or of `held.watched`."""
        asked = np.searchsorted(held.candidates, pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))])
        return cls([examples.texts[at] for at in held.candidates.tolist()], asked, top)

    def found(self, vectors: np.ndarray) -> np.ndarray:
        """(q,) share of the partners of each text that are among its nearest candidates, itself left out.

        Args:
            vectors: (c, d) of `texts`.
        """
        length = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        unit = (vectors / length).astype(np.float32)
        texts, first = np.unique(self.asked[:, 0], return_index=True)
        edges = np.append(first, len(self.asked))
        shares = np.zeros(len(texts))
        for start in range(0, len(texts), _AT_ONCE):
            some = texts[start : start + _AT_ONCE]
            near = unit[some] @ unit.T
            near[np.arange(len(some)), some] = -np.inf
            for row, scores in enumerate(near, start=start):
                partners = self.asked[edges[row] : edges[row + 1], 1]
                ranks = (scores[None, :] >= scores[partners][:, None]).sum(axis=1)
                shares[row] = (ranks <= self.top).mean()
        return shares

    def compare(self, tuned: np.ndarray, frozen: np.ndarray, seed: int) -> Difference:
        """Recall by tuned vectors minus that by frozen ones, over texts, with an interval from paired resamples."""
        rng = np.random.default_rng(seed)
        found = difference(self.found(tuned), self.found(frozen), _DRAWS, rng)
        assert found is not None, "hold_out lacks nothing"
        return found
