"""Profiles against a plain pandas rewrite, against planted truths, and against segments that mean nothing."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from schemas.config import DescribeConfig
from schemas.tables import CATEGORIES, EVENTS, ITEM_ID, ITEMS, TEXT, TEXTS, USER_ID
from tasks.segments import _lifts, _phrases, _words
from tasks.segments.profiles import LABEL, SMALL, Counts, merge, partial, profiles, strength, titled

GENRES = ["Drama", "Comedy", "War", "Horror"]


def world(users=200, k=4, seed=0, taste=0.0, noise=0.1):
    """Users of k segments; segment s draws share `taste` of its events from genre s, the rest evenly."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, users)
    labels[rng.random(users) < noise] = -1
    ids = [f"u{i:04d}" for i in range(users)]
    items = pl.DataFrame({
        ITEM_ID: [f"i{j:03d}" for j in range(80)],
        CATEGORIES: [[GENRES[j % 4]] if j % 5 else [GENRES[j % 4], GENRES[(j + 1) % 4]] for j in range(80)],
    })  # fmt: skip
    rows = []
    for user, label in zip(ids, labels, strict=True):
        for _ in range(rng.integers(5, 40)):
            liked = label >= 0 and rng.random() < taste
            rows.append((user, f"i{(4 * rng.integers(0, 20) + label) if liked else rng.integers(0, 80):03d}"))
    events = pl.DataFrame(rows, schema=[USER_ID, ITEM_ID], orient="row")
    assigned = pl.DataFrame({USER_ID: ids, LABEL: labels.astype(np.int32)})
    frame = pl.DataFrame({
        USER_ID: ids, "events": rng.gamma(3, 10, users),
    })  # fmt: skip
    return {EVENTS.name: events, ITEMS.name: items}, assigned, {"behaviour": frame}


def ids(k):
    return [f"s{i + 1:03d}" for i in range(k)]


def rewrite(bucket, assigned, category, label):
    """Mean share of a category in a user's events, in a segment and elsewhere, and its standard error, by pandas."""
    known = assigned.to_pandas().query("label >= 0")
    events = bucket[EVENTS.name].to_pandas().merge(known, on=USER_ID)
    items = bucket[ITEMS.name].to_pandas()
    has = {row[ITEM_ID]: category in set(row[CATEGORIES]) for _, row in items.iterrows()}
    events["x"] = events[ITEM_ID].map(has).astype(float)
    sides = (events[events.label == label], events[events.label != label])
    shares = [side.groupby(USER_ID).x.mean() for side in sides]
    return [(share.mean(), share.sem()) for share in shares]


def test_a_categorys_lift_is_that_of_a_plain_rewrite():
    bucket, assigned, features = world(taste=0.5, seed=3)
    counts = partial(bucket, assigned, features, 4)
    for label, category in enumerate(GENRES):
        lift = next(one for one in _lifts.event_shares(counts.categories, counts.placed, label) if one.key == category)
        (p, error), (q, other) = rewrite(bucket, assigned, category, label)
        assert lift.inside == pytest.approx(p, abs=1e-12)
        assert lift.elsewhere == pytest.approx(q, abs=1e-12)
        assert lift.lift == pytest.approx(p / q, rel=1e-12)
        spread = math.hypot(error / p, other / q)
        users = int(min(counts.placed[label], counts.placed.sum() - counts.placed[label]))
        t = stats.t.ppf(1 - 0.025 / len(GENRES), users - 1)
        assert lift.low == pytest.approx(p / q * math.exp(-t * spread), rel=1e-9)


def test_users_of_an_item_are_counted_once_and_only_with_a_segment():
    bucket, assigned, features = world(seed=4)
    counts = partial(bucket, assigned, features, 4)
    known = assigned.to_pandas().query("label >= 0")
    table = bucket[EVENTS.name].to_pandas().drop_duplicates().merge(known, on=USER_ID)
    expected = pd.crosstab(table[ITEM_ID], table[LABEL])
    assert counts.items.keys() == set(expected.index)
    for item, row in counts.items.items():
        assert row.tolist() == expected.loc[item].tolist()
    assert counts.users.tolist() == known[LABEL].value_counts().sort_index().tolist()


