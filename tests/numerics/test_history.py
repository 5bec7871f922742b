"""The cut of a history: plain rewrites, and that nothing after it is seen by anyone."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.tables import DST, EDGES, EVENTS, MOMENTS, SRC, TEXTS, TIMESTAMP, USER_ID, USERS
from tasks.numerics import history
from tests.helpers.random_tables import AS_OF, random_bucket


def a_bucket(seed):
    return random_bucket(np.random.default_rng(seed), 14, 160)


def last_moments(bucket, keep):
    """Moments by a plain loop over users."""
    found = {}
    events, texts = bucket[EVENTS.name], bucket[TEXTS.name]
    for user in {*events[USER_ID], *texts[USER_ID]}:
        own = events.filter(pl.col(USER_ID) == user).sort(TIMESTAMP, "sequence")[TIMESTAMP].to_list()
        said = texts.filter(pl.col(USER_ID) == user)[TIMESTAMP].sort().to_list()
        kept = sum(rank < keep(np.array([len(own)]))[0] for rank in range(len(own)))
        if kept:
            found[user] = own[kept - 1]
        elif said:
            stays = max(1, sum(rank < keep(np.array([len(said)]))[0] for rank in range(len(said))))
            found[user] = said[stays - 1]
        else:
            found[user] = own[0] - timedelta(microseconds=1)
    return found


@pytest.mark.parametrize("keep", [history.share(0.7), history.share(0.8), history.first(0), history.first(3)])
@pytest.mark.parametrize("seed", range(4))
def test_everyone_is_cut_at_one_moment_of_their_own(keep, seed):
    bucket = a_bucket(seed)
    cut = history.cut(bucket, keep, AS_OF)
    expected = last_moments(bucket, keep)
    assert dict(cut[MOMENTS.name].iter_rows()) == expected
    for table in (EVENTS.name, TEXTS.name):
        for user, moment in cut[table].select(USER_ID, TIMESTAMP).iter_rows():
            assert moment <= expected[user]
    said = {(user, moment) for user, moment in bucket[TEXTS.name].select(USER_ID, TIMESTAMP).iter_rows()}
    assert set(cut[TEXTS.name].select(USER_ID, TIMESTAMP).iter_rows()) == {p for p in said if p[1] <= expected[p[0]]}
    known = history.ties(bucket[EDGES.name], cut[MOMENTS.name])
    for row in bucket[EDGES.name].iter_rows(named=True):
        ends = [expected[row[end]] for end in (SRC, DST) if row[end] in expected]
        late = row[TIMESTAMP] is not None and any(row[TIMESTAMP] > end for end in ends)
        there = known.filter((pl.col(SRC) == row[SRC]) & (pl.col(DST) == row[DST])
                             & pl.col(TIMESTAMP).eq_missing(row[TIMESTAMP]))  # fmt: skip
        assert bool(len(there)) is not late


def test_the_share_cut_is_the_train_slice_of_the_protocol():
    bucket = a_bucket(9)
    for share in (0.1, 0.5, 0.7, 0.8):
        cut = history.cut(bucket, history.share(share), AS_OF)
        assert cut[EVENTS.name].equals(history.between(bucket[EVENTS.name], 0.0, share))


def test_cutting_keeps_the_first_events_by_time_then_row():
    bucket = a_bucket(3)
    left = history.cut(bucket, history.first(2), AS_OF)[EVENTS.name]
    for user in bucket[EVENTS.name][USER_ID].unique():
        first = bucket[EVENTS.name].filter(pl.col(USER_ID) == user).sort(TIMESTAMP, "sequence")[:2]
        assert left.filter(pl.col(USER_ID) == user).equals(first)
    none = history.cut(bucket, history.first(0), AS_OF)
    assert none[EVENTS.name].height == 0
    silent = bucket[TEXTS.name][USER_ID].unique()
    assert set(none[TEXTS.name][USER_ID]) == set(silent)


def shuffled_after(bucket, cut, rng):
    """The same histories where everything after each user's cut is something else, of every table."""
    moments = dict(cut[MOMENTS.name].iter_rows())
    out = dict(bucket)
    kept = set(cut[EVENTS.name]["sequence"])
    later = pl.col("sequence").is_in(kept).not_()
    events = bucket[EVENTS.name]
    others = events.filter(later)
    mixed = others.with_columns(others["item_id"].shuffle(seed=int(rng.integers(99))), pl.lit(7.5).alias("value"))
    out[EVENTS.name] = pl.concat([events.filter(~later), mixed]).sort(USER_ID, TIMESTAMP, "sequence")
    for name, ends in ((TEXTS.name, (USER_ID,)), (EDGES.name, (SRC, DST))):
        rows = []
        for row in bucket[name].iter_rows(named=True):
            late = row[TIMESTAMP] is not None and any(row[TIMESTAMP] > moments.get(row[end], datetime.max.replace(
                tzinfo=row[TIMESTAMP].tzinfo)) for end in ends)  # fmt: skip
            if not late:
                rows.append(row)
            elif name == TEXTS.name or rng.random() < 0.5:  # as many texts: a share of them is what stays
                rows.append(row | ({"text": "changed"} if name == TEXTS.name else {"weight": 99.0}))
        out[name] = pl.DataFrame(rows, schema=bucket[name].schema)
    return out


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_what_comes_after_the_cut_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    bucket = random_bucket(rng, 14, 160)
    cut = history.cut(bucket, history.share(0.8), AS_OF)
    again = history.cut(shuffled_after(bucket, cut, rng), history.share(0.8), AS_OF)
    for name in (EVENTS.name, TEXTS.name, MOMENTS.name):
        assert again[name].equals(cut[name])
    ties = history.ties(bucket[EDGES.name], cut[MOMENTS.name])
    assert history.ties(shuffled_after(bucket, cut, rng)[EDGES.name], cut[MOMENTS.name]).equals(ties)


def test_the_present_is_everyones_own_where_the_bucket_was_cut():
    bucket = a_bucket(1)
    users = history.population(bucket)
    assert set(history.clock(bucket, users, AS_OF)) == {history.microseconds(AS_OF)}
    cut = history.cut(bucket, history.share(0.7), AS_OF)
    own = dict(zip(users, history.clock(cut, users, AS_OF), strict=True))
    for user, moment in cut[MOMENTS.name].iter_rows():
        assert own[user] == history.microseconds(moment)
    absent = set(users) - set(cut[MOMENTS.name][USER_ID])
    assert absent <= set(bucket[USERS.name][USER_ID])
    assert all(own[user] == history.microseconds(AS_OF) for user in absent)


def test_a_bucket_without_texts_or_without_events_is_cut_too():
    bucket = a_bucket(2)
    for name in (EVENTS.name, TEXTS.name):
        cut = history.cut({name: bucket[name]}, history.share(0.8), AS_OF)
        assert set(cut) == {name, MOMENTS.name}
        assert set(cut[MOMENTS.name][USER_ID]) == set(bucket[name][USER_ID])
