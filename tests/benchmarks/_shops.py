"""Ta-Feng as recommenders see it, and segments that are there without a run."""

import polars as pl

from schemas import tables as t
from tasks.sources import ta_feng


def purchases():
    """Ta-Feng as a table of events."""
    batches = pl.concat([pl.DataFrame(batch) for batch in ta_feng.read(ta_feng.Config(parts=("events",)))["events"]])
    day = pl.col(t.TIMESTAMP).str.to_datetime("%m/%d/%Y", time_unit="us", time_zone="UTC")
    return batches.select(t.USER_ID, t.ITEM_ID, day).with_row_index(t.SEQUENCE)


def segments(counts, k=20):
    """(n,) labels of K-Means on a 32-dimensional truncated SVD of rows of length 1."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    vectors = TruncatedSVD(32, random_state=0).fit_transform(normalize(counts))
    return KMeans(k, n_init=1, random_state=0).fit_predict(vectors)