@given(st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_buckets_add_up_to_the_whole(parts, seed):
    bucket, assigned, features = world(users=60, seed=seed, taste=0.3)
    whole = partial(bucket, assigned, features, 4)
    where = assigned.with_columns(part=pl.col(USER_ID).hash(seed) % parts)
    sums = None
    for number in range(parts):
        own = where.filter(pl.col("part") == number).select(USER_ID)
        piece = partial(
            {EVENTS.name: bucket[EVENTS.name].join(own, on=USER_ID, how="semi"), ITEMS.name: bucket[ITEMS.name]},
            assigned.join(own, on=USER_ID, how="semi"),
            {name: frame.join(own, on=USER_ID, how="semi") for name, frame in features.items()}, 4,
        )  # fmt: skip
        sums = piece if sums is None else merge(sums, piece)
    assert sums.items.keys() == whole.items.keys()
    np.testing.assert_array_equal(sums.users, whole.users)
    np.testing.assert_array_equal(sums.placed, whole.placed)
    for name, table in whole.categories.items():
        np.testing.assert_allclose(sums.categories[name], table, rtol=1e-12)
    np.testing.assert_allclose(sums.features["behaviour.events"], whole.features["behaviour.events"], rtol=1e-12)


def test_a_planted_taste_leads_its_segment():
    bucket, assigned, features = world(users=400, taste=0.4)
    found = profiles(partial(bucket, assigned, features, 4), {}, ids(4))
    for label, profile in enumerate(found):
        assert profile.top_categories[0] == GENRES[label]
        assert profile.evidence[0].startswith(f"{GENRES[label]}: ")
        claim = profile.claims[0]
        assert (claim.kind, claim.key) == ("category", GENRES[label])
        assert claim.inside > claim.elsewhere
        assert 1 < claim.low < claim.lift
        assert f"×{claim.lift:.2g}" in claim.text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3.54e-05, "≈0"),
        (-3.54e-05, "≈0"),
        (0.00123, "0.00123"),
        (0.0, "0"),
        (2.4, "2.4"),
        (-0.12345, "-0.123"),
        (999.6, "1000"),
        (123_456.0, "123,456"),
    ],
)
def test_a_mean_is_never_a_power_of_ten(value, words):
    assert _words.number(value) == words


@pytest.mark.parametrize(
    ("ratio", "words"), [(1.0412, "1.04"), (1.81, "1.8"), (17.2, "17"), (98.6, "99"), (2345.0, "2,345")]
)
def test_a_ratio_is_never_a_power_of_ten(ratio, words):
    assert _words.times(ratio) == words


def test_the_effect_is_worked_out_by_hand():
    table = {"seen": np.array([[50.0, 100.0], [100.0, 900.0]])}
    lift = _lifts.shares(table, 0)[0]
    assert lift.lift == pytest.approx(0.5 / (100 / 900))
    ratio = (50.5 / 101) / (100.5 / 901)
    error = math.sqrt(1 / 50.5 - 1 / 101 + 1 / 100.5 - 1 / 901)
    assert lift.low == pytest.approx(ratio * math.exp(-1.959963985 * error))
    low = lift.low * 100.5 / 901
    assert lift.effect == pytest.approx(2 * math.asin(math.sqrt(low)) - 2 * math.asin(math.sqrt(100.5 / 901)))


def test_a_features_difference_is_cohens():
    rng = np.random.default_rng(5)
    a, b = rng.normal(2.0, 1.5, 60), rng.normal(1.0, 1.5, 300)
    table = {"behaviour.events": np.array([[len(v), v.sum(), (v**2).sum()] for v in (a, b)]).T}
    edges = np.sort(np.append(a, b))
    ranks = {"behaviour.events": np.stack([np.bincount(np.searchsorted(edges, v), minlength=361) for v in (a, b)]).T}
    lift = _lifts.differences(table, ranks, 0)[0]
    pooled = math.sqrt((59 * a.var(ddof=1) + 299 * b.var(ddof=1)) / 358)
    d = (a.mean() - b.mean()) / pooled
    assert lift.lift == pytest.approx(d, rel=1e-9)
    assert lift.low == pytest.approx(d - 1.959963985 * math.sqrt(360 / 18000 + d**2 / 720), rel=1e-6)
    assert _lifts.differences(table, ranks, 1)[0].lift == pytest.approx(-d, rel=1e-9)
    flat = {"behaviour.events": np.full((361, 2), 1.0)}
    assert _lifts.differences(table, flat, 0) == []  # a mean whose ranks say nothing is a few users' doing


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=40))
@settings(max_examples=100, deadline=None)
def test_the_test_of_ranks_is_that_of_scipy(bins):
    own, others = (np.array(side) for side in zip(*bins, strict=True))
    if min(own.sum(), others.sum()) < 1 or np.count_nonzero(own + others) < 2:
        return
    values = (np.repeat(np.arange(len(bins)), side) for side in (own, others))
    expected = stats.mannwhitneyu(*values, alternative="greater", method="asymptotic", use_continuity=False).pvalue
    assert stats.norm.sf(_lifts.rank_sum(own.astype(float), others.astype(float))) == pytest.approx(expected, abs=1e-9)


