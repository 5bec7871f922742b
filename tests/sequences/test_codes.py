"""Events as histories in codes, windows of them, and the turn of one space into another."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import DataError
from schemas.sequences import Sequences
from tasks.behaviour_encoders._batches import gap_codes, padded, shuffled, windows
from tasks.sequences.histories import sequences
from tasks.sequences.turn import procrustes

START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 1), st.integers(0, 3)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_histories_are_what_a_plain_sort_makes_of_them(rows):
    events = pl.DataFrame(
        {
            "user_id": [f"u{u}" for u, *_ in rows],
            "item_id": [f"i{i}" for _, i, *_ in rows],
            "event": ["ab"[k] for *_, k, _ in rows],
            "timestamp": [START + timedelta(days=d) for *_, d in rows],
            "sequence": list(range(len(rows))),
        },
        schema_overrides={"user_id": pl.String, "timestamp": pl.Datetime("us", "UTC"), "sequence": pl.Int64},
    )
    items, kinds = pl.Series(["i2", "i0", "i1"]), pl.Series(["b"])
    users, made = sequences(events, items, kinds)
    plain = sorted((f"u{u}", d, n, i, k) for n, (u, i, k, d) in enumerate(rows))
    assert users.to_list() == sorted({user for user, *_ in plain})
    assert made.items.tolist() == [{2: 0, 0: 1, 1: 2}.get(i, -1) for *_, i, _ in plain]
    assert made.kinds.tolist() == [0 if k else -1 for *_, k in plain]
    assert made.lengths.tolist() == [sum(user == u for user, *_ in plain) for u in users]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=8), st.integers(2, 7))
def test_windows_teach_every_step_of_a_history_once(lengths, most):
    ends = np.cumsum(lengths)
    starts = ends - lengths
    begin, end = windows(starts, ends, most)
    steps = sorted(at for b, e in zip(begin, end, strict=True) for at in range(b + 1, e))
    assert steps == [at for s, e in zip(starts, ends, strict=True) for at in range(s + 1, e)]
    assert ((end - begin >= 2) & (end - begin <= most)).all()
    seen = np.concatenate([[], *shuffled(begin, end, 3, np.random.default_rng(0))])
    assert sorted(seen.tolist()) == list(range(len(begin)))


def test_a_batch_is_padded_at_its_ends_and_gaps_double():
    minutes = np.array([0, 0.5, 1, 3, 7, 1e9]) / 1440
    one = Sequences(np.array([0, 6]), np.arange(6), np.zeros(6, np.int64), np.cumsum(minutes))
    assert gap_codes(one).tolist() == [0, 1, 2, 3, 4, 23]
    made = padded(one, gap_codes(one), np.array([0, 4]), np.array([3, 6]))
    assert made.items.tolist() == [[0, 1, 2], [4, 5, -1]]
    assert made.present.tolist() == [[True] * 3, [True, True, False]]


def test_histories_out_of_order_are_refused():
    with pytest.raises(DataError, match="in order of time"):
        Sequences(np.array([0, 2]), np.zeros(2, int), np.zeros(2, int), np.array([1.0, 0.0]))
    with pytest.raises(DataError, match="speak of"):
        Sequences(np.array([0, 2]), np.zeros(3, int), np.zeros(2, int), np.array([0.0, 1.0]))


def test_the_turn_is_that_of_scipy_and_takes_a_turned_cloud_back():
    rng = np.random.default_rng(0)
    left = rng.standard_normal((50, 4))
    right = left @ np.linalg.qr(rng.standard_normal((4, 4)))[0] + [1, 2, 3, 4]
    turn, shift = procrustes(left, right)
    assert np.allclose(left @ turn + shift, right)
    centred = left - left.mean(0), right - right.mean(0)
    assert np.allclose(turn, scipy.linalg.orthogonal_procrustes(*centred)[0])
