from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import tables
from schemas.config import IdentityConfig
from schemas.errors import DataError
from tasks.segments import identity
from tasks.segments.identity import Clusters

AS_OF = datetime(2026, 2, 1, tzinfo=UTC)
CONFIG = IdentityConfig()


def side(X, labels, users=None):
    labels = np.asarray(labels)
    k = int(labels.max()) + 1
    return Clusters(
        [str(u) for u in (range(len(X)) if users is None else users)], labels, identity.warm_centroids(X, labels, k)
    )


def planted(k=6, n=600, d=5, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, d)) * 6
    labels = np.arange(n) % k
    return centres[labels] + rng.normal(size=(n, d)), labels


def ids(k):
    return [identity.segment_id(i + 1) for i in range(k)]


def kinds(lineage):
    return {(c.kind, c.old, c.new) for c in lineage.changes}


@given(st.permutations(range(6)), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_renumbered_clusters_keep_their_ids(order, seed):
    X, labels = planted(seed=seed)
    lineage = identity.match(side(X, labels), ids(6), side(X, np.array(order)[labels]), CONFIG, 9)
    assert [lineage.ids[order[label]] for label in range(6)] == ids(6)
    assert {c.kind for c in lineage.changes} == {"continued"}
    assert lineage.next_number == 9
    assert lineage.moved_share == 0
    assert all(c.overlap == 1 and c.cosine == pytest.approx(1) for c in lineage.changes)


def test_the_first_model_bears_everything():
    lineage = identity.first(3)
    assert lineage.ids == ("s001", "s002", "s003")
    assert lineage.next_number == 4
    assert {c.kind for c in lineage.changes} == {"born"}


def test_a_planted_split_is_told_and_the_larger_part_keeps_the_id():
    X, labels = planted()
    halves = np.where((labels == 2) & (np.arange(600) % 18 < 6), 6, labels)  # a third leaves
    lineage = identity.match(side(X, labels), ids(6), side(X, halves), CONFIG, 7)
    assert lineage.ids == (*ids(6), "s007")
    assert ("split", ("s003",), ("s003", "s007")) in kinds(lineage)
    assert not {"born", "died", "merged"} & {c.kind for c in lineage.changes}
    split = next(c for c in lineage.changes if c.kind == "split")
    assert split.overlap == pytest.approx(1)
    assert lineage.moved_share == pytest.approx(1 / 18, abs=0.005)


def test_a_split_into_thirds_keeps_no_id():
    X, labels = planted(k=3)
    thirds = np.where(labels == 1, 3 + np.arange(600) // 3 % 3, labels)
    thirds = np.array([0, 0, 1, 2, 3, 4])[thirds]
    lineage = identity.match(side(X, labels), ids(3), side(X, thirds), CONFIG, 4)
    assert ("split", ("s002",), ("s004", "s005", "s006")) in kinds(lineage)
    assert lineage.next_number == 7


def test_a_planted_merge_is_told():
    X, labels = planted()
    merged = np.where(labels == 5, 4, labels)
    lineage = identity.match(side(X, labels), ids(6), side(X, merged), CONFIG, 7)
    assert ("merged", ("s005", "s006"), (lineage.ids[4],)) in kinds(lineage)
    assert not {"born", "died", "split"} & {c.kind for c in lineage.changes}


def test_a_planted_birth_and_death_are_told():
    X, labels = planted()
    rng = np.random.default_rng(1)
    new_users = rng.normal(size=(60, 5)) + 40
    alive = labels != 3
    both = np.vstack([X[alive], new_users])
    now = np.append(labels[alive], np.full(60, 3))
    names = [*np.flatnonzero(alive), *range(1000, 1060)]
    lineage = identity.match(side(X, labels), ids(6), side(both, now, names), CONFIG, 7)
    assert ("born", (), ("s007",)) in kinds(lineage)
    assert ("died", ("s004",), ()) in kinds(lineage)
    assert lineage.ids == ("s001", "s002", "s003", "s007", "s005", "s006")
    assert lineage.moved_share == 0


def test_ids_are_never_reused_over_many_generations():
    rng = np.random.default_rng(0)
    X, labels = planted()
    lineage, ever = identity.first(6), set(ids(6))
    for _ in range(20):
        new = rng.integers(0, rng.integers(2, 8), len(X))
        new[: new.max() + 1] = np.arange(new.max() + 1)
        after = identity.match(side(X, labels), lineage.ids, side(X, new), CONFIG, lineage.next_number)
        fresh = set(after.ids) - set(lineage.ids)
        assert not fresh & ever
        assert len(set(after.ids)) == len(after.ids)
        assert {i for c in after.changes for i in c.new} == set(after.ids)
        assert {i for c in after.changes for i in c.old} >= set(lineage.ids) - set(after.ids)
        ever |= fresh
        lineage, labels = after, new


def test_members_who_left_for_another_place_do_not_carry_the_id():
    X, labels = planted()
    shuffled = np.random.default_rng(0).permutation(labels)
    lineage = identity.match(side(X, labels), ids(6), side(X, shuffled), CONFIG, 7)
    assert not set(lineage.ids) & set(ids(6))
    assert lineage.moved_share == 1


def test_without_shared_users_centroids_decide():
    X, labels = planted()
    lineage = identity.match(side(X, labels), ids(6), side(X, labels, range(5000, 5600)), CONFIG, 7)
    assert lineage.ids == tuple(ids(6))
    assert lineage.moved_share is None
    far = identity.match(side(X, labels), ids(6), side(X[:, ::-1] * 3, labels, range(5000, 5600)), CONFIG, 7)
    assert len(set(far.ids) & set(ids(6))) <= 2


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whoever_meets_the_rule_keeps_the_id_whatever_else_happens(data):
    """Over random tables of who went where: stayers, leavers, strangers and users who had no segment."""
    k_old, k_new = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    sizes = st.integers(0, 12)
    table = np.array(data.draw(st.lists(st.lists(sizes, min_size=k_new, max_size=k_new), min_size=k_old + 1,
                                        max_size=k_old + 1)))  # fmt: skip
    table[:k_old] += np.eye(k_old, k_new, dtype=int) * data.draw(st.integers(0, 40))
    rows, columns = np.nonzero(table)
    old = np.repeat(rows, table[rows, columns])
    old[old == k_old] = -1  # known, but without a segment
    new = np.repeat(columns, table[rows, columns])
    strangers = data.draw(st.lists(st.integers(0, k_new - 1), max_size=60))
    X = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=(len(old) + len(strangers), 4))
    users = [str(u) for u in range(len(X))]
    everyone = np.append(new, np.array(strangers, int))
    before = Clusters(users[: len(old)], old, identity.warm_centroids(X[: len(old)], old, k_old))
    members = np.append(np.where(old >= 0, new, -1), np.full(len(strangers), -1))
    after = Clusters(users, everyone, identity.warm_centroids(X, members, k_new))
    lineage = identity.match(before, ids(k_old), after, CONFIG, 50)
    assert len(set(lineage.ids)) == k_new
    shared = table[:k_old].astype(float)
    stays = (shared >= 0.5 * shared.sum(axis=1, keepdims=True)) & (shared >= 0.5 * shared.sum(axis=0)) & (shared > 0)
    for label, cluster in np.argwhere(stays):
        rivals = stays[label].sum() + stays[:, cluster].sum()  # a tie of exactly halves has two that meet it
        if rivals == 2 and placed(before, after, label, cluster):
            assert lineage.ids[cluster] == ids(k_old)[label]


def placed(before, after, label, cluster):
    """Whether the centroids are alike, or each other's nearest: the rule's other half, written plainly."""
    middle = np.nanmean(before.centroids, axis=0)
    mine, theirs = before.centroids[label] - middle, after.centroids[cluster] - middle
    length = np.linalg.norm(mine) * np.linalg.norm(theirs)
    cosine = mine @ theirs / length if length else 0.0
    apart = np.linalg.norm(before.centroids[:, None] - after.centroids[None], axis=2)
    nearest = apart[label, cluster] <= min(np.nanmin(apart[label]), np.nanmin(apart[:, cluster]))
    return cosine >= CONFIG.min_cosine or nearest


def test_a_segment_that_stays_is_not_lost_to_a_better_total():
    """97 % stay and make 98 % of the new cluster; other pairs, none of which meets the rule, would add up to more."""
    table = np.array([[1102, 29, 0], [6, 0, 0], [14, 0, 7]])
    rows, columns = np.nonzero(table)
    old, new = (np.repeat(side, table[rows, columns]) for side in (rows, columns))
    X = np.random.default_rng(2).normal(size=(len(old), 3))
    lineage = identity.match(side(X, old), ids(3), side(X, new), IdentityConfig(min_cosine=-1), 4)
    assert lineage.ids[0] == "s001"


def test_strangers_never_take_an_id_and_never_take_it_away():
    """Forty members stay together; three hundred strangers stand about or join: the forty keep the id."""
    middles = np.repeat(np.array([[8, 0, 0], [-8, 0, 0], [0, 9, 0]]), [40, 40, 300], axis=0)
    X = middles + np.random.default_rng(0).normal(size=(380, 3))
    old = Clusters(
        [str(u) for u in range(80)], np.repeat([0, 1], 40), identity.warm_centroids(X[:80], np.repeat([0, 1], 40), 2)
    )
    for labels in (np.repeat([0, 1, 2], [40, 40, 300]), np.append(np.repeat([0, 1], 40), np.zeros(300, int))):
        members = np.append(labels[:80], np.full(300, -1))
        k = labels.max() + 1
        centroids = identity.warm_centroids(X, members, k)
        centroids = np.where(np.isfinite(centroids), centroids, identity.warm_centroids(X, labels, k))
        lineage = identity.match(old, ids(2), Clusters([str(u) for u in range(380)], labels, centroids), CONFIG, 3)
        assert lineage.ids[:2] == ("s001", "s002")
        assert lineage.moved_share == 0


def test_noise_is_no_segment_and_counts_as_moved():
    X, labels = planted()
    noisy = np.where(np.arange(600) < 60, -1, labels)
    lineage = identity.match(side(X, labels), ids(6), side(X, noisy), CONFIG, 7)
    assert lineage.ids == tuple(ids(6))
    assert lineage.moved_share == pytest.approx(0.1)


def test_what_does_not_fit_together_is_refused():
    X, labels = planted()
    with pytest.raises(DataError, match="fit together"):
        identity.match(side(X, labels), ids(5), side(X, labels), CONFIG, 7)


def frame(pairs):
    return pl.DataFrame(
        {"user_id": list(pairs), "segment_id": list(pairs.values())},
        schema={"user_id": pl.String, "segment_id": pl.String},
    )


def test_transitions_tell_moves_entries_and_exits():
    old = frame({"a": "s001", "b": "s001", "c": "s002", "d": None, "e": None, "gone": "s002"})
    new = frame({"b": "s002", "a": "s001", "c": None, "d": "s001", "e": None, "new": "s003", "idle": None})
    out = identity.transitions(old, new, AS_OF, "4")
    assert out.schema == pl.Schema(tables.TRANSITIONS.polars_schema())
    assert out.select("user_id", "from_segment_id", "to_segment_id").rows() == [
        ("b", "s001", "s002"), ("c", "s002", None), ("d", None, "s001"), ("gone", "s002", None), ("new", None, "s003"),
    ]  # fmt: skip
    assert "gone" not in identity.transitions(old, new, AS_OF, "4", complete=False)["user_id"]
    assert identity.transitions(None, new, AS_OF, "4")["to_segment_id"].to_list() == ["s001", "s002", "s001", "s003"]
    assert identity.transitions(new, new, AS_OF, "5").height == 0


def test_churn_has_an_honest_interval():
    before = np.array(["s001"] * 90 + ["s002"] * 10 + [None] * 5, object)
    after = np.array(["s001"] * 85 + ["s002"] * 15 + ["s001"] * 5, object)
    metric = identity.churn(before, after)
    assert metric.value == 0.05
    assert metric.n == 100
    low, high = metric.interval  # statsmodels.proportion_confint(5, 100, method="wilson")
    assert (low, high) == (pytest.approx(0.02154, abs=1e-4), pytest.approx(0.11175, abs=1e-4))
    assert identity.churn(np.array([None]), np.array(["s001"])).value is None


def refit(X, init=None, seed=0, k=20):
    from sklearn.cluster import KMeans

    start = {"init": init, "n_init": 1} if init is not None else {"n_init": 3, "random_state": seed}
    return KMeans(n_clusters=k if init is None else len(init), **start).fit(X)


def retrain(X, labels, new_users, seed, k):
    """Shuffled rows, another seed and new users: (moved warm, moved plain, inertia warm / fresh, lineage)."""
    rng = np.random.default_rng(seed)
    both = np.vstack([X, new_users])
    order = rng.permutation(len(both))
    now, known = both[order], order < len(X)
    old = np.where(known, labels[np.minimum(order, len(X) - 1)], -1)
    start = identity.grow(now, identity.warm_centroids(now, old, k), CONFIG, rng)
    warm, plain = refit(now, start), refit(now, seed=seed, k=k)
    before = Clusters([str(i) for i in range(len(X))], labels, identity.warm_centroids(now, old, k))
    told = []
    for fit in (warm, plain):
        after = Clusters([str(i) for i in order], fit.labels_, fit.cluster_centers_)
        told.append(identity.match(before, ids(k), after, CONFIG, k + 1))
    fresh = plain if len(start) == k else refit(now, seed=seed, k=len(start))
    return told[0].moved_share, told[1].moved_share, warm.inertia_ / fresh.inertia_, told[0]


def overlapping(n=1500, k=20, d=8, seed=0):
    """Blobs that touch, so that a plain refit is not told by the data where the borders are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, d)) * 1.2
    return centres[rng.integers(0, k, n)] + rng.normal(size=(n, d))


def test_a_refit_started_from_the_champion_moves_few_users():
    warm, plain, inertia = [], [], []
    for seed in range(10):
        X = overlapping(seed=seed)
        champion = refit(X, seed=100 + seed)
        got = retrain(X, champion.labels_, overlapping(1575, seed=seed)[1500:], seed, 20)
        warm.append(got[0]), plain.append(got[1]), inertia.append(got[2])
    print(f"moved: warm {np.median(warm):.3f}, plain {np.median(plain):.3f}; inertia {np.median(inertia):.4f}")
    assert np.median(warm) <= 0.02
    assert np.median(inertia) <= 1.005
    assert np.median(plain) > 3 * np.median(warm)


def test_a_planted_new_segment_is_born_in_a_warm_refit():
    for seed in range(5):
        X, _ = planted(k=6, seed=seed)
        champion = refit(X, seed=seed, k=6)
        new_users = np.random.default_rng(seed).normal(size=(50, 5)) + 15 * np.sign(X.mean(axis=0))
        moved, _, _, lineage = retrain(X, champion.labels_, new_users, seed, 6)
        assert [c.kind for c in lineage.changes if c.kind != "continued"] == ["born"]
        assert lineage.ids[-1] == "s007"
        assert moved == 0


def test_where_no_centroid_is_left_nothing_grows():
    X = overlapping(seed=0)
    gone = np.full((3, X.shape[1]), np.nan)
    assert identity.grow(X, gone, CONFIG, np.random.default_rng(0)).shape == (0, X.shape[1])


def test_nothing_is_born_where_nothing_is_new():
    for seed in range(5):
        X = overlapping(seed=seed)
        champion = refit(X, seed=seed)
        start = identity.grow(X, champion.cluster_centers_, CONFIG, np.random.default_rng(seed))
        assert len(start) == 20
