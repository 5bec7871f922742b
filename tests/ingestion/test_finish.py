"""Order within a bucket: by user, time and sequence, whatever order the source had."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.tables import EVENTS, SEQUENCE, TIMESTAMP, USER_ID
from tasks.ingestion.finish import _ordered


@pytest.mark.parametrize("last", [10, 4_000_000_000_000_000])
@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize(("n", "in_time"), [(5000, True), (5000, False), (90_000, True)])
def test_order_equals_a_plain_sort(last, ascending, n, in_time):
    rng = np.random.default_rng(3)
    numbers = np.arange(n) if ascending else rng.permutation(n)
    moments = rng.integers(0, last, n)
    moments = pl.Series(np.sort(moments) if in_time else moments).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    users = [f"用户{k}" for k in rng.integers(0, int(0.98 * n), n)]
    frame = pl.DataFrame({USER_ID: users, TIMESTAMP: moments, SEQUENCE: numbers, "n": range(n)})
    expected = sorted(frame.rows(), key=lambda row: (row[0].encode(), row[1], row[2]))
    assert_frame_equal(_ordered(frame, EVENTS.name), pl.DataFrame(expected, schema=frame.schema, orient="row"))
