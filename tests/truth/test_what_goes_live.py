"""Figures are of the model that would go live: a basis that knows nothing of today's items cannot win by a refit."""

from datetime import timedelta

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from schemas.errors import DataError
from tests.helpers.shops import START, Shop, buys, failed, gates_without, only_kept, patched, tasteful

pytestmark = [pytest.mark.usefixtures("prefect_harness"), pytest.mark.slow]

SPRING = START + timedelta(days=90)


def moved_on(place, seed):
    """200 users with tastes among the items A are published; then they and 300 newcomers buy items B alone."""
    shop = Shop(place, seed, identity={"birth_gain": 1.0})
    for u in range(200):
        shop.add("events", buys(shop.rng, f"old{u}", tasteful(shop.rng, u % 5, "A")))
    assert shop.retrain().promoted
    for name in [*(f"old{u}" for u in range(200)), *(f"new{u}" for u in range(300))]:
        shop.add("events", buys(shop.rng, name, tasteful(shop.rng, int(name[3:]) % 5, "B"), SPRING))
    return shop


def tastes_of(told):
    users = [user for user, segment in told.items() if segment is not None]
    return np.array([int(user[3:]) % 5 for user in users]), np.array([told[user] for user in users])


@pytest.mark.parametrize("seed", range(3))
def test_segments_follow_the_tastes_and_ids_their_people(tmp_path, seed):
    shop = moved_on(tmp_path, seed)
    before = shop.told()
    told = shop.retrain()
    assert told.promoted, failed(told)
    after = shop.told()
    assert adjusted_rand_score(*tastes_of(after)) >= 0.9
    known = [user for user, segment in before.items() if segment is not None]
    assert np.mean([before[user] == after[user] for user in known]) >= 0.95
    assert set(told.metrics) >= {f"proof.{key}" for key in ("recipe", "model", "champion.recipe", "champion.model")}
    assert told.metrics["proof.recipe"] > told.metrics["proof.champion.model"]


FOUR = {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [4]}}]}
FINER = {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [10]}}]}
ALONE = {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [600]}}]}
"""More segments than users: nothing but what starts from the champion competes."""


def cold(candidate, made, standing, name, *rest):
    """What a candidate is measured on where its start and its basis are forgotten."""
    from tasks.candidates.ground import ground

    kept = candidate if name == "all" else candidate.model_copy(update={"start": "fresh"})
    return ground(kept, made, standing, name, *rest)


FROZEN = {"flows.steps.warm_candidates": only_kept}
UNCOVERED = {**FROZEN, "tasks.models.today.coverage": lambda *_: {}}
COLD = {**UNCOVERED, "tasks.candidates.attempt.ground": cold, "tasks.candidates.proof.ground": cold}


@pytest.mark.parametrize("seed", range(3))
def test_a_basis_that_knows_nothing_of_todays_items_is_refused_twice_over(tmp_path, seed):
    shop = moved_on(tmp_path, seed)
    with patched(FROZEN), pytest.raises(DataError, match=r"kmeans-k\d+-kept: .*collaborative.items"):
        shop.retrain(search=ALONE)
    with patched(UNCOVERED):
        told = shop.retrain(search=ALONE)
    assert failed(told) & {"lift.recipe", "lift.model", "lift.unseen", "random.recipe", "random.model"}
    assert shop.live() == "1"
    with patched(COLD), gates_without("lift_model", "random_model", "lift_unseen", "silhouette"):
        told = shop.retrain(search=ALONE)
    assert told.promoted, "measured as a cold refit, and its labels not at all, it goes live"
    assert adjusted_rand_score(*tastes_of(shop.told())) < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_a_gain_is_taken_where_it_is_worth_its_churn_and_only_there(tmp_path, seed):
    """Users of a taste turn out to like half of its items: twice the segments serve better, and move every other."""
    wide = {"represent": {"dimension": 16}, "features": [{"kind": "collaborative", "dimensions": 16}]}
    shop = Shop(tmp_path, seed, **wide)
    for u in range(240):
        shop.add("events", buys(shop.rng, f"old{u}", leaning(shop.rng, u % 5, u // 5 % 2, 0.5)))
    assert shop.retrain().promoted
    before = shop.told()
    for u in range(240):
        shop.add("events", buys(shop.rng, f"old{u}", leaning(shop.rng, u % 5, u // 5 % 2, 0.95, 40), SPRING))
    kept = shop.retrain(search=FINER, select={"churn_price": 100.0})
    assert kept.promoted, failed(kept)
    assert kept.chosen.startswith("kmeans-k5-"), kept.reason
    assert stayed(before, shop.told()) > 0.98
    finer = shop.retrain(search=FINER, select={"churn_price": 0.1}, gates={"max_churn": 1.0})
    assert finer.promoted, failed(finer)
    assert int(finer.chosen.removeprefix("kmeans-k").split("-")[0]) > 5, finer.reason
    assert stayed(before, shop.told()) < 0.9


def leaning(rng, taste, half, share, n=20):
    """Items of one taste, so large a share of them of one half."""
    own = np.where(rng.random(n) < share, half, 1 - half)
    return [f"A{taste}-{20 * side + rng.integers(20)}" for side in own]


def stayed(before, after):
    """Share of the known users who have the segment that they had."""
    return np.mean([before[user] == segment for user, segment in after.items() if before.get(user)])


@pytest.mark.parametrize("seed", range(3))
def test_a_frozen_look_up_that_says_nothing_of_newcomers_is_refused(tmp_path, seed):
    """Ties are looked up by user: who came later has no place in the champion's, and would be one lump to it."""
    features, evaluate = [{"kind": "social", "community": "none"}], {"lift": False, "refits": 2}
    shop = Shop(tmp_path, seed, features=features, evaluate=evaluate)
    join(shop, range(200), START)
    assert shop.retrain(search=FOUR).promoted
    join(shop, range(200, 500), SPRING)
    with patched(FROZEN), pytest.raises(DataError, match=r"sees nothing in social of \d\d\.\d% of the users"):
        shop.retrain(search=ALONE)
    with patched(UNCOVERED), gates_without("stability", "silhouette"):
        lump = shop.retrain(search=ALONE, gates={"max_unassigned": 1.0, "row_change": [0.1, 10]})
    assert lump.promoted, failed(lump)
    assert adjusted_rand_score(*circles(shop.told())) < 0.5


def join(shop, people, since):
    """Users with six ties in their own circle, of four, and an event or two."""
    everybody = np.arange(max(people) + 1)
    for u in people:
        friends = shop.rng.choice(everybody[(everybody % 4 == u % 4) & (everybody != u)], 6, replace=False)
        day = since + timedelta(days=int(shop.rng.integers(30)))
        shop.add("edges", ({"src": f"u{u}", "dst": f"u{f}", "weight": 1.0, "timestamp": day} for f in friends))
        shop.add("events", buys(shop.rng, f"u{u}", [f"i{shop.rng.integers(20)}"], since))


def circles(told):
    users = [user for user, segment in told.items() if segment is not None]
    return np.array([int(user[1:]) % 4 for user in users]), np.array([told[user] for user in users])
