"""Order within a bucket: by user, time and sequence, whatever order the source had."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.tables import EVENTS, SEQUENCE, TIMESTAMP, USER_ID
from tasks.stores._finish import _ordered


@pytest.mark.parametrize("last", [10, 4_000_000_000_000_000])
@pytest.mark.parametrize("ascending", [True, False])
def test_order_equals_a_plain_sort(last, ascending):
    rng = np.random.default_rng(3)
    n = 5000
    numbers = np.arange(n) if ascending else rng.permutation(n)
    moments = pl.Series(rng.integers(0, last, n)).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    users = [f"用户{k}" for k in rng.integers(0, 4900, n)]
    frame = pl.DataFrame({USER_ID: users, TIMESTAMP: moments, SEQUENCE: numbers, "n": range(n)})
    expected = sorted(frame.rows(), key=lambda row: (row[0].encode(), row[1], row[2]))
    assert_frame_equal(_ordered(frame, EVENTS.name), pl.DataFrame(expected, schema=frame.schema, orient="row"))
