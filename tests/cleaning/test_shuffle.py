"""The bucket of a user never changes: other processes, versions and languages compute the same."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.tables import USER_ID
from tasks.cleaning.shuffle import bucket_of, hash64, partition

MASK = 2**64 - 1


def plain_hash(text: str) -> int:
    """FNV-1a 64, then MurmurHash3's finaliser, one byte after the other."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        value = ((value ^ value >> 33) * factor) & MASK
    return value ^ value >> 33


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=20))
def test_hash_equals_the_plain_definition(ids):
    assert hash64(pl.Series(ids, dtype=pl.String)).tolist() == [plain_hash(text) for text in ids]


def test_hash_of_known_ids_and_of_slices():
    ids = pl.Series(["", "u1", "用户", "x" * 300])
    assert hash64(ids)[1:3].tolist() == [plain_hash("u1"), plain_hash("用户")]
    assert hash64(ids[1:3]).tolist() == hash64(ids)[1:3].tolist()


def test_buckets_are_even_for_counted_ids():
    counts = np.bincount(bucket_of(pl.Series([f"user-{n:06d}" for n in range(16_000)]), 16), minlength=16)
    assert abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_partition_keeps_all_rows_in_order():
    frame = pl.DataFrame({USER_ID: [f"u{n % 7}" for n in range(100)], "n": range(100)})
    parts = partition(frame, USER_ID, 4)
    assert pl.concat(parts).sort("n").equals(frame)
    assert all(part["n"].is_sorted() for part in parts)
    where = {user: k for k, part in enumerate(parts) for user in part[USER_ID].unique()}
    assert len(where) == 7
    assert [where[user] for user in sorted(where)] == [plain_hash(user) % 4 for user in sorted(where)]
