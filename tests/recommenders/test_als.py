"""One-to-one ALS on MovieLens-100K: the ceiling that the design names."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from schemas import tables as t
from tasks.numerics.history import between
from tasks.numerics.interactions import interactions
from tasks.recommenders import als


@pytest.mark.skipif(find_spec("recbole") is None, reason="MovieLens-100K comes with the package recbole")
def test_movielens_precision_is_about_0_165():
    (folder,) = find_spec("recbole").submodule_search_locations
    raw = pl.read_csv(Path(folder) / "dataset_example/ml-100k/ml-100k.inter", separator="\t", infer_schema=False)
    user, item, _, second = raw.columns
    frame = raw.select(
        pl.col(user).alias(t.USER_ID), pl.col(item).alias(t.ITEM_ID), pl.col(second).cast(pl.Float64).alias(t.TIMESTAMP)
    ).with_row_index(t.SEQUENCE)
    users, items = (frame[column].unique().sort().to_list() for column in (t.USER_ID, t.ITEM_ID))
    train = interactions(between(frame, 0.0, 0.8), users, items)
    test = interactions(between(frame, 0.8, 1.0), users, items, binary=True).toarray()
    fitted = als.fit(train, items, np.zeros(len(users), int), als.Config(), np.random.default_rng(0))
    found, _ = fitted.recommend(np.arange(len(users)), 10)
    hits = test[np.arange(len(users))[:, None], found]
    assert hits.mean() == pytest.approx(0.165, abs=0.006)
    assert (hits.sum(axis=1) / test.sum(axis=1)).mean() == pytest.approx(0.120, abs=0.006)
    assert len(np.unique(found)) / len(items) == pytest.approx(0.300, abs=0.02)