def test_reports_of_random_segments_claim_nothing():
    """Sixteen segments that mean nothing, and features with long tails: at most one report in twenty has a claim."""
    wrong = 0
    for seed in range(40):
        bucket, assigned, features = world(users=600, k=16, seed=seed)
        tails = np.exp(np.random.default_rng(900 + seed).normal(size=(len(assigned), 12)) * 1.5)
        more = pl.DataFrame({USER_ID: assigned[USER_ID], **{f"f{j}": tails[:, j] for j in range(12)}})
        counts = partial(bucket, assigned, {**features, "x": more}, 16)
        wrong += any(profile.claims for profile in profiles(counts, {}, ids(16)))
    assert wrong <= 5  # of 40 at 1 in 20: two expected, more than five in one of sixty such tests


def test_one_heavy_user_does_not_make_a_taste():
    rows = [(f"u{i:03d}", f"i{(i // 2) % 80:03d}") for i in range(200) for _ in range(3)]
    rows += [("u000", "i002")] * 3000  # War, by one user of segment 0
    labels = [i % 2 for i in range(200)]
    assigned = pl.DataFrame({USER_ID: [f"u{i:03d}" for i in range(200)], LABEL: np.array(labels, np.int32)})
    bucket = {**world()[0], EVENTS.name: pl.DataFrame(rows, schema=[USER_ID, ITEM_ID], orient="row")}
    counts = partial(bucket, assigned, {}, 2)
    assert counts.categories["War"][0].min() >= _lifts.MIN_USERS
    assert _lifts.event_shares(counts.categories, counts.placed, 0) == []


def test_words_that_users_wrote_are_told_where_there_are_no_events():
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 2, 120)
    users = [f"u{i:03d}" for i in range(120)]
    english = [f"hello {'football' if label else 'not the opera'} night" for label in labels]
    chinese = ["你好 电影院" if label else "你好" for label in labels]
    texts = pl.DataFrame({USER_ID: users * 2, TEXT: english + chinese})
    assigned = pl.DataFrame({USER_ID: [f"u{i:03d}" for i in range(120)], LABEL: labels.astype(np.int32)})
    opera, football = profiles(partial({TEXTS.name: texts}, assigned, {}, 2), {}, ids(2))
    assert [claim.key for claim in opera.claims] == ["opera"]
    assert "football" in {claim.key for claim in football.claims}
    assert {"电影"} <= {claim.key for claim in football.claims}
    assert "“opera”: written by 100% of users against none elsewhere" in opera.evidence[0]


def test_features_are_told_in_words_and_factors_are_not_told():
    n = 200
    labels = np.arange(n) % 2
    columns = {
        "behaviour": ("recency_days", labels * 30.0 + np.arange(n) % 7),
        "collaborative": ("collaborative_00", labels + np.arange(n) / n),
        "attributes": ("attributes_job=nurse", labels.astype(float)),
    }
    users = [f"u{i}" for i in range(n)]
    frames = {family: pl.DataFrame({USER_ID: users, name: values}) for family, (name, values) in columns.items()}
    assigned = pl.DataFrame({USER_ID: [f"u{i}" for i in range(n)], LABEL: labels.astype(np.int32)})
    counts = partial({}, assigned, frames, 2)
    fresh, lapsed = profiles(counts, {}, ids(2))
    assert "days since the last event: mean 33 against" in lapsed.evidence[0]
    assert any(told.startswith("job: nurse: 100% of users against none elsewhere") for told in lapsed.evidence)
    assert list(lapsed.features) == ["behaviour.recency_days"]
    assert not any("collaborative" in told for told in (*fresh.evidence, *lapsed.evidence))
    _, chinese = profiles(counts, {}, ids(2), config=DescribeConfig(language="zh"))
    assert chinese.evidence[0].startswith("距上次行为天数：均值 33")
    assert "job: nurse：占用户的 100%，其他分群为 0%（" in chinese.evidence[1]


