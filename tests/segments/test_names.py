"""Names are distinct, repeatable, kept, honest about weak evidence, in English and Chinese."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.reports import Claim, SegmentProfile
from tasks.segments.names import _likeness, named
from tasks.segments.profiles import still_said

CATEGORIES = st.sampled_from(
    ["Drama", "Comedy", "War", "Sci-Fi", "剧情", "Ｄｒａｍａ", "drama", "", "&", "\x00", "a" * 90]
)


def names(profiles, kept, language="en"):
    return tuple(one.name for one in named(profiles, kept, language))


def claim(kind, key, inside=0.5, elsewhere=0.1, lift=5.0, effect=0.8, label=None):
    return Claim(kind=kind, key=key, label=key if label is None else label, inside=inside, elsewhere=elsewhere,
                 lift=lift, low=2.0, effect=effect, text=f"{key}: measured")  # fmt: skip


def profile(number, *claims):
    name = f"s{number:03d}"
    return SegmentProfile(segment_id=name, name=name, size=10, share=0.1, claims=claims)


def category(key, **rest):
    return claim("category", key, **rest)


CLAIMS = st.one_of(
    st.builds(category, CATEGORIES, inside=st.sampled_from([0.12, 0.5, 0.9])),
    st.builds(claim, st.just("item"), CATEGORIES),
    st.builds(claim, st.sampled_from(["term", "trait"]), CATEGORIES),
    st.builds(
        claim, st.just("feature"), st.sampled_from(["behaviour.events", "behaviour.recency_days", "social.x"]),
        lift=st.sampled_from([-2.0, 0.15, 2.0]), effect=st.sampled_from([0.1, 0.9]),
    ),
)  # fmt: skip
PROFILES = st.lists(st.lists(CLAIMS, max_size=6), min_size=1, max_size=25).map(
    lambda found: [profile(number, *claims) for number, claims in enumerate(found)]
)


@given(PROFILES, st.sampled_from(["en", "zh"]), st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_names_are_distinct_repeatable_and_of_one_line(found, language, kept_number):
    kept = {one.segment_id: f"Mine {one.segment_id}" for one in found[:kept_number]} | {"s999": "Drama & Comedy"}
    given_names = names(found, kept, language)
    assert len({_likeness(name) for name in given_names}) == len(found)
    assert names(found, kept, language) == given_names
    for one, name in zip(found, given_names, strict=True):
        assert name.strip() == name
        assert name
        assert all(letter.isprintable() for letter in name)
        assert kept.get(one.segment_id, name) == name
        assert one.segment_id in kept or _likeness(name) != _likeness("Drama & Comedy")


@given(PROFILES, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_profiles_changes_no_name(found, rng):
    before = dict(zip([one.segment_id for one in found], names(found, {}), strict=True))
    shuffled = list(found)
    rng.shuffle(shuffled)
    assert dict(zip([one.segment_id for one in shuffled], names(shuffled, {}), strict=True)) == before


def test_the_strongest_claims_make_the_name():
    active = claim("feature", "behaviour.events", lift=2.0)
    assert names([profile(1, category("War"), category("Drama"), category("Horror"))], {}) == ("War & Drama",)
    assert names([profile(1, category("War"), active)], {}) == ("War, very active users",)
    assert names([profile(1, category("War"), active)], {}, "zh") == ("War，活跃用户",)
    assert names([profile(1, active, claim("item", "Titanic"))], {}) == ("Very active users",)
    assert names([profile(1, claim("feature", "behaviour.events", lift=-2.0))], {}) == ("Occasional users",)
    assert names([profile(1, claim("term", "opera"), claim("term", "verdi"))], {}) == ("“opera” & “verdi”",)
    assert names([profile(1, claim("trait", "job: nurse"))], {}) == ("job: nurse",)


def test_alike_segments_are_told_apart_by_what_else_is_measured():
    same = (category("War"), category("Drama"))
    found = names([
        profile(1, *same), profile(2, *reversed(same)), profile(3, *same, category("Horror")),
        profile(4, *same, claim("item", "Titanic")), profile(5, *same),
    ], {})  # fmt: skip
    assert found == ("War & Drama", "Drama & War (s002)", "War & Drama & Horror", "War & Drama: Titanic",
                     "War & Drama (s005)")  # fmt: skip


def test_weak_evidence_is_never_dressed_up():
    small = category("Drama", inside=0.15, elsewhere=0.1)
    assert names([profile(1, small)], {}) == ("Leaning to Drama",)
    assert names([profile(1, small)], {}, "zh") == ("略偏Drama",)
    assert names([profile(1), profile(2)], {}) == ("No clear profile (s001)", "No clear profile (s002)")
    assert names([profile(1)], {}, "zh") == ("特征不明显（s001）",)
    assert names([profile(1, claim("feature", "behaviour.events", lift=0.3, effect=0.1))], {})[0].startswith("No clear")


def test_a_habit_that_is_sure_and_measured_large_is_leant_to():
    """Sure that there is a difference, and of medium size as measured; of that size for sure it is not."""
    habit = claim("feature", "behaviour.sessions", lift=-0.8, effect=0.1)
    assert names([profile(1, habit)], {}) == ("Leaning to occasional users",)
    assert names([profile(1, habit)], {}, "zh") == ("略偏低频用户",)
    small = claim("feature", "behaviour.sessions", lift=-0.4, effect=0.1)
    assert [one.unclear for one in named([profile(1, small), profile(2, habit)], {})] == [True, False]


CODE = "26d31edc-603b-6c9f-2eb0-1257fe20a691"


@pytest.mark.parametrize("kind", ["category", "term", "trait", "item"])
def test_a_code_never_stands_in_a_name(kind):
    (one,) = named([profile(1, claim(kind, CODE))], {})
    assert (one.name, one.cites, one.unclear) == ("No clear profile (s001)", (), True)
    (name,) = names([profile(1, claim(kind, CODE), claim(kind, "opera"))], {})
    assert name in ("opera", "“opera”", "Fans of opera")
    assert names([profile(1, claim(kind, CODE, label="Night owls"))], {})[0].strip("“”").endswith("Night owls")


def test_a_code_never_stands_in_a_habit():
    for key in (f"behaviour.share_{CODE}", f"attributes.attributes_{CODE}", f"interest.affinity_{CODE}"):
        (one,) = named([profile(1, claim("feature", key, lift=2.0, label="told by the glossary"))], {})
        assert one.unclear, one.name


def test_social_segments_and_those_without_items_have_words_of_their_own():
    said = {
        "social.social_degree": ("Well-connected users", "Solitary users"),
        "social.social_degree_in": ("Hubs that many tie to", "Users whom few tie to"),
        "social.social_bridging": ("Bridges between communities", "Keeping to their community"),
        "social.social_clustering": ("Tightly knit circles", "Loosely knit circles"),
        "behaviour.share_add_to_cart": ("Many add to cart events", "Few add to cart events"),
        "behaviour.weekday_sin": ("More active Tuesday–Thursday", "More active Friday–Sunday"),
        "behaviour.gap_regularity": ("Regular visitors", "Irregular visitors"),
        "attributes.attributes_loyalty_points": ("Loyalty points: high", "Loyalty points: low"),
    }
    for key, words in said.items():
        more, less = (claim("feature", key, lift=lift) for lift in (2.0, -2.0))
        assert names([profile(1, more), profile(2, less)], {}) == words


def test_a_kept_name_is_kept_whatever_is_measured_and_taken_by_nobody_else():
    war = category("War")
    assert names([profile(1, war), profile(2, war)], {"s002": "WAR"}) == ("War (s001)", "WAR")
    assert names([profile(1, war), profile(2, war)], {"s001": "Same", "s002": "Same"}) == ("Same", "Same")
    assert names([profile(1, war)], {"s001": "The night shift"}, "zh") == ("The night shift",)


@pytest.mark.parametrize("seed", range(3))
def test_two_hundred_segments_without_evidence_have_two_hundred_names(seed):
    found = [profile(number) for number in range(200)]
    random.Random(seed).shuffle(found)
    assert len(set(names(found, {}))) == 200


@given(PROFILES, st.sampled_from(["en", "zh"]))
@settings(max_examples=100, deadline=None)
def test_a_name_cites_what_its_profile_claims_and_holds_as_long_as_that_does(found, language):
    for one in named(found, {}, language):
        claims = {"any": list(one.claims)}
        assert one.cites is not None
        assert still_said(one.cites, claims) or not one.cites
        for lost in one.cites:
            less = {"any": [claim for claim in one.claims if not still_said([lost], {"any": [claim]})]}
            assert not still_said(one.cites, less)


def test_a_direction_is_cited_and_nothing_is_said_of_a_kept_name():
    active = claim("feature", "behaviour.events", lift=2.0)
    (one,) = named([profile(1, category("War"), active)], {})
    assert one.cites == ("category:War", "feature:behaviour.events+")
    assert not still_said(one.cites, {"any": [category("War"), claim("feature", "behaviour.events", lift=-2.0)]})
    (kept,) = named([profile(1, category("War"))], {"s001": "Night owls"})
    assert (kept.name, kept.cites) == ("Night owls", None)
    (plain,) = named([profile(1)], {})
    assert plain.cites == ()
    assert still_said((), {"any": []})
    assert not still_said((), {"any": [category("War")]})
