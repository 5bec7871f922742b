"""What a marketer reads of a feature: no unit of a statistician, no number too small to mean a thing, no coordinate."""

import numpy as np
import polars as pl
import pytest

from schemas.config import DescribeConfig
from schemas.tables import USER_ID
from tasks.segments.profiles import LABEL, partial, profiles

USERS = [f"u{i}" for i in range(400)]
LABELS = np.arange(400) % 2


def told(column, values, language, family="behaviour"):
    """The first claim about the segment where the feature is higher."""
    assigned = pl.DataFrame({USER_ID: USERS, LABEL: LABELS.astype(np.int32)})
    counts = partial({}, assigned, {family: pl.DataFrame({USER_ID: USERS, column: values})}, 2)
    return profiles(counts, {}, ("s001", "s002"), config=DescribeConfig(language=language))[1].evidence[0]


@pytest.mark.parametrize(("language", "words"), [("en", "× the usual spread from elsewhere"), ("zh", "常见波动的")])
@pytest.mark.parametrize(
    ("family", "column", "scale"),
    [("interest", "novelty", 1.0), ("interest", "category_entropy", 1.0), ("behaviour", "recency_days", 1e-6)],
)
def test_numbers_that_would_tell_nothing_are_told_by_their_distance(family, column, scale, language, words):
    """Bits, nats, and two means that both are about 0."""
    found = told(column, scale * (LABELS * 30.0 + np.arange(400) % 7), language, family)
    assert words in found
    assert "mean" not in found
    assert "均值" not in found
    assert "0.0000" not in found


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_coordinate_is_never_told(language):
    found = told("collaborative_12", LABELS * 30.0 + np.arange(400) % 7, language, "collaborative")
    assert "12" not in found
