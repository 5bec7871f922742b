"""The lists of a day: counted again by hand, for planted tastes and for input that has little to tell."""

from collections import Counter
from types import SimpleNamespace

import polars as pl
import pytest

from schemas.artifacts import ArtifactRef
from schemas.errors import DataError, UsageError
from schemas.tables import ITEMS
from tasks.disk.artifacts import write_parquet
from tasks.histories.evidence import because
from tasks.phrases.words import ENGLISH
from tasks.plugins.find import kinds
from tasks.recommendations.lists import recommended
from tasks.recommendations.readers import for_user
from tasks.stores.buckets import read_table
from tests.helpers.lists import NAME, checked, landed, live_segments, of_day, planted, recommend_day


@pytest.fixture
def shop(tmp_path):
    pairs, segments = planted()
    home = tmp_path / "home"
    live_segments(home, segments, names={"s001": "Letters", "s002": "Ends"})
    return home, landed(tmp_path, pairs), pairs, segments


def scored(pairs: list[tuple[str, str]], segments: dict[str, str | None], segment: str | None) -> dict[str, float]:
    """By hand: choices by members / members + 0.3 x choices by all / users; of no segment the latter alone."""
    everyone = Counter(item for _, item in pairs)
    if segment is None:
        return {item: n / 12 for item, n in everyone.items()}
    members = {user for user, one in segments.items() if one == segment}
    own = Counter(item for user, item in pairs if user in members)
    return {item: own[item] / len(members) + 0.3 * n / 12 for item, n in everyone.items()}


def best(scores: dict[str, float], seen: frozenset[str] | set[str] = frozenset()) -> list[str]:
    return [one for one in sorted(scores, key=lambda item: (-round(scores[item], 9), item)) if one not in seen]


def test_lists_and_reasons_are_what_can_be_counted_by_hand(shop):
    home, tables, pairs, segments = shop
    frame = read_table(recommended(of_day(home, tables, recommend={"n": 4})).segments)
    assert set(frame["model_version"]) == {"1"}
    for segment in ("s001", "s002", None):
        own = frame.filter(pl.col("segment_id").eq_missing(pl.lit(segment, pl.String)))
        expected = scored(pairs, segments, segment)
        assert own["item_id"].to_list() == best(expected)[:4]
        assert own["rank"].to_list() == [1, 2, 3, 4]
        assert own["score"].to_list() == pytest.approx([expected[item] for item in own["item_id"]])
    told = {(one["segment_id"], one["item_id"]): one["reason"] for one in frame.to_dicts()}
    assert told["s001", "a"] == "popular in “Letters”: 100.0% of them against 41.7% of all"
    assert told["s002", "z"] == "popular in “Ends”: 40.0% of them against 16.7% of all"
    assert told[None, "p"] == "chosen by 58.3% of all users"


def test_a_reason_claims_a_segment_only_where_its_share_is_larger(shop):
    home, tables, *_ = shop
    frame = read_table(recommended(of_day(home, tables, recommend={"n": 9})).segments)
    for row in frame.filter(pl.col("segment_id").is_not_null()).to_dicts():
        own = {"s001": "abcdp", "s002": "xyzp"}[row["segment_id"]]
        assert row["reason"].startswith("popular in" if row["item_id"] in own else "chosen by"), row


@pytest.mark.parametrize(
    ("name", "own", "everyone", "claims"),
    [("A", 0.31, 0.1, True), ("A", 0.1, 0.31, False), ("A", 0.10001, 0.1, False), (None, 0.31, 0.1, False)],
)
def test_shares_that_read_the_same_are_no_difference(name, own, everyone, claims):
    assert because(ENGLISH, name, own, everyone).startswith("popular in “A”: 31.0%") is claims
    assert because(ENGLISH, name, own, everyone).startswith("chosen by") is not claims


def test_reasons_are_told_in_the_language_of_the_names(shop):
    home, tables, *_ = shop
    frame = read_table(recommended(of_day(home, tables, describe={"language": "zh"})).segments)
    assert "在“Letters”中受欢迎：其中 100.0% 的用户选过，全体用户为 41.7%" in frame["reason"].to_list()
    assert "全体用户中有 58.3% 选过" in frame["reason"].to_list()


