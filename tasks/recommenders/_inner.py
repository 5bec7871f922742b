"""A trial within the histories that a recommender is fitted on, by which it settles what it was not told.

A quarter of the users is kept from the fit and then served as if they had come later: known by all but the newest
fifth of their items, or by the newest few of these; the newest fifth is to be found. Nothing outside the histories is
read. A cell has one time, its newest, so a repeated item stands where it was last, and what a user has already is never
looked for.

Their segments were found on whole histories, of which a user with few items has not lived most yet. So each gets the
segment that the known items tell: the one whose members do them most above everybody, by the sum of log(rate in the
segment / rate of all); none without items. Where segments are known without histories, as by attributes, theirs stay.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import DataError
from schemas.interactions import Interactions, Items
from tasks.numerics.hits import clean
from tasks.numerics.interactions import binary, newer
from tasks.numerics.popularity import group_scores
from tasks.ranking.accuracy import accuracy
from tasks.recommenders._fitted import Fitted, highest

if TYPE_CHECKING:
    import scipy.sparse as sp

TOP = 10  # items of a list that is judged
HELD = 0.2  # share of each history that is looked for where a history is not cut to a few items
_JUDGES = 0.25  # share of the users who are kept from the fit
_SCORES = 8_000_000  # users × items that are judged at most (64 MB)

Params = dict[str, float | int | bool | str | None]


@dataclass(frozen=True)
class Served:
    """What is known of m users, and what is to be found.

    Attributes:
        known: (m, items) histories.
        labels: (m,) segments.
        wanted: (m, items) CSR, stored where an item comes later.
    """

    known: Interactions
    labels: np.ndarray
    wanted: "sp.csr_matrix"

    def scores(self, fitted: Fitted) -> np.ndarray:
        """(m, items) scores of a fitted recommender for these users."""
        return fitted.of(self.known, self.labels).scores(np.arange(len(self.labels)))

    def recall(self, scores: np.ndarray) -> np.ndarray:
        """(m,) recall in the first ten of (m, items) scores, what is known left out; NaN where nothing comes later."""
        seen, hidden = self.known.counts, np.array(scores, np.float64)
        hidden[np.repeat(np.arange(len(hidden)), np.diff(seen.indptr)), seen.indices] = -np.inf
        chosen = highest(hidden, TOP)[0]
        padded = np.pad(chosen, ((0, 0), (0, TOP - chosen.shape[1])), constant_values=-1)
        return accuracy(padded, self.wanted)["recall"]


@dataclass(frozen=True)
class Trial:
    """Users to fit on, and users to judge by.

    Attributes:
        rest: Histories to fit on.
        labels: Their segments.
        judges: (m, items) whole histories of the others.
        told: (m,) the others' segments where they are known without histories; None: known items tell them.
    """

    rest: Interactions
    labels: np.ndarray
    judges: Interactions
    told: np.ndarray | None

    def served(self, events: int | None) -> Served:
        """The judges known by all but their newest fifth, rounded down; or by the newest items of that, so many.

        What is looked for is the same however much is known, and next in time. By their first items, with all that
        came after to be found, popularity looked best on MovieLens for who has one item and was not, by half.
        """
        own = np.diff(self.judges.counts.indptr)
        held = np.floor(HELD * own).astype(np.int64)
        enough = own - held >= (0 if events is None else events)
        most = held + (own if events is None else events)
        age, held, most, enough = newer(self.judges), *(np.repeat(each, own) for each in (held, most, enough))
        known = part_of(self.judges, (age >= held) & (age < most))
        labels = self.nearest(known) if self.told is None else self.told
        return Served(known, labels, clean(part_of(self.judges, (age < held) & enough).counts))

    def nearest(self, known: Interactions) -> np.ndarray:
        """(m,) the segment that the items of each of m histories tell; −1 without any."""
        k = int(self.labels.max(initial=-1)) + 1
        if not k:
            return np.full(known.shape[0], -1)
        sums = binary(known) @ lift(group_scores(binary(self.rest), self.labels, k, 0.0), self.rest.shape[0])[:-1].T
        return np.where(np.diff(known.counts.indptr) > 0, sums.argmax(axis=1), -1)


def trial(interactions: Interactions, labels: np.ndarray, independent: bool, rng: np.random.Generator) -> Trial:
    """Draw the users to judge by: a quarter of those with enough items to hold any out, as many as fit in memory.

    Args:
        interactions: Histories of n users.
        labels: (n,) segments.
        independent: Whether segments are known without histories.
        rng: Draws the judges.
    """
    able = np.flatnonzero(np.diff(interactions.counts.indptr) * HELD >= 1)
    most = max(1, _SCORES // max(interactions.shape[1], 1))
    judges = np.sort(rng.choice(able, min(int(_JUDGES * len(able)), most), replace=False))
    rest = np.setdiff1d(np.arange(interactions.shape[0]), judges)
    told = labels[judges] if independent else None
    return Trial(interactions.rows(rest), labels[rest], interactions.rows(judges), told)


def lift(by_group: np.ndarray, users: int) -> np.ndarray:
    """(k + 1, items) log(popular in a group / popular with everybody), each as if one more of the users had every item.

    Args:
        by_group: (k + 1, items) scores; the last row is everybody's.
        users: How many they were learned from.
    """
    one = 1 / max(users, 1)
    return np.asarray(np.log((by_group + one) / (by_group[-1] + one)))


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


_once: ContextVar[tuple[Interactions, dict[str, Fitted]] | None] = ContextVar("_once", default=None)


@contextmanager
def fitted_once(interactions: Interactions) -> Iterator[None]:
    """Within it no two siblings with the same parameters are fitted on these histories; they have one labelling."""
    token = _once.set((interactions, {}))
    try:
        yield
    finally:
        _once.reset(token)


def fit_sibling(
    kind: str, params: Params, interactions: Interactions, items: Items | None, labels: np.ndarray, rng: Any
) -> Fitted:
    """Another recommender of this folder, fitted, or the same one again: see `fitted_once`.

    Args:
        kind: Its file name.
        params: Of its config; what is left out keeps its default.
        interactions: Histories of n users.
        items: What is known of items.
        labels: (n,) segments.
        rng: For it to draw from.
    """
    module, once = sibling(kind), _once.get()
    config = module.Config(**params)
    known = once[1] if once is not None and once[0] is interactions else {}
    key = config.model_dump_json()
    if key not in known:
        known[key] = module.fit(interactions, items, labels, config, rng)
    return known[key]


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
