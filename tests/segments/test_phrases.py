"""Whatever the built-in families make has words in English and Chinese, and words that a name may use."""

import re

import numpy as np
import polars as pl
import pytest

from schemas.tables import EVENT, EVENTS, USERS
from tasks.plugins.find import kinds, plugin
from tasks.segments._phrases import opaque, phrase, spoken
from tasks.sources import synthetic
from tests.helpers.random_tables import synthetic_bucket

HAN = re.compile("[\u4e00-\u9fff]")
COORDINATES = r"collaborative\.collaborative_\d+|social\.social_axis_\d+|attributes\..*#\d+"
WORDLESS = {"social.social_active", "behaviour.item_entropy", "behaviour.top_item_share"}
"""Told as evidence; a name says instead whom one ties to, and how active one is: who repeats no item, as who rates
films, has many items or few by that alone."""


@pytest.fixture(scope="module")
def bucket():
    """Every input table, with money, ratings, a funnel and an attribute that is missing of some."""
    tables = synthetic_bucket(synthetic.Config(users=120, seed=1))
    events, users = tables[EVENTS.name], tables[USERS.name]
    rated = pl.col(EVENT).cast(pl.String).replace("like", "rating")
    gaps = pl.when(pl.int_range(pl.len()) % 5 > 0).then(pl.int_range(pl.len()) % 3)
    users = users.with_columns(gaps.alias("signup_channel").cast(pl.String), gaps.alias("loyaltyPoints"))
    return {**tables, EVENTS.name: events.with_columns(rated.alias(EVENT)), USERS.name: users}


def columns(kind, bucket):
    """`family.column` of all that a family declares on the bucket."""
    family = plugin("features", kind)
    as_of = synthetic.Config().as_of
    state = family.finish(family.partial(bucket, family.Config(), as_of), np.random.default_rng(0))
    return [f"{kind}.{column}" for column in state.meta["columns"]]


@pytest.mark.parametrize("kind", kinds("features"))
def test_every_column_that_is_no_coordinate_has_words_in_both_languages(kind, bucket):
    found = columns(kind, bucket)
    assert found
    for name in found:
        assert opaque(name) == bool(re.fullmatch(COORDINATES, name)), name
        if opaque(name):
            continue
        told, column = phrase(name), name.partition(".")[2]
        assert column not in (told.en, told.zh)
        assert "_" not in told.en + told.zh, name
        if kind != "attributes":  # whose words are the user's own
            assert HAN.search(told.zh), name
        shares = kind == "attributes" and ("=" in column or column.endswith("_missing"))
        if not (shares or "_community_" in column or name in WORDLESS):
            assert set(told.adjectives) == {"en", "zh"}, name
            assert all(high and low and high != low and "_" not in high + low for high, low in told.adjectives.values())


def test_the_tables_of_this_test_have_all_that_a_family_makes_columns_of(bucket):
    found = {name.partition(".")[2] for kind in kinds("features") for name in columns(kind, bucket)}
    assert found > {
        "value_sum",
        "rating_strictness",
        "share_rating",
        "funnel_view_to_cart",
        "social_bridging",
        "novelty",
    }
    assert found > {"attributes_signup_channel=1", "attributes_signup_channel_missing", "attributes_loyaltyPoints"}


@pytest.mark.parametrize(
    ("column", "words"),
    [("signup_channel", "signup channel"), ("signup.channel", "signup channel"), ("signupChannel", "signup channel"),
     ("GMV", "GMV"), ("年龄", "年龄"), ("_", "_"), ("a8f5f167f44f4964", "a8f5f167f44f4964")],
)  # fmt: skip
def test_a_columns_name_is_told_as_words(column, words):
    assert spoken(column) == words


@pytest.mark.parametrize(
    ("name", "en", "zh"),
    [
        ("attributes.attributes_signup_channel=app", "signup channel: app", "signup channel: app"),
        ("attributes.attributes_signup_channel_missing", "signup channel: unknown", "signup channel: 未知"),
        ("attributes.attributes_loyaltyPoints", "loyalty points", "loyalty points"),
        ("behaviour.share_add_to_cart", "share of add to cart events", "add to cart 行为占比"),
        ("behaviour.funnel_view_to_cart", "conversion view → cart", "view → cart 转化率"),
    ],
)
def test_columns_made_of_the_data_are_told_in_its_words(name, en, zh):
    assert (phrase(name).en, phrase(name).zh) == (en, zh)
