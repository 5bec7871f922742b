"""Identity means people: an id stays with its members, whoever else comes to where they stood."""

import numpy as np
import polars as pl
import pytest

from tasks.reporting.segments import describe
from tests.helpers.shops import Shop, buys, failed, patched

pytestmark = [pytest.mark.usefixtures("prefect_harness"), pytest.mark.slow]

CORNERS = {"a": (0, 0), "b": (20, 0), "c": (0, 20), "d": (20, 20), "e": (10, -30)}
SETTINGS = {
    "features": [{"kind": "attributes", "numeric": ["x", "y"], "categorical": ["colour"]}],
    "represent": {"dimension": 4},
    "evaluate": {"lift": False, "refits": 2}, "gates": {"max_churn": 1.0, "min_segment_users": 5},
    "search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [4, 5]}}]},
}  # fmt: skip


def square(place, seed):
    """A shop whose segments are the corners where its users stand."""
    return Shop(place, seed, **SETTINGS)


def stand(shop, people, corner, colour="plain"):
    """These users stand at a corner from now on; who is new has an event."""
    where = np.array(CORNERS[corner]) + shop.rng.normal(size=(len(people), 2))
    rows = [{"user_id": u, "x": x, "y": y, "colour": colour} for u, (x, y) in zip(people, where.tolist(), strict=True)]
    known = shop.tables.get("users")
    fresh = set(people) - set([] if known is None else known["user_id"].to_list())
    if known is not None:
        shop.tables["users"] = known.filter(~pl.col("user_id").is_in(people))
    shop.add("users", rows)
    shop.add("events", (e for u in sorted(fresh) for e in buys(shop.rng, u, [f"i{shop.rng.integers(9)}"])))


def names(letter, n, start=0):
    return [f"{letter}{u}" for u in range(start, start + n)]


def id_of(told, people):
    """The id that most of some users have, and their share."""
    found = pl.Series([told.get(user) for user in people]).value_counts(sort=True)
    return found.row(0)[0], found.row(0)[1] / len(people)


@pytest.mark.parametrize("seed", range(3))
def test_whoever_keeps_half_of_its_people_keeps_its_id(tmp_path, seed):
    """A keeps 60 of 110 people, who are 60 of its 110; all of B joins them, and the rest of A stands where B stood."""
    shop = square(tmp_path, seed)
    for letter, n in {"a": 110, "b": 50, "c": 100, "d": 100}.items():
        stand(shop, names(letter, n), letter)
    assert shop.retrain().promoted
    before = shop.told()
    stand(shop, names("a", 50, 60), "b")
    stand(shop, names("b", 50), "a")
    with patched({"tasks.segments.identity._CERTAIN": 0.0}):
        lost = shop.retrain(gates={"max_churn": 0.0})
    ours = id_of(before, names("a", 60))[0]
    assert not lost.promoted
    assert ours not in {profile.segment_id for profile in lost.profiles}, "matched first, filtered after: it is lost"
    told = shop.retrain()
    assert told.promoted, failed(told)
    assert id_of(shop.told(), names("a", 60)) == (ours, 1.0)
    assert id_of(shop.told(), names("b", 50))[0] == ours
    assert [change.kind for change in told.lineage.changes if ours in change.new and ours in change.old]


@pytest.mark.parametrize("seed", range(3))
def test_newcomers_who_stand_where_a_segment_stood_are_not_its_members(tmp_path, seed):
    shop = square(tmp_path, seed)
    for letter, n in {"a": 40, "b": 100, "c": 100, "d": 100}.items():
        stand(shop, names(letter, n), letter)
    assert shop.retrain().promoted
    before = shop.told()
    ours = id_of(before, names("a", 40))[0]
    stand(shop, names("a", 40), "e")
    stand(shop, names("n", 300), "a")
    with patched({"tasks.candidates.lineage.told": as_assigned, "tasks.candidates.lineage.members": nobody_told}):
        wrong = shop.retrain(gates={"max_churn": 0.0})
    assert not wrong.promoted
    assert ours in {p.segment_id for p in wrong.profiles if p.size >= 300}, "counted as members, they take the id"
    told = shop.retrain()
    assert told.promoted, failed(told)
    assert id_of(shop.told(), names("a", 40)) == (ours, 1.0)
    assert id_of(shop.told(), names("n", 300))[0] not in set(before.values())
    gate = next(gate for gate in told.verdict.gates if gate.name == "churn")
    assert gate.measured == np.mean([shop.told()[u] != segment for u, segment in before.items() if segment])


def nobody_told(standing, users, assigned):
    """Members by today's assignments alone."""
    return assigned


def as_assigned(standing, users):
    """Everybody whom the champion would put there today, whether readers were told of them or not."""
    from tasks.models.told import labels_of

    return labels_of(standing.placed["all"].assignments, standing.ids, users)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_published_is_one_thing_and_a_name_is_held_against_it(tmp_path, seed):
    shop = square(tmp_path, seed)
    for letter, colour in {"a": "red", "b": "green", "c": "blue", "d": "plain"}.items():
        stand(shop, names(letter, 80), letter, colour)
    assert shop.retrain().promoted
    ours = id_of(shop.told(), names("a", 80))[0]
    was = dict(shop.published("segments").select("segment_id", "name").iter_rows())[ours]
    assert "red" in was
    stand(shop, names("a", 80), "a", "plain")
    stand(shop, names("d", 80), "d", "red")
    with patched({"tasks.describe.segments.describe": unread}):
        kept = shop.retrain(gates={"max_churn": 1.0, "min_segment_users": 1000})
    assert {p.segment_id: p.name for p in kept.profiles}[ours] == was, "never held against the evidence, it stays"
    told = shop.retrain()
    assert told.promoted, failed(told)
    profile = next(p for p in told.profiles if p.segment_id == ours)
    assert (profile.renamed, "red" in profile.name) == (was, False)
    sizes = dict(shop.published("segments").select("segment_id", "size").iter_rows())
    counted = shop.published().drop_nulls("segment_id")["segment_id"].value_counts()
    assert sizes == dict(counted.iter_rows())


def unread(day, built, lineage, vectors, standing):
    """Names as if nobody had written down what they were made of."""
    return describe(day, built, lineage, vectors, standing and standing.model_copy(update={"cited": {}}))
