"""Each feature of the behaviour family against a plain rewrite, user by user, in pandas and Python."""

import math
import statistics
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.artifacts import State
from schemas.errors import DataError, UsageError
from tasks.features import behaviour
from tasks.features._timeline import sort_runs
from tests.helpers.random_tables import AS_OF, random_bucket

CONFIG = behaviour.Config(utc_offset_hours=5.5)
KINDS = ("view", "cart", "buy", "rating")


def days(delta: timedelta) -> float:
    return delta / timedelta(days=1)


def oracle_user(rows: pd.DataFrame, config: behaviour.Config, as_of: datetime) -> dict[str, float | None]:
    """Features of one user with at least one event, without those that need other users."""
    rows = rows.sort_values(["timestamp", "sequence"])
    times = [t.to_pydatetime() for t in rows["timestamp"]]
    local = [t + timedelta(hours=config.utc_offset_hours) for t in times]
    n, tenure = len(rows), as_of - times[0]
    later = sum(t > times[0] + tenure / 2 for t in times)
    gaps = [days(b - a) for a, b in pairwise(times)]
    sessions: list[list[datetime]] = [[times[0]]]
    for before, t in pairwise(times):
        if t - before > timedelta(minutes=config.session_gap_minutes):
            sessions.append([])
        sessions[-1].append(t)
    p = (rows["item_id"].value_counts() / n).tolist()
    mean_gap = statistics.fmean(gaps) if gaps else None
    calendar = ((as_of + timedelta(hours=config.utc_offset_hours)).date() - local[0].date()).days + 1
    made = {
        "recency_days": days(as_of - times[-1]),
        "tenure_days": days(tenure),
        "events": n,
        "events_per_day": n / max(days(tenure), 1),
        "active_days": len({t.date() for t in local}),
        "active_day_share": len({t.date() for t in local}) / calendar,
        "trend": (later - (n - later)) / n if tenure else None,
        "gap_mean_days": mean_gap,
        "gap_median_days": statistics.median(gaps) if gaps else None,
        "gap_regularity": 1 / (1 + statistics.pstdev(gaps) / mean_gap) if len(gaps) > 1 and mean_gap else None,
        "sessions": len(sessions),
        "session_minutes_mean": statistics.fmean((s[-1] - s[0]) / timedelta(minutes=1) for s in sessions),
        "session_depth_mean": n / len(sessions),
        "session_depth_max": max(map(len, sessions)),
        "distinct_items": rows["item_id"].nunique(),
        "repeat_share": 1 - rows["item_id"].nunique() / n,
        "item_entropy": -sum(q * math.log(q) for q in p),
        "top_item_share": max(p),
    }
    turns = {
        "hour": [(t.hour * 60 + t.minute) / 1440 for t in local],
        "weekday": [t.weekday() / 7 for t in local],
    }
    for name, turn in turns.items():
        made[f"{name}_sin"] = statistics.fmean(math.sin(2 * math.pi * a) for a in turn)
        made[f"{name}_cos"] = statistics.fmean(math.cos(2 * math.pi * a) for a in turn)
    return made


def oracle_rhythm(own: dict[str, dict[str, float | None]], config: behaviour.Config) -> None:
    """Draws everybody's means, weighted by events, into those of each user who has few."""
    total = sum(user["events"] for user in own.values())
    for name in ("hour", "weekday"):
        for wave in (f"{name}_sin", f"{name}_cos"):
            common = sum(user["events"] * user[wave] for user in own.values()) / total
            for user in own.values():
                more = user["events"] - 1
                share = more / (more + config.rhythm_events) if config.rhythm_events else 1
                user[wave] = share * user[wave] + (1 - share) * common
        for user in own.values():
            user[f"{name}_concentration"] = math.hypot(user[f"{name}_sin"], user[f"{name}_cos"])


def oracle_mix(rows: pd.DataFrame, config: behaviour.Config) -> dict[str, float | None]:
    count = rows["event"].value_counts()
    made: dict[str, float | None] = {
        f"share_{k}": count.get(k, 0) / len(rows) for k in ("view", "cart", "buy", "rating")
    }
    for a, b in (("view", "cart"), ("cart", "buy"), ("view", "buy")):
        made[f"funnel_{a}_to_{b}"] = count.get(b, 0) / count[a] if a in count else None
    return made


