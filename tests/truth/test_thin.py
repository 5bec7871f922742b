"""Users of whom little is known: measured as they were then, near their own segment, and not refused by rounding."""

from datetime import timedelta

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from tasks.models import thin_users
from tasks.models.thin_users import _by_vectors as by_vectors
from tasks.numerics import history
from tests.helpers.shops import START, Shop, buys, failed, patched, tasteful

pytestmark = [pytest.mark.usefixtures("prefect_harness"), pytest.mark.slow]

ABOUT = {
    "features": [{"kind": "behaviour"}, {"kind": "interest"}], "represent": {},
    "evaluate": {"lift": False, "refits": 2},
    "search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [4]}}]},
}  # fmt: skip


def opened(place, seed, **settings):
    """A shop of four kinds of things, not a share of whose sales is proven: it is about where users belong."""
    shop = Shop(place, seed, **{**ABOUT, **settings})
    shop.add("items", ({"item_id": f"A{t}-{i}", "title": f"thing {i}", "categories": f"kind {t}"}
                       for t in range(4) for i in range(20)))  # fmt: skip
    return shop


def regular(shop, users, n):
    """Users who buy the first n things of their kind, one every fifth day, each at the hour of the kind."""
    for u in users:
        own = {"user_id": f"u{u}", "event": "buy", "value": 10.0 * (u % 4 + 1)}
        shop.add("events", ({**own, "item_id": f"A{u % 4}-{i}", "timestamp": START + timedelta(days=5 * i, hours=u % 4)}
                            for i in range(n)))  # fmt: skip


def never(segmenter, views, what, left):
    """The nearest segment is never right, as where there is no such rung."""
    labels = by_vectors(segmenter, views, what, left)
    return np.full_like(labels, -1) if what == "nearest" else labels


@pytest.mark.parametrize("seed", range(3))
def test_newcomers_get_the_segment_that_they_are_nearest_to(tmp_path, seed):
    """Four who began what hundreds have done for long: far from them all, and nearest to their own."""
    assert with_their_own(newcomers(tmp_path / "held", seed).told()) == 4
    with patched({"tasks.models.thin_users._by_vectors": never}):
        assert with_their_own(newcomers(tmp_path / "missed", seed).told()) == 1


def newcomers(place, seed):
    """A retrain in which they are."""
    shop = opened(place, seed, features=[{"kind": "interest"}], identity={"birth_gain": 1.0})
    regular(shop, range(400), 20)
    regular(shop, range(400, 404), 5)
    told = shop.retrain()
    assert told.promoted, failed(told)
    return shop


def with_their_own(told):
    """How many of the newcomers are in the segment of those of their kind."""
    return sum(told[f"u{400 + kind}"] == told[f"u{kind}"] for kind in range(4))


@pytest.mark.parametrize("seed", range(3))
def test_users_cut_to_a_few_events_look_as_they_did_then(tmp_path, seed):
    """Users who come every other day: seen from today, all of them once were people who had long left."""
    shop, seen = opened(tmp_path, seed), []
    for u in range(200):
        shop.add("events", buys(shop.rng, f"u{u}", tasteful(shop.rng, u % 4, "A", n=40, tastes=4), days=80))

    def keep(*args):
        seen.append(expanded(*args))
        return seen[-1]

    def recency(number, **targets):
        """Days since their last event of users cut down to one, three, five and ten."""
        with patched({"tasks.models.thin_users._expanded": keep, **targets}):
            shop.retrain(seed=number)
        views, seen[:] = [blocks["behaviour"][there, 0] for blocks, there in seen if there.any()], []
        return np.concatenate(views)

    expanded = thin_users._expanded
    assert np.abs(recency(1)).max() < 1e-6
    today = {"tasks.features.behaviour.clock": lambda cut, users, at: np.full(len(users), history.microseconds(at))}
    assert np.median(recency(2, **today)) > 40


@pytest.mark.parametrize("seed", range(3))
def test_users_on_one_point_are_all_of_its_segment(tmp_path, seed):
    """Four kinds of users who did the very same: floors of rounding and a prior for the thin would make one of them."""
    ten = {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [4, 10]}}]}
    shop = opened(tmp_path, seed)
    regular(shop, range(200), 6)
    told = shop.retrain(search=ten)
    assert told.promoted, failed(told)
    assert sorted(shop.published("segments")["size"]) == [50, 50, 50, 50]
    users, segments = zip(*shop.told().items(), strict=True)
    assert adjusted_rand_score([int(user[1:]) % 4 for user in users], segments) == 1.0
    with patched({"tasks.models.thin_users._by_vectors": never}):
        lost = shop.retrain(seed=90 + seed)
    assert "validity.largest" in failed(lost)
