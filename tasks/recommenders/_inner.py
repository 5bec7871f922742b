"""A validation slice within the histories that a recommender is fitted on, by which it settles what it was not told.

The newest fifth of each user's own history is held out, and histories are cut to their newest few of what is left, as
users of so many events are known. Nothing outside the histories is read. The segments are taken as they are: they were
found on the whole of them, so what speaks for a segment looks a little better here than it is. A cell has one time, so
an item that was repeated is held out as a whole, and what a user has already is never what is to be found.
"""

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import DataError
from schemas.interactions import Interactions, Items
from tasks.numerics.accuracy import accuracy
from tasks.numerics.hits import clean
from tasks.numerics.interactions import newer
from tasks.recommenders._fitted import Fitted, highest

if TYPE_CHECKING:
    import scipy.sparse as sp

TOP = 10  # items of a list that is judged
HELD = 0.2  # share of each history, its newest
_SCORES = 8_000_000  # users × items that are judged at most (64 MB)

Params = dict[str, float | int | bool | str | None]


@dataclass(frozen=True)
class Slice:
    """Histories without their newest fifth, and users to judge by.

    Attributes:
        kept: (n, items) histories to fit on.
        users: (m,) row numbers of the users to judge by: some is left of their histories, and some is held out.
        held: (m, items) CSR, 1 where an item is held out.
    """

    kept: Interactions
    users: np.ndarray
    held: "sp.csr_matrix"

    def known_by(self, events: int | None) -> Interactions:
        """(m, items) the users' histories cut to their newest items, so many; None: as they are."""
        own = self.kept.rows(self.users)
        return own if events is None else part_of(own, newer(own) < events)

    def recall(self, scores: np.ndarray) -> np.ndarray:
        """(m,) recall in the first ten of (m, items) scores; what was kept is not recommended."""
        seen = self.kept.counts[self.users]
        hidden = np.array(scores, np.float64)
        hidden[np.repeat(np.arange(len(self.users)), np.diff(seen.indptr)), seen.indices] = -np.inf
        return accuracy(_padded(highest(hidden, TOP)[0]), self.held)["recall"]


def inner_slice(interactions: Interactions, rng: np.random.Generator) -> Slice:
    """Hold out the newest fifth of each history, rounded down; ties of time go by column.

    Args:
        interactions: Histories of n users.
        rng: Draws the users to judge by, as many as fit in memory.
    """
    own = np.diff(interactions.counts.indptr)
    held = newer(interactions) < np.repeat(np.floor(HELD * own), own)
    kept = part_of(interactions, ~held)
    users = np.flatnonzero(np.floor(HELD * own) > 0)
    most = max(1, _SCORES // max(interactions.shape[1], 1))
    if len(users) > most:
        users = np.sort(rng.choice(users, most, replace=False))
    return Slice(kept, users, clean(part_of(interactions, held).counts[users]))


def part_of(interactions: Interactions, stay: np.ndarray) -> Interactions:
    """The histories of (cells,) bool cells alone; the newest of them is the moment, so that nothing later shows."""
    import scipy.sparse as sp

    shape, counts, newest = interactions.shape, interactions.counts, interactions.newest
    ends = np.append(0, np.cumsum(stay))[counts.indptr]
    place = (counts.indices[stay], ends)
    times = newest.data[stay]
    return Interactions(
        sp.csr_matrix((counts.data[stay], *place), shape),
        sp.csr_matrix((times, *place), shape),
        float(times.max(initial=-np.inf)) if len(times) else interactions.moment,
    )


def fit_sibling(
    kind: str, params: Params, interactions: Interactions, items: Items | None, labels: np.ndarray, rng: Any
) -> Fitted:
    """Another recommender of this folder, fitted.

    Args:
        kind: Its file name.
        params: Of its config; what is left out keeps its default.
        interactions: Histories of n users.
        items: What is known of items.
        labels: (n,) segments.
        rng: For it to draw from.
    """
    module = sibling(kind)
    fitted: Fitted = module.fit(interactions, items, labels, module.Config(**params), rng)
    return fitted


def sibling(kind: str) -> ModuleType:
    """The module of a recommender of this folder.

    Raises:
        DataError: There is none of that name.
    """
    place = f"{__package__}.{kind}"
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name != place:
            raise
        raise DataError(f"no recommender is called {kind!r}") from None


def standardised(scores: np.ndarray) -> np.ndarray:
    """(m, items) float64 scores with mean 0 and deviation 1 in each row; zeros where all are equal.

    What is not recommended (NaN, −inf) counts as the row's lowest.
    """
    values = np.where(np.isfinite(scores), scores, np.inf).astype(np.float64)
    lowest = values.min(axis=1, keepdims=True)
    values = np.where(np.isfinite(values), values, np.where(np.isfinite(lowest), lowest, 0.0))
    values -= values.mean(axis=1, keepdims=True)
    spread = values.std(axis=1, keepdims=True)
    flat = spread <= 1e-12 * np.abs(values).max(axis=1, keepdims=True, initial=0.0)
    return np.where(flat, 0.0, values / np.where(flat, 1.0, spread))


def _padded(chosen: np.ndarray) -> np.ndarray:
    """The same lists, `TOP` wide."""
    return np.pad(chosen, ((0, 0), (0, TOP - chosen.shape[1])), constant_values=-1)