@pytest.mark.parametrize("exclude", [True, False])
def test_each_user_gets_the_segments_list_without_what_was_chosen(shop, exclude):
    home, tables, pairs, segments = shop
    lists = recommended(of_day(home, tables, recommend={"n": 3, "per_user": True, "exclude_seen": exclude}))
    frame = read_table(lists.users)
    for n in range(12):
        user = f"u{n}"
        seen = {item for one, item in pairs if one == user and exclude}
        own = frame.filter(pl.col("user_id") == user)
        assert own["item_id"].to_list() == best(scored(pairs, segments, segments.get(user)), seen)[:3], user
    assert frame.select("user_id", "rank").is_duplicated().sum() == 0


def test_the_lists_pass_what_is_expected_of_them(shop):
    home, tables, *_ = shop
    report = checked(home, tables, recommend={"per_user": True})
    assert report.passed
    assert {one.table for one in report.results} == {"recommendations", "user_recommendations"}


def test_only_choices_count_and_a_choice_that_nobody_makes_is_told(shop, tmp_path):
    home, _, pairs, _ = shop
    tables = landed(tmp_path / "more", pairs, others=[("u3", "w")])
    frame = read_table(recommended(of_day(home, tables, evaluate={"events": ["buy"]})).segments)
    assert "w" not in set(frame["item_id"])
    assert "w" in set(read_table(recommended(of_day(home, tables)).segments)["item_id"])
    with pytest.raises(UsageError, match="no event is named 'rent'"):
        recommended(of_day(home, tables, evaluate={"events": ["rent"]}))


def test_a_segment_that_nobody_is_in_gets_what_everybody_likes(shop):
    home, tables, _, segments = shop
    live_segments(home, segments, names={"s000": "Nobody", "s003": "None"})
    frame = read_table(recommended(of_day(home, tables, recommend={"n": 3})).segments)
    by = {key: own.drop("segment_id") for (key,), own in frame.group_by("segment_id")}
    assert by["s000"].equals(by[None])
    assert by["s003"].equals(by[None])
    assert not by["s001"].equals(by[None])


@pytest.mark.parametrize(
    ("pairs", "words"), [(None, "the source gives no events"), ([], "nobody chose an item up to 2026-01-01")]
)
def test_without_choices_nothing_is_published_and_it_is_said_why(shop, tmp_path, pairs, words):
    home, tables, *_ = shop
    given = {"users": tables["users"]} if pairs is None else landed(tmp_path / "none", pairs)
    with pytest.raises(DataError, match=words):
        recommend_day(home, given)
    with pytest.raises(DataError, match="run `fenqun recommend`"):
        for_user(str(home), NAME, "u0")


def test_one_item_makes_lists_of_one_and_says_so(shop, tmp_path):
    home, *_ = shop
    told = recommend_day(home, landed(tmp_path / "one", [("u0", "a"), ("u7", "a")]), recommend={"per_user": True})
    assert told.why == ("the lists have 1 items, not 20: of all items, 1 were ever chosen",)
    assert told.users == 10, "two have chosen it already"
    assert [one.item_id for one in for_user(str(home), NAME, "u1").items] == ["a"]
    seen = for_user(str(home), NAME, "u0")
    assert (seen.items, seen.list_of) == ((), "user")
    assert "has chosen everything" in seen.why


def test_who_has_everything_gets_nothing_and_no_empty_table_is_published(shop, tmp_path):
    home, *_ = shop
    tables = landed(tmp_path / "all", [(f"u{n}", item) for n in range(12) for item in "ab"])
    told = recommend_day(home, tables, recommend={"per_user": True, "n": 2})
    assert told.users == 0
    assert told.why == (
        "no user has a list of their own: each has chosen everything; recommend.exclude_seen may be off",
    )
    assert not [path for path in told.files if "user-recommendations" in path]
    assert for_user(str(home), NAME, "u0").list_of == "segment"


def catalogued(home, tables, monkeypatch, **kinds: list[str] | None):
    """The tables with a catalogue of item -> categories; the model that is live reads no texts."""
    rows = [{"item_id": item, "categories": own} for item, own in kinds.items()]
    place = home / "artifacts" / "test" / f"items-{len(rows)}"
    write_parquet(place / "bucket-0000.parquet", pl.DataFrame(rows, schema_overrides=ITEMS.polars_schema()))
    facts = {"path": str(place), "rows": len(rows), "columns": ("item_id", "categories")}
    silent = SimpleNamespace(manifest=SimpleNamespace(texts=None, encoder=None))
    monkeypatch.setattr("tasks.recommendations.candidates.bundles.load", lambda *_: silent)
    return {**tables, "items": ArtifactRef(kind="items", fingerprint=f"items-{len(rows)}", **facts)}