def oracle_values(rows: pd.DataFrame, means: pd.Series) -> dict[str, float | None]:
    rows = rows.dropna(subset=["value"])
    rated, paid = rows[rows["event"] == "rating"], rows[rows["event"] != "rating"]["value"]
    strict = (rated["item_id"].map(means).astype(float) - rated["value"]).dropna()
    return {
        "value_sum": paid.sum() if len(paid) else None,
        "value_mean": paid.mean() if len(paid) else None,
        "rating_mean": rated["value"].mean() if len(rated) else None,
        "rating_std": rated["value"].std(ddof=0) if len(rated) else None,
        "rating_strictness": strict.mean() if len(strict) else None,
    }


def oracle(events: pd.DataFrame, config: behaviour.Config, as_of: datetime) -> dict[str, dict[str, float | None]]:
    events = events[events["timestamp"] <= as_of]
    rated = events[events["event"] == "rating"].dropna(subset=["value"])
    means = rated.groupby("item_id")["value"].mean()
    sizes = events.groupby("user_id").size()
    bounds = [np.quantile(sizes, q, method="inverted_cdf") for q in config.tier_quantiles]
    made = {
        str(user): oracle_user(rows, config, as_of) | oracle_mix(rows, config) | oracle_values(rows, means)
        | {"activity_tier": sum(len(rows) > bound for bound in bounds)}
        for user, rows in events.groupby("user_id")
    }  # fmt: skip
    oracle_rhythm(made, config)
    return made


def features(events: pl.DataFrame, config: behaviour.Config = CONFIG, as_of: datetime = AS_OF) -> pl.DataFrame:
    bucket = {"events": events}
    state = behaviour.finish(behaviour.partial(bucket, config, as_of), np.random.default_rng(0))
    return behaviour.transform(bucket, state, config, as_of)


def assert_equal(frame: pl.DataFrame, expected: dict[str, dict[str, float | None]]) -> None:
    assert frame["user_id"].to_list() == sorted(expected)
    for row in frame.iter_rows(named=True):
        user = row.pop("user_id")
        assert set(row) == set(expected[user])
        for name, value in row.items():
            truth = expected[user][name]
            assert (value is None) == (truth is None), (user, name, value, truth)
            # Float32 has seven digits; entropies and sums of sines cancel towards 0.
            assert value is None or value == pytest.approx(truth, rel=3e-6, abs=1e-6), (user, name)


@pytest.mark.parametrize("seed", range(6))
def test_every_feature_equals_its_plain_rewrite(seed: int) -> None:
    events = random_bucket(np.random.default_rng(seed), n_users=20, n_events=30 + 60 * seed)["events"]
    assert_equal(features(events), oracle(events.to_pandas(), CONFIG, AS_OF))


def test_without_a_prior_the_users_own_rhythm_counts_alone() -> None:
    events = random_bucket(np.random.default_rng(7), n_users=20, n_events=60)["events"]
    config = behaviour.Config(rhythm_events=0)
    assert_equal(features(events, config), oracle(events.to_pandas(), config, AS_OF))


RHYTHM = [f"{turn}_{what}" for turn in ("hour", "weekday") for what in ("sin", "cos", "concentration")]


def test_one_event_tells_no_rhythm_and_many_tell_their_own() -> None:
    """Users of one event each on any weekday and hour are alike; who comes every Monday at noon still shows it."""
    rng, monday = np.random.default_rng(8), datetime(2025, 1, 6, 12, tzinfo=UTC)
    once = [monday + timedelta(hours=float(hours)) for hours in rng.uniform(0, 24 * 7, 50)]
    steady = [monday + timedelta(weeks=week) for week in range(100)]
    users = [*(f"once{n}" for n in range(50)), *["steady"] * 100]
    frame = hand_made([*once, *steady], user_id=users).sort("user_id", "timestamp")
    as_of = monday + timedelta(weeks=100)
    found, alone = (features(frame, behaviour.Config(rhythm_events=n), as_of) for n in (5, 0))
    ones = pl.col("user_id").str.starts_with("once")
    assert found.filter(ones).select(RHYTHM).unique().height == 1
    assert alone.filter(ones).select(RHYTHM).unique().height > 40, "what they were split by"
    ours, own = (one.filter(~ones).select(RHYTHM).to_numpy() for one in (found, alone))
    np.testing.assert_allclose(ours, own, atol=0.05)


