"""Attributes: closed forms per role, what is left out and why, merging, and users the fit never saw."""

import json
import pickle
import zlib
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import DataError, UsageError
from schemas.tables import EVENT, EVENTS, ITEM_ID, SEQUENCE, TIMESTAMP, USER_ID, USERS, VALUE
from tasks.features import _summary, attributes
from tasks.features.attributes import Config

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


def bucket(**columns):
    n = len(next(iter(columns.values())))
    return {USERS.name: pl.DataFrame({USER_ID: [f"u{k:04d}" for k in range(n)], **columns})}


def fitted(buckets, config=None):
    parts = [pickle.loads(pickle.dumps(attributes.partial(b, config or Config(), AS_OF))) for b in buckets]
    whole = parts[0]
    for part in parts[1:]:
        whole = attributes.merge(whole, part)
    state = attributes.finish(whole, np.random.default_rng(0))
    assert json.loads(json.dumps(state.meta)) == state.meta
    return state


def run(b, config=None, state=None):
    config = config or Config()
    return attributes.transform(b, state or fitted([b], config), config, AS_OF)


def mixed(n=400, seed=0):
    rng = np.random.default_rng(seed)
    age = np.where(rng.random(n) < 0.2, np.nan, rng.integers(18, 80, n))
    return bucket(
        age=pl.Series(age).fill_nan(None),
        income=rng.lognormal(10, 2, n),
        city=[f"c{k}" for k in (rng.random(n) ** 2 * 60).astype(int)],
        tags=[[f"t{j}" for j in range(5) if rng.random() < 0.4] for _ in range(n)],
        level=rng.choice(["low", "mid", "high"], n).tolist(),
        zip=[f"z{k}" for k in range(n)],
        vip=rng.random(n) < 0.3,
    )


def split(b, parts):
    frame = b[USERS.name].with_row_index("at")
    return [{USERS.name: frame.filter(pl.col("at") % parts == p).drop("at")} for p in range(parts)]


def test_numeric_is_robustly_scaled_with_an_indicator_of_missing():
    frame = run(bucket(age=[20.0, 30.0, 40.0, None, 100.0]))
    scaled = (np.array([20, 30, 40, 100]) - 35) / (1.4826 * 10)
    assert frame.columns == [USER_ID, "attributes_age", "attributes_age_missing"]
    assert frame["attributes_age"].drop_nulls().to_list() == pytest.approx(scaled.tolist(), rel=1e-6)
    assert frame["attributes_age"].null_count() == 1
    assert frame["attributes_age_missing"].to_list() == [0, 0, 0, 1, 0]
    assert set(frame.dtypes[1:]) == {pl.Float32}


def test_skewed_amounts_are_logged_first():
    income = np.random.default_rng(0).lognormal(8, 2, 301)
    logged = np.log1p(income)
    expected = (logged - np.median(logged)) / (1.4826 * np.median(np.abs(logged - np.median(logged))))
    assert np.allclose(run(bucket(income=income))["attributes_income"], expected, atol=1e-5)


def test_mostly_equal_numbers_fall_back_to_the_standard_deviation():
    values = np.array([0.0] * 9 + [-10.0])
    assert np.allclose(run(bucket(x=values))["attributes_x"], values / values.std(), atol=1e-6)


def test_categories_beyond_the_cap_share_hashed_columns():
    cities = ["a"] * 5 + ["b"] * 4 + ["c"] * 3 + ["d", "e", None]
    config = Config(categorical=("city",), max_categories=2, hash_columns=3)
    frame = run(bucket(city=cities), config)
    names = ["city=a", "city=b", "city#0", "city#1", "city#2", "city_missing"]
    assert frame.columns[1:] == [f"attributes_{name}" for name in names]
    for row, city in zip(frame.drop(USER_ID).iter_rows(), cities, strict=True):
        if city is None:
            assert row == (None,) * 5 + (1.0,)
            continue
        expected = np.zeros(6)
        expected["ab".index(city) if city in "ab" else 2 + zlib.crc32(city.encode()) % 3] = 1
        assert row == tuple(expected)


def test_unseen_categories_are_zero_in_named_columns_or_hashed():
    b = bucket(city=["a", "b", "a", "c"])
    strange = bucket(city=["never seen"])
    assert run(strange, state=fitted([b])).row(0)[1:] == (0, 0, 0)
    config = Config(max_categories=2, categorical=("city",))
    assert sum(run(strange, config, fitted([b], config)).row(0)[1:]) == 1


def test_ordinal_levels_are_ranked_as_declared():
    config = Config(ordinal={"level": ("low", "mid", "high")})
    frame = run(bucket(level=["mid", "low", "high", "?", None]), config)
    assert frame["attributes_level"].to_list() == [0.5, 0, 1, None, None]
    assert frame["attributes_level_missing"].to_list() == [0, 0, 0, 1, 1]


def test_multi_valued_lists_and_strings_give_the_same():
    lists = [["a", "b"], ["b", "b"], [], ["c"]]
    strings = ["a|b", "b|b", "", "c"]
    one = run(bucket(tags=lists))
    other = run(bucket(tags=strings), Config(multi_valued=("tags",)))
    assert one.equals(other)
    assert one.columns[1:] == [f"attributes_tags{end}" for end in ("=b", "=a", "=c", "_missing")]
    assert one.row(0)[1:] == (1, 1, 0, 0)
    assert one.row(2)[1:] == (None, None, None, 1)