KNOWN = {item: ["letter" if item in "abcd" else "end"] for item in "abcdpxyz"}
UNCHOSEN = {"e": ["letter"], "w": ["end"], "nothing": None}


def test_a_recommender_is_given_what_the_catalogue_says(shop, monkeypatch):
    """Who never chose b is shown it by its category, which the model that is live here has no texts beside."""
    home, tables, *_ = shop
    settings = {"per_user": True, "n": 2, "recommender": {"kind": "content"}}
    day = of_day(home, catalogued(home, tables, monkeypatch, **KNOWN), recommend=settings)
    frame = read_table(recommended(day).users)
    assert set(frame.filter(pl.col("user_id") == "u2")["item_id"]) == {"c", "d"}


@pytest.mark.parametrize("recommender", [{"kind": "content"}, {"kind": "segment_aware", "base": "content"}])
def test_what_nobody_chose_yet_is_listed_for_what_it_is(shop, monkeypatch, recommender):
    home, tables, *_ = shop
    given = catalogued(home, tables, monkeypatch, **KNOWN, **UNCHOSEN)
    settings = {"per_user": True, "n": 20, "recommender": recommender}
    told = recommend_day(home, given, recommend=settings)
    assert told.why == (
        "the lists have 10 items, not 20: of all items, 8 were ever chosen, and 2 others are known by their texts or "
        "categories",
    )
    made = recommended(of_day(home, given, recommend=settings))
    of_users, whole = read_table(made.users), read_table(made.segments)
    own = dict(of_users.filter(pl.col("user_id") == "u0").select("item_id", "rank").iter_rows())  # has all letters
    assert set(own) == {"e", "w", "x", "y", "z"}, "of `nothing` nothing is known"
    new = whole.filter(pl.col("item_id") == "e").drop_nulls("segment_id")
    assert set(new["reason"]) == {"nobody has chosen it yet: ranked by its texts or categories"}
    assert set(new["segment_id"]) == {"s001", "s002"}
    assert not {"e", "w"} & {*whole.filter(pl.col("segment_id").is_null())["item_id"]}, "nobody's favourites"
    if recommender["kind"] == "content":
        assert own["e"] == 1
        ranks = {one: dict(zip(*rows, strict=True)) for (one,), rows in (
            (key, (part["item_id"], part["rank"])) for key, part in new.group_by("segment_id"))}  # fmt: skip
        assert ranks["s001"]["e"] < ranks["s002"]["e"]


@pytest.mark.parametrize("kind", sorted({*kinds("recommenders")} - {"content"}))
def test_items_that_nobody_chose_change_no_other_lists(shop, monkeypatch, kind):
    home, tables, *_ = shop
    settings = {"per_user": True, "n": 9, "recommender": {"kind": kind}}
    with_, without = (
        recommended(of_day(home, catalogued(home, tables, monkeypatch, **items), recommend=settings))
        for items in ({**KNOWN, **UNCHOSEN}, KNOWN)
    )
    assert read_table(with_.segments).equals(read_table(without.segments))
    assert read_table(with_.users).equals(read_table(without.users))


def test_rules_hold_in_every_list(shop):
    """Those of segments, of users and of users without a segment."""
    home, tables, *_ = shop
    settings = {"per_user": True, "n": 3, "exclude_seen": False, "rules": {"never": ["a"], "always": ["x"]}}
    made = recommended(of_day(home, tables, recommend=settings))
    for ref, owner in ((made.segments, "segment_id"), (made.users, "user_id")):
        frame = read_table(ref)
        assert "a" not in set(frame["item_id"])
        firsts = frame.filter(pl.col("rank") == 1)
        assert set(firsts["item_id"]) == {"x"}
        assert firsts[owner].n_unique() == frame[owner].n_unique() == len(firsts)
        assert frame.sort(owner, "rank").group_by(owner).agg(pl.col("score").diff().max())["score"].max() < 0
