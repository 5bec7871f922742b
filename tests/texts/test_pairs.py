"""Pairs of texts are drawn of each user alone, within the window, up to the moment, and merge in any order."""

from datetime import timedelta
from functools import reduce

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.config import TextsConfig
from schemas.tables import EVENTS, ITEM_ID, ITEMS, TEXT, TEXTS, TIMESTAMP, USER_ID
from tasks.numerics.history import population
from tasks.texts import pooling
from tasks.texts.pairs import LEFT, RANK, RIGHT, Drawing, draw, merge
from tests.helpers.random_tables import AS_OF, random_bucket, slices

CONFIG = TextsConfig(template="{title}")
HOW = Drawing(rows="consumed", days=5.0, draws=20, pairs=10_000, texts=10_000, seed=3)


def fitted(bucket):
    return pooling.finish(pooling.partial(bucket, CONFIG, AS_OF), np.random.default_rng(0))


def drawn(bucket, how=HOW, state=None, as_of=AS_OF):
    return draw(bucket, state or fitted(bucket), CONFIG, as_of, how)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), parts=st.integers(1, 5), pairs=st.sampled_from([7, 50, 10_000]))
def test_buckets_merge_to_what_the_whole_gives(seed, parts, pairs):
    whole = random_bucket(np.random.default_rng(seed))
    how = Drawing("consumed", 5.0, 20, pairs, 9, seed)
    ids, state = population(whole).to_list(), fitted(whole)
    each = [drawn(part, how, state) for part in slices(whole, [ids[k::parts] for k in range(parts)])]
    expected = drawn(whole, how, state)
    for order in (each, each[::-1]):
        together = reduce(lambda a, b: merge(a, b, how), order)
        assert together.pairs.equals(expected.pairs)
        assert together.texts.equals(expected.texts)


@pytest.mark.parametrize("days", [0.5, 5.0, 400.0])
def test_every_pair_is_one_that_a_user_had_within_the_window(days):
    bucket = random_bucket(np.random.default_rng(1))
    found = drawn(bucket, Drawing("consumed", days, 20, 10_000, 10_000, 3))
    titles = dict(bucket[ITEMS.name].select(ITEM_ID, "title").iter_rows())
    had = set()
    for _, own in bucket[EVENTS.name].group_by(USER_ID):
        rows = [(titles.get(item), when) for item, when in own.select(ITEM_ID, TIMESTAMP).iter_rows()]
        had |= {(a, b) for a, s in rows for b, t in rows if a != b and abs(s - t) <= timedelta(days=days)}
    pairs = {*found.pairs.select(LEFT, RIGHT).iter_rows()}
    assert pairs
    assert pairs <= had
    assert all(left < right for left, right in pairs)


def test_a_user_of_few_pairs_has_each_once_and_a_user_of_many_no_more_than_the_draws():
    bucket = random_bucket(np.random.default_rng(2), n_events=600)
    for user in bucket[EVENTS.name][USER_ID].unique():
        own = {**bucket, EVENTS.name: bucket[EVENTS.name].filter(pl.col(USER_ID) == user)}
        found = drawn(own).pairs
        assert len(found) <= HOW.draws
        assert not found.select(LEFT, RIGHT).is_duplicated().any()


def test_nothing_after_the_moment_is_drawn_and_another_seed_draws_others():
    bucket = random_bucket(np.random.default_rng(4))
    until = AS_OF - timedelta(days=30)
    before = {**bucket, EVENTS.name: bucket[EVENTS.name].filter(pl.col(TIMESTAMP) <= until)}
    state = fitted(bucket)
    assert drawn(bucket, state=state, as_of=until).pairs.equals(drawn(before, state=state).pairs)
    other = drawn(bucket, Drawing("consumed", 5.0, 20, 10_000, 10_000, 4))
    assert not other.pairs.drop(RANK).equals(drawn(bucket).pairs.drop(RANK))


def test_written_texts_are_paired_likewise_and_no_rows_give_no_pairs():
    bucket = random_bucket(np.random.default_rng(5))
    found = drawn(bucket, Drawing("written", 400.0, 20, 10_000, 10_000, 3))
    assert {*found.texts[TEXT]} == {"好看", "great film", "boring", "再看一遍"} & {*bucket[TEXTS.name][TEXT]}
    assert len(found.pairs)
    empty = drawn({name: frame.clear() for name, frame in bucket.items()}, state=fitted(bucket))
    assert empty.pairs.is_empty()
    assert empty.texts.is_empty()
