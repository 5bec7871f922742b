"""What was measured of an item: the share of a segment's members who chose it, beside that of all users, in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from schemas.interactions import Interactions
from schemas.recommended import Basis
from tasks.phrases.words import Words

if TYPE_CHECKING:
    import polars as pl


class Evidence:
    """Shares of users who chose each item, counted on the histories that the lists were learned from.

    Args:
        interactions: Histories of n users.
        labels: (n,) segments, −1 for none.
        names: (k,) of the segments, by label.
        language: Of the words.
    """

    def __init__(self, interactions: Interactions, labels: np.ndarray, names: Sequence[str], language: str) -> None:
        import scipy.sparse as sp

        from tasks.numerics.interactions import binary

        chose, k = binary(interactions), len(names)
        known = np.flatnonzero(labels >= 0)
        member = sp.csr_matrix((np.ones(len(known)), (labels[known], known)), shape=(k, len(labels)))
        self.sizes = np.bincount(labels[known], minlength=k)
        self._own = (member @ chose).tocsr()
        self._all = np.asarray(chose.sum(axis=0)).ravel() / max(len(labels), 1)
        self._names, self._say = (*names, None), Words(language)

    def words(self, labels: np.ndarray, items: np.ndarray) -> "pl.Series":
        """(m,) reasons for (m,) items on lists of (m,) segments, −1 for that of users without one."""
        import polars as pl

        width = len(self._all)
        pairs, place = np.unique((labels + 1) * width + items, return_inverse=True)
        label, item = pairs // width - 1, pairs % width
        own = np.zeros(len(pairs))
        of_one = label >= 0
        counted = np.asarray(self._own[label[of_one], item[of_one]]).ravel() if of_one.any() else np.zeros(0)
        own[of_one] = counted / np.maximum(self.sizes[label[of_one]], 1)
        rows = zip(label.tolist(), own.tolist(), self._all[item].tolist(), strict=True)
        told = pl.Series([because(self._say, self._names[one], *shares) for one, *shares in rows], dtype=pl.String)
        return told.gather(place)


def evidence(basis: Basis) -> Evidence:
    """What was measured of the items of a basis, in the words and under the names that it keeps."""
    chosen, terms = basis.chosen, basis.terms
    return Evidence(chosen.interactions, chosen.labels, terms.names, terms.language)


def because(say: Words, name: str | None, own: float, all_: float) -> str:
    """Why an item is on a list: its users in a segment where they are more than elsewhere, else those of everybody.

    Args:
        say: Phrases of the reader's language.
        name: Of the segment; None: a list for users without one.
        own: Share of the segment's members who chose the item.
        all_: Share of all users who did; 0: it is known by its texts or categories alone.
    """
    if not all_:
        return say("recommended.unchosen")
    if name is not None and f"{own:.1%}" != f"{all_:.1%}" and own > all_:
        return say("recommended.segment", name=name, own=own, all=all_)
    return say("recommended.everybody", all=all_)
