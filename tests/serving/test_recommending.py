"""Online recommends what the batch recommends, by every recommender, or says in words why it does not."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import mlflow.pyfunc
import polars as pl
import pytest
from mlflow.exceptions import MlflowException

from schemas.errors import DataError
from schemas.recommended import LISTS, NONE_LEFT, OWN, SEGMENT, UNASSIGNED, WHY, Terms
from schemas.tables import REMADE
from tasks.health.repair import repair
from tasks.health.state import state
from tasks.histories import kept as bases
from tasks.histories.kept import BASIS
from tasks.plugins.find import kinds
from tasks.recommendations.publish import nothing
from tasks.serving import online
from tasks.serving.recommending import LATER, SENT
from tasks.stores import pointer, tables
from tests.helpers import versions
from tests.helpers.damage import flip
from tests.helpers.lists import of_day, recommend_day
from tests.helpers.requests import raw_users
from tests.helpers.versions import make_live, rolled_back

AS_OF, NAME = versions.AS_OF, versions.NAME
NOW, N = AS_OF.isoformat(), 5


def recommend(shop, **settings):
    """What the flow does, for lists of each user; the tables have no texts of items to encode."""
    home, _, bucket, _ = shop
    settings = {"per_user": True, "n": N, **settings}
    return recommend_day(home, versions.tables_of(home, bucket), as_of=AS_OF, recommend=settings)


def follower(home: Path, model) -> online.Follower:
    return online.Follower(str(home), NAME, online.load(Path(model.bundle.path), model.sha256, online.REGISTERED))


def live(home: Path) -> pointer.Live:
    found = pointer.read(str(home), NAME).live
    assert found is not None
    return found


def listed(answer: pl.DataFrame) -> dict[str, list[tuple[str, float]]]:
    """User -> items and scores, as answered."""
    rows = answer.select("user_id", LISTS).iter_rows()
    return {user: [(one["item_id"], one["score"]) for one in own] for user, own in rows}


def reasons(answer: pl.DataFrame) -> dict[tuple[str, str], str | None]:
    """User and item -> why it is on the list, as answered."""
    rows = answer.select("user_id", LISTS).iter_rows()
    return {(user, one["item_id"]): one["reason"] for user, own in rows for one in own}


def batch(home: Path) -> dict[str, list[tuple[str, float]]]:
    """User -> items and scores, as published."""
    frame = tables.published(str(home), NAME, "user_recommendations").sort("user_id", "rank")
    rows = frame.group_by("user_id", maintain_order=True).agg(pl.struct("item_id", "score")).iter_rows()
    return {user: [(one["item_id"], one["score"]) for one in own] for user, own in rows}


@pytest.mark.parametrize("kind", kinds("recommenders"))
def test_raw_users_and_ids_get_the_lists_of_the_batch(shop, kind):
    home, (first, _), bucket, _ = shop
    make_live(shop, 0)
    recommend(shop, recommender={"kind": kind})
    published, users = batch(home), raw_users(bucket)
    model = follower(home, first).current()
    together = online.answer(model, users, NOW, N)
    assert listed(together) == published
    assert set(together[WHY]) == {SENT}
    alone = [online.answer(model, [user], NOW, N) for user in users[::15]]
    assert {user: items for one in alone for user, items in listed(one).items()} == {
        user["user_id"]: published[user["user_id"]] for user in users[::15]
    }
    by_id = online.answer(model, [{"user_id": user} for user in published], NOW, N)
    assert listed(by_id) == published
    assert set(by_id[WHY]) == {OWN}
    assert by_id[LISTS][0][0]["reason"]
    longer = listed(online.answer(model, [{"user_id": user} for user in published], NOW, 2 * N))
    assert {user: own[:N] for user, own in longer.items()} == published, "from the kept histories"
    assert max(map(len, longer.values())) > N


@pytest.mark.parametrize("language", ["en", "zh"])
def test_reasons_online_are_those_of_the_batch(shop, language):
    """For whoever is sent whole, and for lists that are longer than the published ones."""
    home, (first, _), bucket, _ = shop
    make_live(shop, 0)
    settings = {"recommend": {"per_user": True, "n": 2 * N}, "describe": {"language": language}}
    recommend_day(home, versions.tables_of(home, bucket), as_of=AS_OF, **settings)
    frame = tables.published(str(home), NAME, "user_recommendations")
    published = {(user, item): why for user, item, why in frame.select("user_id", "item_id", "reason").iter_rows()}
    assert len({*published.values()}) > N
    assert reasons(online.answer(follower(home, first).current(), raw_users(bucket), NOW, 2 * N)) == published
    settings["recommend"]["n"] = N
    recommend_day(home, versions.tables_of(home, bucket), as_of=AS_OF, **settings)
    asked = [{"user_id": user} for user in frame["user_id"].unique()]
    assert reasons(online.answer(follower(home, first).current(), asked, NOW, 2 * N)) == published


def test_a_basis_that_names_no_segments_gives_no_reasons(shop, monkeypatch):
    """As one of an earlier version."""
    home, (first, _), bucket, _ = shop
    make_live(shop, 0)
    recommend(shop)
    read = bases.read_live

    def older(*place):
        found = read(*place)
        return replace(found, terms=Terms(**found.terms.model_dump(exclude={"names", "language"})))

    monkeypatch.setattr(bases, "read_live", older)
    told = online.answer(follower(home, first).current(), raw_users(bucket), NOW, N)
    assert listed(told) == batch(home)
    assert {*reasons(told).values()} == {None}


def test_items_that_nobody_chose_are_recommended_online_as_in_the_batch(shop):
    home, (first, _), bucket, _ = shop
    make_live(shop, 0)
    told = recommend(shop, recommender={"kind": "content"}, n=30, exclude_seen=False)
    new = {*bucket["items"]["item_id"]} - {*bucket["events"]["item_id"]}
    assert new
    assert told.items == len(bucket["items"])
    own = listed(online.answer(follower(home, first).current(), raw_users(bucket), NOW, 30))
    assert own == batch(home)
    assert all(new <= {item for item, _ in items} for items in own.values())


def test_without_lists_of_users_ids_get_what_such_lists_would_hold(shop):
    home, (first, _), *_ = shop
    make_live(shop, 0)
    recommend(shop)
    published = batch(home)
    recommend(shop, per_user=False)
    assert "user_recommendations" not in live(home).tables
    asked = [{"user_id": user} for user in published]
    assert listed(online.answer(follower(home, first).current(), asked, NOW, N)) == published


def test_what_the_config_says_counts_online_too(shop):
    home, (first, _), bucket, _ = shop
    make_live(shop, 0)
    frame = bucket["events"].with_columns(
        pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("buy")).otherwise("event").alias("event")
    )
    own = {**bucket, "events": frame}
    refs = versions.tables_of(home, own)
    chosen = {"recommend": {"per_user": True, "n": N, "exclude_seen": False}, "evaluate": {"events": ["buy"]}}
    recommend_day(home, refs, as_of=AS_OF, **chosen)
    told = listed(online.answer(follower(home, first).current(), raw_users(own), NOW, N))
    assert told == batch(home)
    seen = set(frame.filter(pl.col("event") == "buy").select("user_id", "item_id").iter_rows())
    assert any((user, item) in seen for user, items in told.items() for item, _ in items)
    versions.tables_of(home, bucket)


def test_who_is_new_gets_a_list_and_what_comes_later_is_not_looked_at(shop):
    home, (first, _), bucket, _ = shop
    make_live(shop, 0)
    recommend(shop)
    model, user = follower(home, first).current(), raw_users(bucket, 1)[0]
    late = {"item_id": "i1", "event": "view", "timestamp": (AS_OF + timedelta(days=1)).isoformat()}
    strange = {"item_id": "never seen", "event": "view", "timestamp": user["events"][-1]["timestamp"]}
    same = {**user, "user_id": "new", "events": [*user["events"], late]}
    odd = {**user, "user_id": "odd", "events": [*user["events"], strange]}
    told = online.answer(model, [same, odd, {"user_id": "none", "events": []}, {"user_id": "who"}], NOW, N)
    assert told["user_id"].to_list() == ["new", "odd", "none", "who"]
    lists = listed(told)
    assert lists["new"] == batch(home)[user["user_id"]]
    assert all(len(own) == N for own in lists.values())
    everybody = tables.published(str(home), NAME, "recommendations").filter(pl.col("segment_id").is_null())
    assert lists["who"] == everybody.sort("rank").select("item_id", "score").rows()
    assert told[WHY].to_list() == [SENT, SENT, SENT, LATER + UNASSIGNED]


def test_who_came_after_the_lists_gets_that_of_the_segment(shop):
    home, (first, _), bucket, _ = shop
    make_live(shop, 0)
    last = raw_users(bucket)[-1]["user_id"]
    fewer = {name: frame.filter(pl.col("user_id") != last) if "user_id" in frame.columns else frame
             for name, frame in bucket.items()}  # fmt: skip
    recommend_day(home, versions.tables_of(home, fewer), as_of=AS_OF, recommend={"per_user": True, "n": 4})
    versions.tables_of(home, bucket)
    told = online.answer(follower(home, first).current(), [{"user_id": last}], NOW, 3)
    own = tables.published(str(home), NAME, "recommendations").filter(pl.col("segment_id") == told["segment_id"][0])
    assert listed(told)[last] == own.sort("rank").select("item_id", "score").rows()[:3]
    assert told[WHY].to_list() == [LATER + SEGMENT]


def test_who_has_chosen_everything_is_told_so(shop):
    home, (first, _), bucket, _ = shop
    make_live(shop, 0)
    recommend(shop)
    items = bucket["events"]["item_id"].unique().sort()
    events = [{"item_id": one, "event": "view", "timestamp": NOW} for one in items]
    told = online.answer(follower(home, first).current(), [{"user_id": "all", "events": events}], NOW, N)
    assert (told[LISTS].to_list(), told[WHY].to_list()) == ([[]], [NONE_LEFT])


def test_where_nothing_is_asked_for_the_answer_is_as_before(shop):
    home, (first, _), bucket, _ = shop
    make_live(shop, 0)
    model, users = follower(home, first).current(), raw_users(bucket, 3)
    assert online.answer(model, users, NOW).equals(online.answer(model, users, NOW, 0))
    assert LISTS not in online.answer(model, users, NOW).columns


@pytest.mark.parametrize(
    ("recommend_", "words"),
    [(-1, "0 or more"), (True, "0 or more"), ("5", "0 or more"), (2.5, "0 or more"), (10**6, "at most 500,000 items")],
)
def test_a_number_that_is_none_is_refused(shop, recommend_, words):
    home, (first, _), *_ = shop
    with pytest.raises(DataError, match=words):
        online.answer(follower(home, first).current(), [{"user_id": "x"}], NOW, recommend_)


def test_lists_go_and_come_with_their_model(shop):
    """Nothing live, no lists, lists, a promotion, and the rollback; a model that is not live recommends nothing."""
    home, (first, second), bucket, _ = shop
    users, follows = raw_users(bucket, 4), follower(home, first)

    def ask(model: online.Loaded | None = None) -> pl.DataFrame:
        return online.answer(model or follows.current(), users, NOW, N)

    with pytest.raises(DataError, match="nothing is live where this server looks; run `fenqun recommend`"):
        ask()
    make_live(shop, 0)
    with pytest.raises(DataError, match="nothing is recommended by version 1 yet; run `fenqun recommend`"):
        ask()
    recommend(shop)
    before = ask()
    assert listed(ask(follows.fallback)) == listed(before), "the registered model is the live one"
    with pytest.raises(DataError, match="by the model that is served, for version 1 is live"):
        ask(follower(home, second).fallback)
    make_live(shop, 1)
    assert BASIS not in live(home).made
    with pytest.raises(DataError, match="nothing is recommended by version 2 yet"):
        ask()
    recommend(shop)
    assert set(ask()["model_version"]) == {"2"}
    rolled_back(home)
    assert ask().equals(before)
    nothing(of_day(home, versions.tables_of(home, bucket), evaluate={"lift": False}))
    assert BASIS not in live(home).made
    with pytest.raises(DataError, match="nothing is recommended by version 1 yet"):
        ask()


def test_an_assignment_keeps_what_recommends(shop):
    from schemas.runs import Scored
    from tasks.registry.promotion import refresh
    from tests.helpers.days import a_day

    home, (first, _), bucket, _ = shop
    make_live(shop, 0)
    recommend(shop)
    day = a_day(home, {}, AS_OF, name=NAME, revision=pointer.read(str(home), NAME).revision)
    refresh(day, Scored(model_version="1", assignments=first.assignments))
    assert listed(online.answer(follower(home, first).current(), raw_users(bucket), NOW, N)) == batch(home)


def named(home: Path, place: str | None) -> None:
    """Names another basis under the pointer, or none, as a fault or an earlier version would."""
    now = pointer.read(str(home), NAME)
    assert now.live is not None
    made = {name: one for name, one in now.live.made.items() if name != BASIS} | ({BASIS: place} if place else {})
    changed = {"revision": now.revision + 1, "live": now.live.model_copy(update={"made": made})}
    pointer.write(str(home), NAME, now.model_copy(update=changed))


def test_what_recommends_for_another_model_is_not_used(shop, tmp_path):
    make_live(shop, 0)
    recommend(shop)
    old = live(shop[0]).made[BASIS]
    make_live(shop, 1)
    recommend(shop)
    home = tmp_path / "home"
    shutil.copytree(shop[0], home)
    named(home, old)
    with pytest.raises(DataError, match="recommender is of version 1, but version 2 is live; run `fenqun recommend`"):
        online.answer(follower(home, shop[1][1]).current(), [{"user_id": "x"}], NOW, N)
    assert any("left out until `fenqun recommend`" in line for line in repair(str(home), NAME))
    assert BASIS not in live(home).made
    assert {*live(home).tables} >= {*REMADE}, "the lists themselves are whole"


@pytest.mark.parametrize("file", ["state.safetensors", "state.json", "manifest.json"])
def test_a_damaged_basis_is_told_found_and_left_out(shop, tmp_path, file):
    make_live(shop, 0)
    recommend(shop)
    home = tmp_path / "home"
    shutil.copytree(shop[0], home)
    flip(home / live(home).made[BASIS] / file, 60)
    with pytest.raises(DataError, match=r"damaged and is not read; run `fenqun doctor --repair`"):
        online.answer(follower(home, shop[1][0]).current(), [{"user_id": "x"}], NOW, N)
    assert any(one.state == "wrong" for one in state(str(home)))
    told = repair(str(home), NAME)
    assert "left out until `fenqun recommend`" in told[0]
    assert repair(str(home), NAME) == []
    assert all(one.state != "wrong" for one in state(str(home)))
    with pytest.raises(DataError, match="nothing is kept to recommend by online; run `fenqun recommend`"):
        online.answer(follower(home, shop[1][0]).current(), [{"user_id": "x"}], NOW, N)


def test_mlflows_model_takes_the_number_as_a_parameter(shop, monkeypatch):
    home, (first, _), bucket, ledger = shop
    monkeypatch.setenv("FENQUN_HOME", str(home))
    monkeypatch.setenv("FENQUN_FOLLOW", "live")
    make_live(shop, 0)
    recommend(shop)
    frame = pl.DataFrame(raw_users(bucket, 4)).to_pandas()
    with ledger.model_folder(first.version) as folder:
        model = mlflow.pyfunc.load_model(str(folder))
    told = model.predict(frame, {"as_of": NOW, "recommend": N})
    own = dict(zip(told["user_id"], told[LISTS], strict=True))
    published = batch(home)
    assert {user: [(one["item_id"], one["score"]) for one in items] for user, items in own.items()} == {
        user: published[user] for user in own
    }
    assert LISTS not in model.predict(frame, {"as_of": NOW})
    named = {column.name: column for column in model.metadata.signature.outputs}
    assert set(told.columns) == set(named)
    assert set(named[LISTS].type.dtype.to_dict()["properties"]) == {*told[LISTS][0][0]}
    assert not named[LISTS].required, "an answer has it where a request asks for items"
    with pytest.raises(MlflowException, match="0 or more"):
        model.predict(frame, {"recommend": -1})
