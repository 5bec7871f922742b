"""One-to-one ALS on MovieLens-100K: a yardstick that the design names."""

from importlib.util import find_spec

import numpy as np
import pytest

from tasks.recommenders import als
from tests.helpers.histories import movielens_slices, rates


@pytest.mark.skipif(find_spec("recbole") is None, reason="MovieLens-100K comes with the package recbole")
def test_movielens_precision_is_about_0_165():
    train, test = movielens_slices()
    n = train.shape[0]
    fitted = als.fit(train, None, np.zeros(n, int), als.Config(), np.random.default_rng(0))
    precision, recall, coverage = rates(fitted.recommend(np.arange(n), 10)[0], test)
    assert precision == pytest.approx(0.165, abs=0.006)
    assert recall == pytest.approx(0.120, abs=0.006)
    assert coverage == pytest.approx(0.300, abs=0.02)