def test_detection_tells_what_it_leaves_out():
    b = bucket(
        zip=[f"z{k}" for k in range(100)], nothing=pl.Series([None] * 100, dtype=pl.String), same=["x"] * 100,
        flat=[3] * 100, born=[date(2000, 1, 1)] * 100, vip=[k % 2 == 0 for k in range(100)],
    )  # fmt: skip
    state = fitted([b])
    assert state.meta["columns"] == ["attributes_vip"]
    assert set(state.meta["skipped"]) == {"zip", "nothing", "same", "flat", "born"}
    assert "nearly unique: 100 values of 100" in state.meta["skipped"]["zip"]
    assert state.meta["skipped"]["nothing"] == "every value is missing"
    assert state.meta["skipped"]["same"] == state.meta["skipped"]["flat"] == "constant"
    assert state.meta["sources"] == {"attributes_vip": "users.vip"}


def test_sensitive_columns_stay_out_unless_allowed():
    b = bucket(gender=["f", "m", "m"], age=[20, 30, 50])
    hidden = Config(sensitive=("gender",))
    state = fitted([b], hidden)
    assert state.meta["columns"] == ["attributes_age"]
    assert state.meta["skipped"] == {"gender": "declared sensitive"}
    assert "gender" not in attributes.partial(b, hidden, AS_OF).columns
    assert "attributes_gender=m" in fitted([b], Config(sensitive=("gender",), allow_sensitive=True)).meta["columns"]
    declared = Config(categorical=("gender",), numeric=("age",), sensitive=("gender",))
    assert fitted([b], declared).meta["columns"] == ["attributes_age"]


@settings(max_examples=20, deadline=None)
@given(parts=st.integers(2, 6), seed=st.integers(0, 100), order=st.randoms())
def test_any_tree_of_merges_gives_the_same_state(parts, seed, order):
    b = mixed(120, seed)
    buckets = split(b, parts)
    order.shuffle(buckets)
    assert fitted(buckets).meta == fitted([b]).meta


def test_bounded_summaries_merge_alike_too(monkeypatch):
    monkeypatch.setattr(_summary, "SAMPLE", 50)
    monkeypatch.setattr(_summary, "MAX_DISTINCT", 20)
    b = mixed(400)
    parts = [attributes.partial(part, Config(), AS_OF) for part in split(b, 4)]
    left = attributes.merge(attributes.merge(attributes.merge(parts[0], parts[1]), parts[2]), parts[3])
    right = attributes.merge(attributes.merge(parts[3], parts[1]), attributes.merge(parts[2], parts[0]))
    metas = [attributes.finish(each, np.random.default_rng(0)).meta for each in (left, right)]
    assert metas[0] == metas[1]
    assert len(left.columns["age"].values) == 50
    assert left.columns["city"].counts is None


def test_one_user_equals_the_same_user_in_a_batch_bit_for_bit():
    b = mixed()
    state = fitted([b])
    frame = run(b, state=state)
    for user in frame[USER_ID]:
        alone = {USERS.name: b[USERS.name].filter(pl.col(USER_ID) == user)}
        assert run(alone, state=state).equals(frame.filter(pl.col(USER_ID) == user))


def test_users_without_a_row_are_unknown_and_the_future_adds_nobody():
    events = pl.DataFrame(
        {
            USER_ID: ["u0000", "stranger", "tomorrow"],
            ITEM_ID: ["i"] * 3,
            EVENT: ["view"] * 3,
            TIMESTAMP: [AS_OF, AS_OF, datetime(2027, 1, 1, tzinfo=UTC)],
            VALUE: [1.0] * 3,
            SEQUENCE: [1, 2, 3],
        }
    )
    b = bucket(age=[20, 30, 50]) | {EVENTS.name: events}
    frame = run(b)
    assert frame[USER_ID].to_list() == ["stranger", "u0000", "u0001", "u0002"]
    assert frame.row(0)[1:] == (None, 1.0)
    now = b | {EVENTS.name: events.filter(pl.col(TIMESTAMP) <= AS_OF)}
    assert fitted([b]).meta == fitted([now]).meta
    assert run(now).equals(frame)


def test_wild_numbers_are_missing_and_never_nan():
    frame = run(bucket(x=[1.0, float("nan"), float("inf"), 2.0, 3.0]))
    assert frame["attributes_x"].null_count() == 2
    assert np.isfinite(frame["attributes_x"].drop_nulls().to_numpy()).all()
    strings = run(bucket(x=["1", "2", "many", "", "4"]), Config(numeric=("x",)))
    assert strings["attributes_x_missing"].to_list() == [0, 0, 1, 1, 0]


def test_columns_can_be_limited_and_mistakes_are_told():
    b = bucket(age=[1, 2, 3], city=["a", "b", "a"])
    assert run(b, Config(columns=("attributes_city=a",))).columns == [USER_ID, "attributes_city=a"]
    with pytest.raises(UsageError, match="no column wage"):
        fitted([b], Config(numeric=("wage",)))
    with pytest.raises(DataError, match="no column city"):
        run(bucket(age=[1]), state=fitted([b]))
    with pytest.raises(DataError, match="numeric in one part of the data and categorical"):
        fitted([b, bucket(age=["x", "y"], city=["a", "b"])])
    assert run({USERS.name: pl.DataFrame(schema={USER_ID: pl.String})}, state=fitted([b])).height == 0
