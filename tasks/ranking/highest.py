"""The best of many: of each row of a matrix of scores, or per user from one ranking per segment.

Equal scores go by item number, everywhere.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import scipy.sparse as sp


def orders(scores: np.ndarray) -> np.ndarray:
    """(k, items) item numbers of each row of (k, items) scores, best first; equal scores go by item number."""
    return np.argsort(-scores, axis=1, kind="stable")


def top_unseen(order: np.ndarray, groups: np.ndarray, seen: "sp.csr_matrix", top_n: int) -> np.ndarray:
    """The best items that each user has not seen, in the ranking of the user's group.

    The j-th unseen place of a ranking is j + (seen places with at most j unseen places before them), so only the
    places of the seen items are sorted: O(nnz log nnz), whatever the number of items.

    Args:
        order: (k, items) item numbers, best first.
        groups: (n,) row of `order` for each user.
        seen: (n, items) CSR; what is stored is seen. No columns: nothing is.
        top_n: Items wanted.

    Returns:
        (n, top_n) int64 item numbers, −1 where a user has seen all others.
    """
    n, items = len(groups), order.shape[1]
    if not items:
        return np.full((n, top_n), -1)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.broadcast_to(np.arange(items), order.shape), axis=1)
    counts = np.diff(seen.indptr)
    user = np.repeat(np.arange(n), counts)
    taken = place[groups[user], seen.indices]
    near = taken < top_n + counts[user]  # a place further down cannot matter
    key = np.sort(user[near] * items + taken[near])
    user, taken = key // items, key % items
    first = np.searchsorted(user, np.arange(n))
    unseen_before = taken - (np.arange(len(user)) - first[user])
    early = unseen_before < top_n
    skipped = np.bincount(user[early] * top_n + unseen_before[early], minlength=n * top_n).reshape(n, top_n)
    wanted = np.arange(top_n) + np.cumsum(skipped, axis=1)
    found = order[groups[:, None], np.minimum(wanted, items - 1)]
    return np.where(wanted < items, found, -1)


def highest(scores: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The n highest of each row, best first; equal ones go by column.

    The n-th highest of the maxima of disjoint parts of a row is no higher than the row's own n-th highest, so only what
    reaches it is sorted: a dozen values, unless many are equal.

    Args:
        scores: (m, items) float32 or float64; NaN and −inf are left out.
        n: How many.

    Returns:
        (m, min(n, items)) int64 columns, −1 where nothing is left, and their float64 scores, NaN there.
    """
    m, items = scores.shape
    width = min(n, items)
    if not width or not m:
        return np.full((m, width), -1), np.full((m, width), np.nan)
    floor = _floor(scores, width)
    if np.isnan(floor).any():
        scores = np.where(np.isnan(scores), -np.inf, scores)
        floor = _floor(scores, width)
    flat = np.flatnonzero(_reaching(scores, floor, width))
    row, values = flat // items, scores.ravel()[flat]
    best = np.lexsort((-values, row))[np.searchsorted(row, np.arange(m))[:, None] + np.arange(width)]
    found = values[best].astype(np.float64)
    left = found > -np.inf
    return np.where(left, flat[best] % items, -1), np.where(left, found, np.nan)


def _floor(scores: np.ndarray, width: int) -> np.ndarray:
    """(m,) a value that at least `width` of each row reach; NaN where there is one in a row that might matter."""
    items = scores.shape[1]
    parts = items // min(max(items // (4 * width), 1), 64)
    maxima = scores[:, :parts].copy()
    for start in range(parts, items, parts):
        part = scores[:, start : start + parts]
        np.maximum(maxima[:, : part.shape[1]], part, out=maxima[:, : part.shape[1]])
    floor = np.partition(maxima, parts - width, axis=1)[:, parts - width]
    return np.where(np.isnan(maxima).any(axis=1), np.nan, floor)


def _reaching(scores: np.ndarray, floor: np.ndarray, width: int) -> np.ndarray:
    """(m, items) what reaches the floor; of a crowd at the floor itself only the first, as many as may be needed."""
    reaching = scores >= floor[:, None]
    for row in np.flatnonzero(np.count_nonzero(reaching, axis=1) > 8 * width):
        np.greater(scores[row], floor[row], out=reaching[row])
        room = width - np.count_nonzero(reaching[row])
        if room > 0:
            reaching[row, np.flatnonzero(scores[row] == floor[row])[:room]] = True
    return reaching