def test_a_state_of_an_earlier_version_answers_as_it_did() -> None:
    bucket = {"events": random_bucket(np.random.default_rng(9), n_users=20, n_events=60)["events"]}
    state = behaviour.finish(behaviour.partial(bucket, CONFIG, AS_OF), np.random.default_rng(0))
    without = State({name: array for name, array in state.arrays.items() if name != "rhythm"}, state.meta)
    alone = behaviour.Config(utc_offset_hours=5.5, rhythm_events=0)
    answers = behaviour.transform(bucket, without, CONFIG, AS_OF), behaviour.transform(bucket, state, alone, AS_OF)
    assert answers[0].equals(answers[1])


def test_the_past_alone_counts_at_an_earlier_moment() -> None:
    events = random_bucket(np.random.default_rng(3), n_users=20, n_events=300)["events"]
    as_of = AS_OF - timedelta(days=31, minutes=7)
    assert_equal(features(events, as_of=as_of), oracle(events.to_pandas(), CONFIG, as_of))


def test_order_of_rows_does_not_matter() -> None:
    events = random_bucket(np.random.default_rng(4), n_events=300)["events"]
    assert features(events.sample(fraction=1.0, shuffle=True, seed=1)).equals(features(events))


def hand_made(times: list[datetime], **columns: list) -> pl.DataFrame:
    n = len(times)
    filled = {"user_id": ["u"] * n, "item_id": ["i"] * n, "event": ["view"] * n, "value": [None] * n} | columns
    frame = pl.DataFrame({**filled, "timestamp": times, "sequence": list(range(n))})
    return frame.cast({"timestamp": pl.Datetime("us", "UTC"), "value": pl.Float64})


def test_one_event_has_no_gaps_and_equal_times_no_regularity() -> None:
    one = features(hand_made([AS_OF])).row(0, named=True)
    assert (one["events"], one["sessions"], one["recency_days"], one["item_entropy"]) == (1, 1, 0, 0)
    assert one["trend"] is None
    assert one["gap_mean_days"] is None
    assert one["gap_regularity"] is None
    same = features(hand_made([AS_OF - timedelta(days=2)] * 4)).row(0, named=True)
    assert (same["gap_mean_days"], same["gap_median_days"], same["session_depth_max"]) == (0, 0, 4)
    assert same["gap_regularity"] is None


def test_a_steady_user_is_regular_and_keeps_the_hour() -> None:
    times = [AS_OF - timedelta(days=7 * k) for k in range(9, -1, -1)]
    row = features(hand_made(times), behaviour.Config()).row(0, named=True)
    assert row["gap_regularity"] == 1
    assert row["hour_concentration"] == pytest.approx(1)
    assert row["weekday_concentration"] == pytest.approx(1)
    assert (row["hour_sin"], row["hour_cos"]) == (pytest.approx(0, abs=1e-6), pytest.approx(-1))  # noon
    assert row["sessions"] == 10


def test_the_exact_middle_is_the_earlier_half() -> None:
    times = [AS_OF - timedelta(days=k) for k in (2, 1, 0)]
    assert features(hand_made(times))["trend"].item() == pytest.approx((1 - 2) / 3)


def test_neighbours_of_one_day_each_have_their_day() -> None:
    frame = features(hand_made([AS_OF] * 4, user_id=["a", "b", "b", "c"]))
    assert frame["active_days"].to_list() == [1, 1, 1]


def test_fractions_of_ratings_count_for_the_items_mean() -> None:
    users, values = ["a", "b", "c"], [0.1, 0.2, 4.75]
    frame = features(hand_made([AS_OF] * 3, user_id=users, event=["rating"] * 3, value=values))
    mean = sum(values) / 3
    assert frame["rating_strictness"].to_list() == pytest.approx([mean - value for value in values], abs=1e-6)


