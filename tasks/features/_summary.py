"""Mergeable summaries of attribute columns: counts of values, and a sample whose users are chosen by hash."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from schemas.errors import DataError

if TYPE_CHECKING:
    import polars as pl

Role = Literal["numeric", "ordinal", "categorical", "multi_valued", "unread"]

SAMPLE = 20_000  # values behind a median; exact up to so many users
MAX_DISTINCT = 50_000  # distinct values counted per column; beyond this only that there are more


@dataclass(frozen=True)
class Summary:
    """What is known of one column over some users.

    Attributes:
        role: How the column is read; None while every value was missing.
        known: Users with a value.
        counts: Users per value (per element, where multi-valued); None once there are more than MAX_DISTINCT.
        keys: (s,) uint64, ascending: hashes of the sampled users, the smallest ones.
        values: (s,) float64, their values; for numeric columns.
    """

    role: Role | None = None
    known: int = 0
    counts: Counter[str] | None = field(default_factory=Counter)
    keys: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    values: np.ndarray = field(default_factory=lambda: np.zeros(0))


def user_keys(users: Sequence[str]) -> np.ndarray:
    """(n,) uint64 hashes of user ids, the same everywhere and always."""
    return np.array([int.from_bytes(hashlib.blake2b(u.encode(), digest_size=8).digest()) for u in users], np.uint64)


def summarise_numbers(numbers: "pl.Series", keys: np.ndarray) -> Summary:
    """Summary of n numbers, null where missing, of users with hashes `keys`, (n,)."""
    known = numbers.is_not_null().to_numpy()
    if not known.any():
        return Summary()
    kept_keys, kept = _smallest(keys[known], numbers.drop_nulls().to_numpy())
    return Summary("numeric", int(known.sum()), Counter(), kept_keys, kept)


def summarise_labels(labels: "pl.Series", role: Role) -> Summary:
    """Summary of strings, or of lists of strings; null where missing."""
    labels = labels.drop_nulls()
    flat = labels.explode().drop_nulls() if role == "multi_valued" else labels
    if not len(labels):
        return Summary()
    counted = flat.alias("value").value_counts(name="users")
    counts = Counter(dict(counted.iter_rows()))
    return Summary(role, len(labels), _bounded(counts))


def merge(a: Summary, b: Summary, column: str) -> Summary:
    """Summary of the users of both; the order of merging changes nothing."""
    if a.role and b.role and a.role != b.role:
        raise DataError(
            f"users.{column} is {a.role} in one part of the data and {b.role} in another: "
            f"give it one type, or declare it in features.attributes"
        )
    counts = None if a.counts is None or b.counts is None else _bounded(a.counts + b.counts)
    keys, values = _smallest(np.concatenate([a.keys, b.keys]), np.concatenate([a.values, b.values]))
    return Summary(a.role or b.role, a.known + b.known, counts, keys, values)


def _bounded(counts: Counter[str]) -> Counter[str] | None:
    return counts if len(counts) <= MAX_DISTINCT else None


def _smallest(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((values, keys))[:SAMPLE]
    return keys[order], values[order]


def by_type(column: "pl.Series") -> Role:
    """Numbers and booleans are numeric, strings categorical, lists multi-valued; dates and the like stay unread."""
    import polars as pl

    dtype = column.dtype
    if dtype.is_numeric() or dtype == pl.Boolean:
        return "numeric"
    if isinstance(dtype, pl.List):
        return "multi_valued"
    return "categorical" if dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null) else "unread"


def why_not(summary: Summary, users: int, declared: bool, cap: int, near_unique: float) -> str | None:
    """Why a column says nothing that could be used, or None; `cap` values always may have columns of their own."""
    if summary.role == "unread":
        return "neither number, text nor list: declare it, or turn it into one"
    if not summary.known:
        return "every value is missing"
    if summary.role == "numeric":
        constant = bool(summary.values.min() == summary.values.max())
    else:
        constant = summary.counts is not None and len(summary.counts) == 1
    if constant and summary.known == users:
        return "constant"
    distinct = len(summary.counts) if summary.counts is not None else np.inf
    crowded = distinct > cap and distinct > near_unique * summary.known
    if not declared and summary.role == "categorical" and crowded:
        many = len(summary.counts) if summary.counts is not None else f"over {MAX_DISTINCT}"
        return f"nearly unique: {many} values of {summary.known} users; declare it categorical to hash it"
    return None
