"""Histories to recommend from: of a matrix, planted tastes, and MovieLens-100K by the held-out protocol."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp

from schemas import tables as t
from schemas.interactions import Interactions, Items
from tasks.numerics.history import between
from tasks.numerics.interactions import binary, interactions


def histories(matrix):
    """Interactions of a matrix of counts, each cell at a time of its own: later in a row means later."""
    counts = sp.csr_matrix(matrix, dtype=np.float32)
    counts.sum_duplicates()
    counts.eliminate_zeros()
    newest = counts.astype(np.float64)
    newest.data = np.arange(1.0, newest.nnz + 1)
    return Interactions(counts, newest, float(newest.nnz + 1))


def checkerboard(users=120, items=40, tastes=4, density=0.6):
    """Users who only touch the items of their own taste: what they left out is what they want."""
    rng = np.random.default_rng(0)
    taste = np.arange(users) % tastes
    liked = taste[:, None] == np.arange(items) % tastes
    return sp.csr_matrix((liked & (rng.random((users, items)) < density)).astype(np.float32)), taste, liked


def movielens():
    """MovieLens-100K as a table of events, read from the package recbole."""
    (folder,) = find_spec("recbole").submodule_search_locations
    raw = pl.read_csv(Path(folder) / "dataset_example/ml-100k/ml-100k.inter", separator="\t", infer_schema=False)
    user, item, _, second = raw.columns
    moment = pl.from_epoch(pl.col(second).cast(pl.Float64).cast(pl.Int64)).dt.replace_time_zone("UTC")
    named = raw.select(
        pl.col(user).alias(t.USER_ID), pl.col(item).alias(t.ITEM_ID), moment.dt.cast_time_unit("us").alias(t.TIMESTAMP)
    )
    return named.with_row_index(t.SEQUENCE)


def movielens_slices(low=0.8, high=1.0):
    """Histories up to a share of everyone's events, and a (users, items) CSR of 1 where the next ones hold the item."""
    frame = movielens()
    users, items = (frame[column].unique().sort().to_list() for column in (t.USER_ID, t.ITEM_ID))
    train = interactions(between(frame, 0.0, low), users, items)
    return train, binary(interactions(between(frame, low, high), users, items))


def rates(found, test):
    """Precision, recall and coverage of (n, top) recommended items, all of which exist."""
    dense = test.toarray()
    hits = dense[np.arange(len(found))[:, None], found] * (found >= 0)
    own = dense.sum(axis=1)
    recall = (hits.sum(axis=1)[own > 0] / own[own > 0]).mean()
    return hits.mean(), recall, len(np.unique(found[found >= 0])) / test.shape[1]


def planted_items(items=40, tastes=4, width=8, noise=0.1):
    """Items whose vectors say the taste of the checkerboard, with noise, and whose only category is the taste."""
    rng = np.random.default_rng(1)
    taste = np.arange(items) % tastes
    vectors = np.eye(width)[taste] + noise * rng.normal(size=(items, width)) / np.sqrt(width)
    categories = sp.csr_matrix(np.eye(tastes)[taste])
    return Items(np.array([f"i{i:04d}" for i in range(items)]), vectors.astype(np.float32), categories)


def some(fitted, histories, labels, n=10):
    """Best items of a few histories that the fit may not have known."""
    return fitted.of(histories, np.asarray(labels)).recommend(np.arange(len(labels)), n)[0]


def nested(seed, users=240, segments=4, kinds=2, own=12, density=0.7, common=0.12, noise=0.01):
    """Segments of people who each like one kind of their segment's items best, so that both tell something.

    Returns:
        Histories in an order by chance, (users,) segments, and (users, items) bool of what each likes best.
    """
    rng = np.random.default_rng(seed)
    kind = np.arange(users) % (segments * kinds)
    segment = kind // kinds
    of = np.repeat(np.arange(segments * kinds), own)  # the kind of each item
    best = kind[:, None] == of
    chance = np.where(best, density, np.where(segment[:, None] == of // kinds, common, noise))
    made = histories(rng.random(best.shape) < chance)
    made.newest.data[:] = rng.permutation(made.newest.data)
    return made, segment, best
