"""Lists made anew from longer ones: diverse, with room for the long tail, within business rules.

One pass fills the ranks 1..n of every list: at each the best candidate that no rule forbids. Without rules the list is
the first n candidates. Equal ones go by their place among the candidates, so that nothing is drawn.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from schemas.errors import DataError
from tasks.ranking.exposure import unit_rows

if TYPE_CHECKING:
    import scipy.sparse as sp

_CHUNK_VALUES = 8_000_000  # components of candidates' vectors held at once (64 MB)


@dataclass(frozen=True)
class Rules:
    """What lists must keep to. Each rule is off by default.

    Attributes:
        relevance: Weight of a candidate's score against its likeness to what is chosen already, in [0, 1]; 1: the
            scores alone. A candidate is worth relevance · score − (1 − relevance) · its largest cosine to the items
            above it, if above 0; scores are scaled to 0..1 in each list (maximal marginal relevance; Carbonell and
            Goldstein 1998).
        vectors: (items, d) array or CSR, of which the cosines are; needed where relevance < 1.
        tail: (items,) bool, the long tail; needed where tail_share > 0.
        tail_share: Least share of each list that is of the long tail, as far as there are candidates of it.
        never: (items,) bool, never recommended.
        always: (a,) distinct item columns at the head of every list, in this order, candidates or not.
        categories: (items, c) CSR, 1 where an item has a category; needed with at_most.
        at_most: Items of any one category in a list; `always` counts, but is not cut.
    """

    relevance: float = 1.0
    vectors: "np.ndarray | sp.csr_matrix | None" = None
    tail: np.ndarray | None = None
    tail_share: float = 0.0
    never: np.ndarray | None = None
    always: tuple[int, ...] = ()
    categories: "sp.csr_matrix | None" = None
    at_most: int | None = None

    def __post_init__(self) -> None:
        """Refuses rules without what they need, and shares that are none."""
        wanted = (
            (self.relevance < 1, self.vectors, "vectors"),
            (self.tail_share > 0, self.tail, "tail"),
            (self.at_most is not None, self.categories, "categories"),
        )
        if missing := [name for asked, given, name in wanted if asked and given is None]:
            raise DataError(f"rules of lists need {', '.join(missing)}")
        if not (0 <= self.relevance <= 1 and 0 <= self.tail_share <= 1):
            raise DataError(f"rules of lists: {self.relevance} and {self.tail_share} must be in [0, 1]")


def rerank(candidates: np.ndarray, scores: np.ndarray, n: int, rules: Rules) -> np.ndarray:
    """Lists of n out of candidates.

    Args:
        candidates: (m, c) distinct item columns, best first, −1 where there are no more.
        scores: (m, c) finite scores of theirs; whatever stands at −1 is not read.
        n: Length of the lists.
        rules: What they must keep to.

    Returns:
        (m, n) int64 item columns, −1 where nothing that the rules allow is left.
    """
    always = [item for item in rules.always if rules.never is None or not rules.never[item]]
    listed = np.full((len(candidates), len(always)), always, np.int64)
    others = np.where(np.isin(candidates, always), -1, candidates)
    pool = np.hstack([listed, others]).astype(np.int64)
    worth = np.hstack([np.ones(listed.shape), _scaled(others, scores)])
    step = max(1, _CHUNK_VALUES // max(pool.shape[1] * _width(rules), 1))
    chosen = np.full((len(pool), n), -1, np.int64)
    for start in range(0, len(pool), step):
        part = slice(start, start + step)
        chosen[part] = _Lists(pool[part], worth[part], len(always), rules).fill(n)
    return chosen


class _Lists:
    """Lists on the way: what is free, and what each free candidate is like.

    Attributes:
        pool: (m, c) item columns, the first `fixed` of which stand at the head.
        free: (m, c) bool, not chosen and not forbidden.
        nearest: (m, c) largest cosine to what is chosen.
        used: (m, categories) items of each category so far.
    """

    def __init__(self, pool: np.ndarray, worth: np.ndarray, fixed: int, rules: Rules) -> None:
        self.pool, self.worth, self.fixed, self.rules = pool, worth, fixed, rules
        self.free = (pool >= 0) & (True if rules.never is None else ~rules.never[pool])
        self.rows = np.arange(len(pool))
        self.nearest = np.zeros(pool.shape)
        self.vectors = _gathered(pool, rules.vectors, True) if rules.relevance < 1 else None
        self.marks = _gathered(pool, rules.categories, False) if rules.at_most is not None else None
        self.used = np.zeros((len(pool), 0 if self.marks is None else self.marks.shape[2]))
        self.tail = np.zeros(pool.shape, bool) if rules.tail is None else rules.tail[pool] & (pool >= 0)

    def fill(self, n: int) -> np.ndarray:
        """(m, n) lists, rank by rank."""
        chosen = np.full((len(self.pool), n), -1, np.int64)
        owed = np.minimum(np.ceil(self.rules.tail_share * n - 1e-9), (self.tail & self.free).sum(axis=1))
        for rank in range(n if self.pool.shape[1] else 0):
            value = self._values(rank, owed >= n - rank)
            best = value.argmax(axis=1)
            there = value[self.rows, best] > -np.inf
            chosen[there, rank] = self.pool[self.rows, best][there]
            owed -= self.tail[self.rows, best] & there
            self._take(best, there)
        return chosen

    def _values(self, rank: int, pressed: np.ndarray) -> np.ndarray:
        """(m, c) worth of each candidate at a rank, −inf where it may not stand there.

        Args:
            rank: From 0.
            pressed: (m,) bool: as many ranks are left as items of the long tail are owed.
        """
        if rank < self.fixed:
            return np.where(np.arange(self.pool.shape[1]) == rank, 0.0, -np.inf)[None, :].repeat(len(self.pool), axis=0)
        allowed = self.free
        if self.marks is not None:
            full = self.used >= (np.inf if self.rules.at_most is None else self.rules.at_most)
            allowed = allowed & ~np.einsum("mcd,md->mc", self.marks, full.astype(np.float64)).astype(bool)
        owed = allowed & self.tail
        allowed = np.where((pressed & owed.any(axis=1))[:, None], owed, allowed)
        share = self.rules.relevance
        return np.where(allowed, share * self.worth - (1 - share) * self.nearest, -np.inf)

    def _take(self, best: np.ndarray, there: np.ndarray) -> None:
        """Mark the candidates at (m,) places as chosen, where there is one."""
        self.free[self.rows[there], best[there]] = False
        if self.marks is not None:
            self.used += self.marks[self.rows, best] * there[:, None]
        if self.vectors is not None:
            like = np.einsum("mcd,md->mc", self.vectors, self.vectors[self.rows, best])
            self.nearest = np.where(there[:, None], np.maximum(self.nearest, like), self.nearest)


def _scaled(candidates: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(m, c) scores scaled to 0..1 over the candidates of each list; 1 where all are equal."""
    there = candidates >= 0
    least = np.where(there, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    most = np.where(there, scores, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    known = np.where(there, scores, most) - np.where(np.isfinite(least), least, 0.0)
    span = np.where(most > least, most - least, 1.0)
    return np.where(there & (most > least), known / span, 1.0)


def _gathered(pool: np.ndarray, rows: "np.ndarray | sp.csr_matrix | None", unit: bool) -> np.ndarray:
    """(m, c, d) rows of each candidate, zeros at −1; of length 1 if asked."""
    shown, place = np.unique(pool, return_inverse=True)
    assert rows is not None  # `Rules` refuses to lack it
    own = rows[np.maximum(shown, 0)]
    own = unit_rows(own) if unit else own.astype(np.float64)
    dense = own if isinstance(own, np.ndarray) else own.toarray()
    dense[shown < 0] = 0.0
    return np.asarray(dense[place.reshape(pool.shape)])


def _width(rules: Rules) -> int:
    """Components of what is gathered of a candidate."""
    vectors = rules.vectors.shape[1] if rules.relevance < 1 and rules.vectors is not None else 0
    return (
        vectors + (rules.categories.shape[1] if rules.categories is not None and rules.at_most is not None else 0) + 1
    )
