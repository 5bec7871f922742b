"""Kernels of the interest family: sparse products of users, items and categories."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from schemas.tables import CATEGORIES, EVENT, ITEM_ID
from tasks.features._timeline import Timeline, codes
from tasks.numerics.history import MICROSECONDS_PER_DAY as DAY
from tasks.numerics.keys import locate

if TYPE_CHECKING:
    import polars as pl
    from scipy.sparse import csr_array


def weights(line: Timeline, event_weights: Mapping[str, float], half_life_days: float) -> np.ndarray:
    """(n,) weight of each event: its name's, halved every `half_life_days` before the user's last event.

    Counting from the last event instead of `as_of` changes no share, and old users' weights don't underflow to 0.
    """
    kind, kinds = line.codes(EVENT)
    named = np.array([event_weights.get(name, 1.0) for name in kinds], np.float64)[kind]
    age = (line.stamps[line.ends - 1][line.owner] - line.stamps) / DAY
    return named * np.exp2(-age / half_life_days)


def shares(line: Timeline, code: np.ndarray, weights: np.ndarray, owned: "csr_array") -> np.ndarray:
    """(m, c) each user's share of weight on each category, rows sum to 1; NaN for a user without any."""
    mass = (rows(line, code, weights, owned.shape[0]) @ owned).toarray()
    with np.errstate(invalid="ignore"):
        return mass / mass.sum(axis=1, keepdims=True)


def rows(line: Timeline, code: np.ndarray, weights: np.ndarray, items: int) -> "csr_array":
    """(m, items) sparse weights; a row keeps its user's order of time, so that its sums are the same in any bucket."""
    from scipy.sparse import csr_array

    return csr_array((weights, code, np.append(line.starts, len(code))), shape=(len(line.starts), items))


def categories_of(
    items: "pl.DataFrame", names: "pl.Series", categories: list[str] | None
) -> "tuple[csr_array, list[str]]":
    """(len(names), c) share of each item per category, and the categories: those asked for, or all there are."""
    import polars as pl
    from scipy.sparse import csr_array

    frame = pl.DataFrame({"row": locate(names, items[ITEM_ID]), "name": items[CATEGORIES].cast(pl.List(pl.String))})
    listed = frame.filter(pl.col("row") >= 0).explode("name").filter(pl.col("name").str.len_bytes() > 0)
    code, seen = codes(listed["name"])
    keys = np.sort(listed["row"].to_numpy() * max(len(seen), 1) + code)
    row, code = np.divmod(keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]], max(len(seen), 1))
    kept = seen.to_list() if categories is None else categories
    share, column = 1.0 / np.bincount(row, minlength=1)[row], locate(pl.Series(kept, dtype=pl.String), seen)[code]
    known = column >= 0
    made = csr_array((share[known], (row[known], column[known])), shape=(len(names), len(kept)))
    return made, kept


def head(events: np.ndarray, share: float) -> int:
    """Events of the least popular item of the head."""
    ranked = np.sort(events)[::-1]
    reached = np.searchsorted(np.cumsum(ranked), share * ranked.sum() - 1e-9)
    return int(ranked[reached]) if len(ranked) else 0
