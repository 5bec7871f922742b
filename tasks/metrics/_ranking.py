"""Top items per user from one ranking per segment, without a users × items matrix."""

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
        seen: (n, items) CSR; what is stored is seen.
        top_n: Items wanted.

    Returns:
        (n, top_n) int64 item numbers, −1 where a user has seen all others.
    """
    n, items = seen.shape
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