def test_users_without_events_have_counts_of_zero_and_no_guesses() -> None:
    bucket = random_bucket(np.random.default_rng(5))
    state = behaviour.finish(behaviour.partial(bucket, CONFIG, AS_OF), np.random.default_rng(0))
    silent = behaviour.transform(bucket, state, CONFIG, AS_OF).filter(pl.col("user_id") == "u013")
    counts = ("events", "active_days", "sessions", "distinct_items", "activity_tier")
    assert silent.select(counts).row(0) == (0, 0, 0, 0, 0)
    assert silent.drop("user_id", *counts).null_count().sum_horizontal()[0] == silent.width - 1 - len(counts)


def test_columns_follow_the_data() -> None:
    views = hand_made([AS_OF - timedelta(days=k) for k in (3, 2, 1)])
    assert not [c for c in features(views).columns if c.startswith(("share_", "funnel_", "value_", "rating_"))]
    some = views.with_columns(pl.Series("event", ["view", "buy", "buy"]), pl.Series("value", [None, 2.5, 3.0]))
    row = features(some).row(0, named=True)
    assert (row["funnel_view_to_buy"], row["value_sum"], row["share_buy"]) == (2, 5.5, pytest.approx(2 / 3))
    assert "funnel_view_to_cart" not in row
    assert "rating_mean" not in row


def test_non_finite_values_count_as_missing() -> None:
    times = [AS_OF - timedelta(days=k) for k in (3, 2, 1)]
    row = features(hand_made(times, event=["buy"] * 3, value=[math.nan, math.inf, 4.0])).row(0, named=True)
    assert (row["value_sum"], row["value_mean"]) == (4, 4)


@pytest.mark.filterwarnings("error")
def test_amounts_beyond_float32_are_unknown() -> None:
    times = [AS_OF - timedelta(days=k) for k in (3, 2, 1)]
    for name, column in (("buy", "value_sum"), ("rating", "rating_std")):
        row = features(hand_made(times, event=[name] * 3, value=[1e308, 1e308, -1e308])).row(0, named=True)
        assert row[column] is None


def test_item_means_add_up_exactly_in_any_order() -> None:
    rng = np.random.default_rng(6)
    parts = []
    for k in range(5):
        n = 200
        events = hand_made(
            [AS_OF] * n, user_id=[f"u{k}"] * n, event=["rating"] * n, value=list(rng.normal(0, 1e4, n)),
            item_id=[f"i{j}" for j in rng.integers(0, 9, n)],
        )  # fmt: skip
        parts.append(behaviour.partial({"events": events}, CONFIG, AS_OF))
    states = []
    for order in (parts, parts[::-1]):
        left = order[0]
        for part in order[1:]:
            left = behaviour.merge(left, part)
        states.append(behaviour.finish(left, np.random.default_rng(0)))
    pairs = behaviour.merge(behaviour.merge(*parts[:2]), behaviour.merge(parts[2], behaviour.merge(*parts[3:])))
    states.append(behaviour.finish(pairs, np.random.default_rng(0)))
    for name in ("item_mean", "rhythm"):
        assert len({state.arrays[name].tobytes() for state in states}) == 1


def test_tells_how_to_mend_a_call() -> None:
    with pytest.raises(DataError, match="events"):
        behaviour.partial({}, CONFIG, AS_OF)
    with pytest.raises(UsageError, match="time zone"):
        behaviour.partial({"events": hand_made([AS_OF])}, CONFIG, datetime(2026, 1, 1))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**61 - 1), min_size=1, max_size=5), max_size=8), st.booleans())
def test_sort_runs_sorts_each_run(runs: list[list[int]], small: bool) -> None:
    runs = [[v % 7 for v in run] for run in runs] if small else runs
    owner = np.repeat(np.arange(len(runs)), [len(run) for run in runs]).astype(np.int64)
    values = np.array([v for run in runs for v in run], np.int64)
    assert sort_runs(values, owner).tolist() == [v for run in runs for v in sorted(run)]


def test_moments_before_1970_keep_their_day() -> None:
    old = [datetime(1969, 12, 31, 23, 30, tzinfo=UTC), datetime(1970, 1, 1, 0, 30, tzinfo=UTC)]
    frame = features(hand_made(old), behaviour.Config(), datetime(1970, 1, 2, tzinfo=UTC))
    assert frame["active_days"].item() == 2