def test_weak_evidence_says_so():
    assigned = pl.DataFrame({USER_ID: ["a", "b", "c"], LABEL: np.array([0, 1, 1], np.int32)})
    for profile in profiles(partial({}, assigned, {}, 2), {}, ids(2)):
        assert profile.claims == ()
        assert profile.evidence == (
            "Weak evidence: of all that was measured, nothing sets these users apart from the other segments",
        )


def test_one_segment_or_an_empty_one_is_no_trouble():
    bucket, assigned, features = world(users=50, k=1, noise=0.0)
    (alone,) = profiles(partial(bucket, assigned, features, 1), {}, ids(1))
    assert (alone.claims, alone.size, alone.share) == ((), 50, 1.0)
    empty = profiles(partial(bucket, assigned, features, 2), {}, ids(2))[1]
    assert (empty.claims, empty.size) == ((), 0)
    assert profiles(Counts(np.zeros(1)), {}, ids(1))[0].share == 0


def test_the_glossary_speaks_first_and_control_characters_never():
    bucket, assigned, features = world(users=400, taste=0.5)
    config = DescribeConfig(language="zh", glossary={"Drama": "文艺\x00片\n"})
    found = profiles(partial(bucket, assigned, features, 4), {}, ids(4), config=config)
    assert found[0].top_categories[0] == "文艺 片"
    assert found[1].top_categories[0] == "喜剧"
    assert titled("a\u202e b\tc") == "a b c"


def test_a_value_that_all_of_a_segment_have_and_nobody_else_is_claimed():
    users, labels = [f"u{i}" for i in range(80)], np.arange(80) % 4
    frame = pl.DataFrame({USER_ID: users, "share_view": (labels == 0).astype(float), "share_buy": np.full(80, 0.1) * 3})
    assigned = pl.DataFrame({USER_ID: users, LABEL: labels.astype(np.int32)})
    found = profiles(partial({}, assigned, {"behaviour": frame}, 4), {}, ids(4))
    (told,) = found[0].claims
    assert (told.key, told.inside, told.elsewhere, told.lift) == ("behaviour.share_view", 1.0, 0.0, _lifts.FARTHEST)
    assert 0 < told.low < told.lift
    assert {claim.key for one in found for claim in one.claims} == {"behaviour.share_view"}, "not of equals"


def test_what_words_can_tell_comes_before_codes():
    users, labels = [f"u{i}" for i in range(200)], np.arange(200) % 2
    codes = {f"attributes_{name}=d41d8cd98f00b204e9800998ecf8427e": labels.astype(float) for name in "abc"}
    plain = np.where(np.arange(200) % 10 < 2, 0.0, labels)
    frame = pl.DataFrame({USER_ID: users, **codes, "attributes_signup_channel=app": plain})
    assigned = pl.DataFrame({USER_ID: users, LABEL: labels.astype(np.int32)})
    _, own = profiles(partial({}, assigned, {"attributes": frame}, 2), {}, ids(2))
    assert own.claims[0].label == "signup channel: app"
    assert len(own.claims) == 2


def test_small_claims_come_after_all_others():
    bucket, assigned, features = world(users=1000, taste=0.12, seed=9)
    for profile in profiles(partial(bucket, assigned, features, 4), {}, ids(4)):
        small = [strength(claim) < SMALL for claim in profile.claims]
        assert small == sorted(small)


@pytest.mark.parametrize(("language", "label"), [("en", "Community 2"), ("zh", "圈子 2")])
def test_a_community_has_words_and_an_axis_has_none(language, label):
    """90 of 100 in the one segment are members, and 5 of 100 in the other."""
    members = [*[1.0] * 90, *[0.0] * 10, *[1.0] * 5, *[0.0] * 95]
    users = [f"u{number}" for number in range(200)]
    assigned = pl.DataFrame({USER_ID: users, LABEL: np.repeat([0, 1], 100).astype(np.int32)})
    columns = {"social_community_01": members, "social_axis_00": members}
    counts = partial({}, assigned, {"social": pl.DataFrame({USER_ID: users, **columns})}, 2)
    first, _ = profiles(counts, {}, ids(2), config=DescribeConfig(language=language))
    assert [(claim.kind, claim.label) for claim in first.claims] == [("trait", label)]
    assert (first.claims[0].inside, first.claims[0].elsewhere) == (0.9, 0.05)


def test_a_column_of_another_family_is_no_community():
    name = "own.social_community_red"
    assert _phrases.phrase(name).en == "social community red"
    assert not _phrases.is_share(name)
