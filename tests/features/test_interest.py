"""Each feature of the interest family against a plain rewrite, user by user, in Python."""

import math
from collections import Counter, defaultdict
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from schemas.errors import DataError
from schemas.tables import Bucket
from tasks.features import interest
from tests.helpers.random_tables import AS_OF, random_bucket

CONFIG = interest.Config(half_life_days=10, max_categories=4, event_weights={"view": 0.5, "cart": 0.0}, head_share=0.6)
Row = dict[str, float | None]


def head_of(events: Counter, share: float) -> set[str]:
    """Most popular items, ties included, that reach the share of all events."""
    head, total = set(), 0
    for bound in sorted(set(events.values()), reverse=True):
        if total >= share * sum(events.values()):
            break
        for item in [item for item, n in events.items() if n == bound and item not in head]:
            head.add(item)
        total = sum(events[item] for item in head)
    return head


def oracle(bucket: Bucket, config: interest.Config, as_of: datetime) -> dict[str, Row]:
    events = bucket["events"].filter(pl.col("timestamp") <= as_of).rows(named=True)
    categories = {row["item_id"]: row["categories"] or [] for row in bucket["items"].rows(named=True)}
    users, touched, item_users = set(), defaultdict(set), defaultdict(set)
    for row in events:
        users.add(row["user_id"])
        item_users[row["item_id"]].add(row["user_id"])
        for category in categories.get(row["item_id"], []):
            touched[category].add(row["user_id"])
    kept = sorted(touched, key=lambda c: (-len(touched[c]), c))[: config.max_categories]
    head = head_of(Counter(row["item_id"] for row in events), config.head_share)
    made = {}
    for user in users:
        own = [row for row in events if row["user_id"] == user]
        mass = dict.fromkeys(kept, 0.0)
        for row in own:
            weight = config.event_weights.get(row["event"], 1.0)
            weight *= 2 ** (-((as_of - row["timestamp"]) / timedelta(days=1)) / config.half_life_days)
            has = categories.get(row["item_id"], [])
            for category in set(has) & set(kept):
                mass[category] += weight / len(has)
        total = sum(mass.values())
        share = {c: m / total for c, m in mass.items()} if total else None
        row = {f"affinity_{c}": share and share[c] * math.log(1 + len(users) / len(touched[c])) for c in kept}
        row["category_entropy"] = share and -sum(s * math.log(s) for s in share.values() if s)
        row["categories_touched"] = share and sum(s > 0 for s in share.values())
        bits = [math.log2((len(users) + 1) / (len(item_users[event["item_id"]]) + 1)) for event in own]
        made[user] = row | {
            "novelty": sum(bits) / len(own),
            "long_tail_share": sum(event["item_id"] not in head for event in own) / len(own),
        }
    return made


def features(bucket: Bucket, config: interest.Config = CONFIG, as_of: datetime = AS_OF) -> pl.DataFrame:
    state = interest.finish(interest.partial(bucket, config, as_of), np.random.default_rng(0))
    return interest.transform(bucket, state, config, as_of)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("back", [0, 25])
def test_every_feature_equals_its_plain_rewrite(seed: int, back: int) -> None:
    bucket = random_bucket(np.random.default_rng(seed), n_users=18, n_events=25 + 60 * seed)
    as_of = AS_OF - timedelta(days=back, minutes=1)
    expected, frame = oracle(bucket, CONFIG, as_of), features(bucket, as_of=as_of)
    assert len(frame) >= len(expected)
    for row in frame.iter_rows(named=True):
        truth = expected.get(row.pop("user_id"), dict.fromkeys(row))
        assert list(row) == list(truth)
        for name, value in row.items():
            assert (value is None) == (truth[name] is None), name
            assert value is None or value == pytest.approx(truth[name], rel=3e-6, abs=1e-6), name


def tiny(rows: list[tuple[str, str, float]], categories: dict[str, list[str] | None]) -> Bucket:
    """Events (user, item, days before AS_OF) and the items' categories."""
    events = pl.DataFrame({
        "user_id": [r[0] for r in rows], "item_id": [r[1] for r in rows], "event": ["view"] * len(rows),
        "timestamp": [AS_OF - timedelta(days=r[2]) for r in rows], "value": [None] * len(rows),
        "sequence": list(range(len(rows))),
    }).cast({"timestamp": pl.Datetime("us", "UTC"), "value": pl.Float64})  # fmt: skip
    items = pl.DataFrame({"item_id": list(categories), "categories": list(categories.values())})
    return {"events": events, "items": items.cast({"categories": pl.List(pl.String)})}


def test_an_event_of_one_half_life_ago_weighs_half() -> None:
    bucket = tiny([("u", "old", 30.0), ("u", "new", 0.0)], {"old": ["war"], "new": ["love"]})
    row = features(bucket, interest.Config(half_life_days=30)).row(0, named=True)
    assert row["affinity_love"] == pytest.approx(2 / 3 * math.log(2))
    assert row["affinity_war"] == pytest.approx(1 / 3 * math.log(2))


def test_very_old_users_keep_their_shares() -> None:
    bucket = tiny([("u", "a", 14_001.0), ("u", "b", 14_000.0)], {"a": ["war"], "b": ["love"]})
    row = features(bucket, interest.Config(half_life_days=1)).row(0, named=True)
    assert row["affinity_love"] == pytest.approx(2 / 3 * math.log(2))


def test_a_rare_category_counts_more_than_a_common_one() -> None:
    rows = [(f"u{k}", "common", 1.0) for k in range(9)] + [("u9", "common", 1.0), ("u9", "rare", 1.0)]
    frame = features(tiny(rows, {"common": ["pop"], "rare": ["jazz"]}), interest.Config())
    last = frame.row(9, named=True)
    assert last["affinity_jazz"] > 3 * last["affinity_pop"] > 0
    assert last["novelty"] == pytest.approx(math.log2(11 / 2) / 2)
    assert frame["long_tail_share"].to_list() == [0.0] * 9 + [0.5]


def test_items_without_categories_leave_popularity_alone() -> None:
    frame = features(tiny([("u", "a", 1.0), ("u", "gone", 2.0)], {"a": None}), interest.Config())
    assert frame.columns == ["user_id", "novelty", "long_tail_share"]


def test_an_item_the_fit_has_not_seen_is_as_novel_as_can_be() -> None:
    categories = {"a": ["war"], "b": ["love"], "c": ["war"]}
    bucket = tiny([("u", "a", 1.0), ("v", "a", 1.0), ("v", "b", 1.0)], categories)
    state = interest.finish(interest.partial(bucket, interest.Config(), AS_OF), np.random.default_rng(0))
    row = interest.transform(tiny([("w", "c", 1.0)], categories), state, interest.Config(), AS_OF).row(0, named=True)
    assert row["novelty"] == pytest.approx(math.log2(3))
    assert row["long_tail_share"] == 1
    assert row["affinity_war"] == pytest.approx(math.log(2))


def test_a_name_repeated_in_the_list_counts_once() -> None:
    once, twice = ({"a": ["war", *more], "b": ["love"]} for more in ([], ["war", ""]))
    rows = [("u", "a", 1.0), ("u", "b", 2.0)]
    assert features(tiny(rows, once)).equals(features(tiny(rows, twice)))


def test_tells_which_table_is_missing() -> None:
    with pytest.raises(DataError, match="items"):
        interest.partial({"events": random_bucket(np.random.default_rng(0))["events"]}, CONFIG, AS_OF)
