"""Collaborative factors: oracles for SVD and ALS, fold-in, time, and users that say nothing."""

import pickle
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from schemas.artifacts import State
from schemas.errors import DataError, UsageError
from schemas.tables import EVENT, EVENTS, ITEM_ID, SEQUENCE, TIMESTAMP, USER_ID, USERS, VALUE
from tasks.features import collaborative
from tasks.features.collaborative import Config

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


def events(rows):
    """Frame of (user, item, event, days before AS_OF, value)."""
    users, items, names, ages, values = zip(*rows, strict=True)
    return pl.DataFrame(
        {
            USER_ID: list(users),
            ITEM_ID: list(items),
            EVENT: list(names),
            TIMESTAMP: [AS_OF - timedelta(days=age) for age in ages],
            VALUE: pl.Series(values, dtype=pl.Float64),
            SEQUENCE: range(len(rows)),
        },
        schema_overrides={TIMESTAMP: pl.Datetime("us", "UTC")},
    )


def random_bucket(n=3_000, users=120, items=60, seed=0):
    rng = np.random.default_rng(seed)
    columns = (
        [f"u{u:03d}" for u in rng.integers(0, users, n)],
        [f"i{i:03d}" for i in (rng.integers(0, items, n) ** 2) // items],
        rng.choice(["view", "cart", "buy"], n).tolist(),
        rng.uniform(0, 300, n).tolist(),
        rng.uniform(1, 5, n).tolist(),
    )
    return {EVENTS.name: events(list(zip(*columns, strict=True)))}


def by_user(bucket, parts=3):
    frame = bucket[EVENTS.name]
    key = frame[USER_ID].str.slice(1).cast(pl.Int64)
    return [{EVENTS.name: frame.filter(key % parts == part)} for part in range(parts)]


def fitted(buckets, config, seed=0):
    parts = [pickle.loads(pickle.dumps(collaborative.partial(b, config, AS_OF))) for b in buckets]
    whole = parts[0]
    for part in parts[1:]:
        whole = collaborative.merge(whole, part)
    return collaborative.finish(whole, np.random.default_rng(seed))


def dense(bucket, config):
    """The weighted matrix by plain dictionaries."""
    frame = bucket[EVENTS.name].filter(pl.col(TIMESTAMP) <= AS_OF)
    users, items = sorted(set(frame[USER_ID])), sorted(set(frame[ITEM_ID]))
    matrix = np.zeros((len(users), len(items)))
    for row in frame.iter_rows(named=True):
        weight = config.event_weights.get(row[EVENT], 1.0)
        if config.half_life_days:
            weight *= 0.5 ** ((AS_OF - row[TIMESTAMP]) / timedelta(days=config.half_life_days))
        if config.use_value:
            weight *= row[VALUE]
        matrix[users.index(row[USER_ID]), items.index(row[ITEM_ID])] += weight
    return np.log1p(matrix), users, items


def numbers(frame):
    return frame.drop(USER_ID).to_numpy()


@pytest.mark.parametrize(
    "config",
    [
        Config(dimensions=8),
        Config(dimensions=8, half_life_days=30, event_weights={"view": 0.1, "buy": 5}, use_value=True),
        Config(dimensions=8, event_weights={"view": 0}),
    ],
)
def test_svd_equals_the_dense_decomposition(config):
    bucket = random_bucket()
    matrix, users, _ = dense(bucket, config)
    matrix = matrix[matrix.sum(axis=1) > 0] if config.event_weights.get("view") == 0 else matrix
    rows = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    u, s, _ = np.linalg.svd(rows, full_matrices=False)
    frame = collaborative.transform(bucket, fitted(by_user(bucket), config), config, AS_OF)
    assert frame[USER_ID].to_list() == users
    assert frame.columns[1:] == [f"collaborative_{j:02d}" for j in range(8)]
    ours = numbers(frame.drop_nulls())
    assert np.allclose(np.abs(ours), np.abs(u[:, :8] * s[:8]), atol=1e-5)


def test_arpack_agrees_with_the_dense_decomposition(monkeypatch):
    bucket, config = random_bucket(), Config(dimensions=6)
    exact = numbers(collaborative.transform(bucket, fitted([bucket], config), config, AS_OF))
    monkeypatch.setattr("tasks.features._factors.SMALL", 1)
    iterated = numbers(collaborative.transform(bucket, fitted([bucket], config), config, AS_OF))
    assert np.allclose(exact, iterated, atol=1e-5)


@pytest.mark.parametrize("method", ["truncated_svd", "als"])
def test_one_user_equals_the_same_user_in_a_batch_bit_for_bit(method):
    bucket = random_bucket(half := 2_000)
    config = Config(method=method, dimensions=16, half_life_days=50)
    state = fitted([random_bucket(half, seed=1)], config)
    frame = collaborative.transform(bucket, state, config, AS_OF)
    everything = bucket[EVENTS.name]
    for user in frame[USER_ID]:
        alone = {EVENTS.name: everything.filter(pl.col(USER_ID) == user).sample(fraction=1.0, shuffle=True, seed=1)}
        assert collaborative.transform(alone, state, config, AS_OF).equals(frame.filter(pl.col(USER_ID) == user))


def test_bucket_order_changes_no_bit_and_bucket_number_only_rounding():
    bucket, config = random_bucket(), Config(dimensions=8)
    parts = by_user(bucket, 5)
    one, other = fitted(parts, config), fitted(parts[::-1], config)
    assert all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
    whole = fitted([bucket], config)
    assert np.allclose(whole.arrays["factors"], one.arrays["factors"], atol=1e-9)


def test_als_fold_in_solves_the_normal_equations():
    bucket, config = random_bucket(), Config(method="als", dimensions=8, als_regularization=0.1)
    state = fitted(by_user(bucket), config)
    matrix, _, _ = dense(bucket, config)
    y = state.arrays["factors"]
    ours = numbers(collaborative.transform(bucket, state, config, AS_OF))
    for user in range(0, len(matrix), 7):
        confidence = np.where(matrix[user] > 0, 1 + 40 * matrix[user], 1.0)
        left = (y * confidence[:, None]).T @ y + 0.1 * np.eye(8)
        expected = np.linalg.solve(left, (confidence * (matrix[user] > 0)) @ y)
        assert np.allclose(ours[user], expected, atol=1e-5)


def test_als_fold_in_equals_implicits_own():
    from implicit.cpu.als import AlternatingLeastSquares

    bucket, config = random_bucket(), Config(method="als", dimensions=8)
    state = fitted([bucket], config)
    matrix, users, _ = dense(bucket, config)
    model = AlternatingLeastSquares(factors=8, regularization=0.01, dtype=np.float64)
    model.user_factors, model.item_factors = np.zeros((len(users), 8)), state.arrays["factors"]
    confidence = sparse.csr_matrix(np.where(matrix > 0, 1 + 40 * matrix, 0))
    theirs = model.recalculate_user(np.arange(len(users)), confidence)
    assert np.allclose(numbers(collaborative.transform(bucket, state, config, AS_OF)), theirs, atol=1e-5)


@pytest.mark.parametrize("method", ["truncated_svd", "als"])
def test_a_checkerboard_gives_two_tastes(method):
    rows = [(f"u{u:02d}", f"i{i:02d}", "buy", 1, None) for u in range(20) for i in range(12) if (u + i) % 2 == 0]
    bucket, config = {EVENTS.name: events(rows)}, Config(method=method, dimensions=2)
    frame = collaborative.transform(bucket, fitted([bucket], config), config, AS_OF)
    unit = numbers(frame) / np.linalg.norm(numbers(frame), axis=1, keepdims=True)
    cosines = unit @ unit.T
    same = (np.arange(20)[:, None] - np.arange(20)) % 2 == 0
    assert cosines[same].min() > 0.95
    assert cosines[~same].max() < 0.3


def test_rank_limits_the_dimensions():
    rows = [("a", "x", "buy", 1, None), ("b", "y", "buy", 1, None), ("c", "y", "buy", 1, None)]
    bucket = {EVENTS.name: events(rows)}
    assert len(fitted([bucket], Config()).meta["columns"]) == 2


def test_events_after_as_of_change_nothing():
    bucket, config = random_bucket(), Config(dimensions=4, half_life_days=20)
    future = events([("u001", "i001", "buy", -0.001, 5.0), ("zz", "new", "buy", -40, 5.0)])
    later = {EVENTS.name: pl.concat([bucket[EVENTS.name], future])}
    one, other = fitted([bucket], config), fitted([later], config)
    assert one.meta == other.meta
    assert all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
    assert collaborative.transform(bucket, one, config, AS_OF).equals(
        collaborative.transform(later, one, config, AS_OF)
    )


def test_unknown_items_and_silent_users_are_null():
    bucket, config = random_bucket(), Config(dimensions=4)
    state = fitted([bucket], config)
    strange = {
        EVENTS.name: events([("new", "never seen", "buy", 1, None), ("old", "i001", "buy", 1, None)]),
        USERS.name: pl.DataFrame({USER_ID: ["quiet"]}),
    }
    frame = collaborative.transform(strange, state, config, AS_OF)
    assert frame[USER_ID].to_list() == ["new", "old", "quiet"]
    assert numbers(frame)[1].tolist() == pytest.approx(state.arrays["factors"][1].tolist(), rel=1e-6)
    assert frame.filter(pl.col(USER_ID) != "old").drop(USER_ID).null_count().to_numpy().sum() == 8
    assert set(frame.dtypes[1:]) == {pl.Float32}


def test_columns_can_be_limited_and_state_is_plain_data():
    bucket, config = random_bucket(), Config(dimensions=4, columns=("collaborative_02", "collaborative_00"))
    state = fitted([bucket], config)
    assert state.meta["columns"] == ["collaborative_00", "collaborative_02"]
    copied = State({k: v.copy() for k, v in state.arrays.items()}, dict(state.meta))
    assert all(array.dtype.kind in "biuf" for array in state.arrays.values())
    assert collaborative.transform(bucket, copied, config, AS_OF).columns[1:] == state.meta["columns"]
    with pytest.raises(UsageError, match="no column age"):
        fitted([bucket], Config(columns=("age",)))


def test_rare_items_are_left_out_where_asked():
    bucket = random_bucket(400)
    matrix, _, items = dense(bucket, Config())
    kept = [item for item, n in zip(items, (matrix > 0).sum(axis=0), strict=True) if n >= 5]
    state = fitted([bucket], Config(min_item_users=5))
    assert 0 < state.meta["items"] == len(kept) < len(items)


def test_nothing_to_factorise_is_told():
    bucket = random_bucket(100)
    with pytest.raises(DataError, match="event_weights"):
        fitted([bucket], Config(event_weights={"view": 0, "cart": 0, "buy": 0}))
    with pytest.raises(DataError, match="min_item_users"):
        fitted([bucket], Config(min_item_users=1_000))
