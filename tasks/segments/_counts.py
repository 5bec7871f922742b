"""Sufficient statistics behind the profiles: sums over buckets, so that a profile costs one pass."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from schemas.tables import CATEGORIES, EVENTS, ITEM_ID, ITEMS, TEXT, TEXTS, USER_ID, Bucket

if TYPE_CHECKING:
    import polars as pl

LABEL = "label"
MAX_TERMS = 20_000
"""Terms kept of one bucket, those of most users; a term rarer than that sets no segment apart."""
_TERM = r"\p{Han}{2}|[\p{L}--\p{Han}][\p{L}\p{M}\p{N}'’-]{2,29}"
_AMOUNT = "amount"
_ALL = "all"
_BINS = 64

Table = dict[str, np.ndarray]


@dataclass(frozen=True)
class Counts:
    """Sufficient statistics of some buckets; k segments.

    Attributes:
        users: (k,) users.
        items: Item -> (k,) users who touched it.
        categories: Category -> (3, k): users who touched it, Σs, Σs²; s is a user's share of events on items of it,
            among the user's events on items of any category.
        placed: (k,) users with such events.
        terms: Term -> (k,) users who wrote it.
        writers: (k,) users who wrote anything.
        features: `family.column` -> (3, k): known values, their sum and their sum of squares.
        edges: `family.column` -> (b,) values between which its bins lie.
        ranks: `family.column` -> (b + 1, k) users in each bin.
    """

    users: np.ndarray
    items: Table = field(default_factory=dict)
    categories: Table = field(default_factory=dict)
    placed: np.ndarray = field(default_factory=lambda: np.zeros(1))
    terms: Table = field(default_factory=dict)
    writers: np.ndarray = field(default_factory=lambda: np.zeros(1))
    features: Table = field(default_factory=dict)
    edges: Table = field(default_factory=dict)
    ranks: Table = field(default_factory=dict)


def edges_of(features: "Mapping[str, pl.DataFrame]") -> Table:
    """Values that part the known ones of some users into bins of about equal size, by `family.column`.

    They only decide how finely ranks are told apart, so the users of one bucket will do for all.
    """
    found = {}
    for family, frame in features.items():
        for column in frame.columns[1:]:
            values = frame[column].cast(float).drop_nulls().drop_nans().to_numpy()
            inner = np.linspace(0, 1, _BINS + 1)[1:-1]
            found[f"{family}.{column}"] = np.unique(np.quantile(values, inner)) if len(values) else np.zeros(0)
    return found


def partial(
    bucket: Bucket, assigned: "pl.DataFrame", features: "Mapping[str, pl.DataFrame]", k: int, edges: Table | None = None
) -> Counts:
    """Counts of one bucket.

    Args:
        bucket: Input tables.
        assigned: user_id and `label`, −1 for users without a segment, who are left out.
        features: Family -> frame of user_id and columns.
        k: Number of segments.
        edges: Of the bins; the same for all buckets that are merged. None: those of this bucket.
    """
    import polars as pl

    edges = edges_of(features) if edges is None else edges
    own = assigned.filter(pl.col(LABEL) >= 0)
    items, categories, placed = _events(bucket, own, k)
    terms, writers = _terms(bucket, own, k)
    users = np.bincount(own[LABEL].to_numpy(), minlength=k).astype(np.float64)
    values, ranks = _features(own, features, k, edges)
    return Counts(users, items, categories, placed, terms, writers, values, edges, ranks)


def _events(bucket: Bucket, own: "pl.DataFrame", k: int) -> tuple[Table, Table, np.ndarray]:
    import polars as pl

    if EVENTS.name not in bucket:
        return {}, {}, np.zeros(k)
    events = bucket[EVENTS.name].select(USER_ID, ITEM_ID).join(own, on=USER_ID)
    items = _table(events.unique(), ITEM_ID, [pl.len()], k)
    if ITEMS.name not in bucket or CATEGORIES not in bucket[ITEMS.name].columns:
        return items, {}, np.zeros(k)
    known = bucket[ITEMS.name].select(ITEM_ID, pl.col(CATEGORIES).list.drop_nulls().list.unique())
    placed = events.join(known.filter(pl.col(CATEGORIES).list.len() > 0), on=ITEM_ID)
    totals = placed.group_by(USER_ID, LABEL).agg(pl.len().alias(_ALL))
    each = placed.explode(CATEGORIES).group_by(USER_ID, LABEL, CATEGORIES).agg(pl.len().alias(_AMOUNT))
    share = pl.col(_AMOUNT) / pl.col(_ALL)
    sums = [pl.len(), share.sum().alias("shares"), (share**2).sum().alias("squares")]
    categories = _table(each.join(totals, on=[USER_ID, LABEL]).sort(USER_ID), CATEGORIES, sums, k)
    counts = np.bincount(totals[LABEL].to_numpy(), minlength=k).astype(np.float64)
    return items, {name: table for name, table in categories.items() if name}, counts


def _terms(bucket: Bucket, own: "pl.DataFrame", k: int) -> tuple[Table, np.ndarray]:
    """Words of letters, and pairs of neighbouring Chinese characters, by the users who wrote them.

    English words without a subject (not, else, much) are left out: who writes more writes more of them, whatever about.
    """
    import polars as pl
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    if TEXTS.name not in bucket:
        return {}, np.zeros(k)
    texts = bucket[TEXTS.name].select(USER_ID, TEXT).join(own, on=USER_ID)
    writers = np.bincount(texts.select(USER_ID, LABEL).unique()[LABEL].to_numpy(), minlength=k).astype(np.float64)
    words = pl.col(TEXT).str.to_lowercase().str.extract_all(_TERM)
    rows = texts.select(USER_ID, LABEL, words).explode(TEXT).drop_nulls().unique()
    rows = rows.filter(~pl.col(TEXT).is_in(ENGLISH_STOP_WORDS))
    common = rows.group_by(TEXT).len().sort(["len", TEXT], descending=[True, False]).head(MAX_TERMS)
    return _table(rows.join(common, on=TEXT, how="semi"), TEXT, [pl.len()], k), writers


def _table(rows: "pl.DataFrame", key: str, sums: "Iterable[pl.Expr]", k: int) -> Table:
    """Key -> (k,) sums over its rows of each label; (s, k) where there are s sums."""
    out: Table = {}
    for name, label, *values in rows.group_by(key, LABEL).agg(*sums).sort(key, LABEL).iter_rows():
        out.setdefault(name, np.zeros((len(values), k)))[:, label] = values
    return {name: table[0] if len(table) == 1 else table for name, table in out.items()}


def _features(own: "pl.DataFrame", features: "Mapping[str, pl.DataFrame]", k: int, edges: Table) -> tuple[Table, Table]:
    out: Table = {}
    ranks: Table = {}
    for family, frame in features.items():
        joined = own.join(frame, on=USER_ID, how="left", maintain_order="left")
        labels = joined[LABEL].to_numpy()
        for column in frame.columns[1:]:
            values = joined[column].cast(float).fill_null(float("nan")).to_numpy()
            known = np.isfinite(values)
            weights = (known.astype(float), np.where(known, values, 0.0), np.where(known, values, 0.0) ** 2)
            name = f"{family}.{column}"
            out[name] = np.stack([np.bincount(labels, w, minlength=k) for w in weights])
            bins = np.searchsorted(edges[name], values[known], side="left")
            flat = np.bincount(bins * k + labels[known], minlength=(len(edges[name]) + 1) * k)
            ranks[name] = flat.reshape(-1, k).astype(np.float64)
    return out, ranks


def merge(a: Counts, b: Counts) -> Counts:
    """Counts of both."""
    joined: Callable[[Table, Table], Table] = lambda x, y: {  # noqa: E731
        key: np.asarray(x.get(key, 0) + y.get(key, 0)) for key in x.keys() | y.keys()
    }
    return Counts(
        a.users + b.users,
        joined(a.items, b.items),
        joined(a.categories, b.categories),
        a.placed + b.placed,
        joined(a.terms, b.terms),
        a.writers + b.writers,
        joined(a.features, b.features),
        a.edges,
        joined(a.ranks, b.ranks),
    )
