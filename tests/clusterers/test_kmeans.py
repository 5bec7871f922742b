"""K-Means against scikit-learn, its warm start, its spherical form, and Dask blocks."""

import dask.array as da
import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from schemas.errors import DataError
from tasks.clusterers import kmeans, minibatch_kmeans
from tasks.clusterers._distances import nearest
from tasks.clusterers._lloyd import partial_sums, tensor_sums
from tasks.clusterers._proven import label_rows
from tasks.clusterers._scalable import Standard, scalable_seeds

IMPLEMENTATIONS = ["fenqun", "dask_ml"]


def draw(n=3000, d=8, groups=6, seed=0, spread=6.0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(groups, size=n)
    return (spread * rng.normal(size=(groups, d))[truth] + rng.normal(size=(n, d))).astype(np.float32), truth


@pytest.mark.parametrize("k", [1, 2, 7])
def test_inertia_is_squared_and_equals_scikit_learns(k):
    X, _ = draw(spread=1.0)
    start = X[:k].copy()
    mine = kmeans.fit(X, kmeans.Config(k=k, max_iter=100), np.random.default_rng(0), init=start)
    theirs = KMeans(k, init=start.astype(np.float64), n_init=1, max_iter=100).fit(X.astype(np.float64))
    assert mine.extras["inertia"] == pytest.approx(theirs.inertia_, rel=1e-6)
    assert adjusted_rand_score(mine.labels, theirs.labels_) > 0.999


def test_segments_are_numbered_by_size():
    X, _ = draw()
    fitted = kmeans.fit(X, kmeans.Config(k=6), np.random.default_rng(0))
    assert (np.diff(np.bincount(fitted.labels)) <= 0).all()


def test_a_warm_start_stays_where_the_champion_is():
    X, _ = draw(spread=1.0)
    champion = kmeans.fit(X, kmeans.Config(k=8), np.random.default_rng(0))
    again = kmeans.fit(X, kmeans.Config(k=8), np.random.default_rng(9), init=champion.centroids)
    assert adjusted_rand_score(champion.labels, again.labels) > 0.98


@pytest.mark.parametrize("space", ["euclidean", "cosine"])
def test_fewer_starting_centroids_leave_room_for_a_birth(space):
    X, truth = draw(groups=6)
    old = truth < 5
    champion = kmeans.fit(X[old], kmeans.Config(k=5, space=space), np.random.default_rng(0))
    grown = kmeans.fit(X, kmeans.Config(k=6, space=space), np.random.default_rng(1), init=champion.centroids)
    assert adjusted_rand_score(truth, grown.labels) > 0.99


def test_starting_centroids_that_do_not_fit_are_refused():
    X, _ = draw(n=50)
    for shape in ((7, 8), (3, 5)):
        with pytest.raises(DataError, match="starting centroids of shape"):
            kmeans.fit(X, kmeans.Config(k=6), np.random.default_rng(0), init=np.zeros(shape))


def test_spherical_centroids_are_unit_and_a_fixed_point():
    X, _ = draw(spread=1.0)
    fitted = kmeans.fit(X, kmeans.Config(k=6, space="cosine", tol=0), np.random.default_rng(0))
    unit = X / np.linalg.norm(X.astype(np.float64), axis=1, keepdims=True)
    sums = np.stack([unit[fitted.labels == j].sum(axis=0) for j in range(6)])
    assert np.allclose(np.linalg.norm(fitted.centroids, axis=1), 1, atol=1e-12)
    assert np.allclose(sums / np.linalg.norm(sums, axis=1, keepdims=True), fitted.centroids, atol=1e-5)
    squares = ((unit - fitted.centroids[fitted.labels]) ** 2).sum()
    assert fitted.extras["inertia"] == pytest.approx(squares, rel=1e-9)


@pytest.mark.parametrize("module", [kmeans, minibatch_kmeans])
@pytest.mark.parametrize("space", ["euclidean", "cosine"])
def test_dask_blocks_find_the_same_segments(module, space):
    X, truth = draw(seed=4)
    lazy = da.from_array(X, chunks=(700, 3))
    fitted = module.fit(lazy, module.Config(k=6, space=space), np.random.default_rng(0))
    assert adjusted_rand_score(truth, fitted.labels) > 0.99
    assert np.array_equal(fitted.assign(X).labels, fitted.labels)


def test_dask_and_memory_agree_from_the_same_start():
    X, _ = draw(spread=1.0)
    config = kmeans.Config(k=7, max_iter=100, tol=1e-9)
    one = kmeans.fit(X, config, np.random.default_rng(0), init=X[:7])
    other = kmeans.fit(da.from_array(X, chunks=(500, -1)), config, np.random.default_rng(0), init=X[:7])
    assert one.extras["inertia"] == pytest.approx(other.extras["inertia"], rel=1e-4)


def test_a_bad_value_in_a_dask_block_names_its_column():
    X, _ = draw()
    X[2500, 5] = np.nan
    with pytest.raises(DataError, match="column 5"):
        kmeans.fit(da.from_array(X, chunks=(700, -1)), kmeans.Config(k=3), np.random.default_rng(0))


def test_identical_rows_make_one_segment_and_say_so():
    fitted = kmeans.fit(np.ones((50, 3), np.float32), kmeans.Config(k=4), np.random.default_rng(0))
    assert set(fitted.labels) == {0}
    assert "make only 1" in fitted.extras["warnings"][0]


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_quick_labels_are_the_labels_of_assignment(offset):
    X, _ = draw(n=9000, spread=0.5)
    X = np.concatenate([X, X[:40]]) + np.float32(offset)
    centroids = np.concatenate([X[:6], X[:2]]).astype(np.float64)  # with ties
    assert np.array_equal(label_rows(X, centroids), nearest(X, centroids, "euclidean")[0])


def test_a_tensor_sums_like_an_array():
    import torch

    X, _ = draw(n=500)
    for mine, theirs in zip(partial_sums(X, X[:5]), tensor_sums(torch.from_numpy(X), X[:5]), strict=True):
        assert np.sort(np.ravel(mine)) == pytest.approx(np.sort(np.ravel(theirs)), rel=1e-3, abs=1e-3)


def test_far_from_the_origin_it_still_finds_the_segments():
    X, truth = draw()
    fitted = kmeans.fit(X + np.float32(1e4), kmeans.Config(k=6), np.random.default_rng(0))
    assert adjusted_rand_score(truth, fitted.labels) > 0.99


def test_a_spherical_warm_start_reads_directions_whatever_their_length():
    X, _ = draw(spread=2.0)
    start = minibatch_kmeans.fit(X, minibatch_kmeans.Config(k=6, space="cosine"), np.random.default_rng(0)).centroids
    lengths = np.array([1e-3, 1, 5, 0.1, 100, 1])[:, None]
    for module in (kmeans, minibatch_kmeans):
        config = module.Config(k=6, space="cosine")
        plain, scaled = (module.fit(X, config, np.random.default_rng(1), init=i) for i in (start, start * lengths))
        assert np.array_equal(plain.labels, scaled.labels)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("lazy", [False, True])
def test_planted_blobs_are_scikit_learns_within_a_percent_of_inertia(implementation, lazy):
    X, _ = draw(spread=2.0)
    rows = da.from_array(X, chunks=(700, 3)) if lazy else X
    mine = kmeans.fit(rows, kmeans.Config(k=6, implementation=implementation, sample=500), np.random.default_rng(0))
    theirs = KMeans(6, n_init=10, random_state=0).fit(X.astype(np.float64))
    assert adjusted_rand_score(mine.labels, theirs.labels_) > 0.999
    assert mine.extras["inertia"] == pytest.approx(theirs.inertia_, rel=0.01)
    nearest_squares = np.square(X[:, None].astype(np.float64) - mine.centroids).sum(axis=2).min(axis=1)
    assert mine.extras["inertia"] == pytest.approx(nearest_squares.sum(), rel=1e-6)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("space", ["euclidean", "cosine"])
def test_over_blocks_a_seed_decides_everything_and_another_one_something(implementation, space):
    X, _ = draw(spread=0.0)
    lazy = da.from_array(X, chunks=(700, -1))
    config = kmeans.Config(k=6, space=space, implementation=implementation, sample=300, max_iter=2)
    one, again, other = (kmeans.fit(lazy, config, np.random.default_rng(seed)).centroids for seed in (3, 3, 4))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_start_over_blocks_has_seen_the_few_rows_that_no_sample_holds():
    X, _ = draw(n=20_000, groups=5, seed=2)  # each needs a centroid, and the few need one more
    few = np.arange(10_000, 10_008)
    X[few] += 500
    config = kmeans.Config(k=5, sample=100)
    fitted = kmeans.fit(da.from_array(X, chunks=(3000, -1)), config, np.random.default_rng(0))
    assert np.array_equal(np.flatnonzero(fitted.labels == fitted.labels[few[0]]), few)


@pytest.mark.parametrize(("offset", "scale"), [(0, 1e-15), (0, 1e12), (1e4, 1)])
def test_scalable_seeds_know_neither_unit_nor_origin(offset, scale):
    X, _ = draw(seed=3)
    plain, moved = (
        scalable_seeds(Standard.of(rows, rows, "euclidean"), 6, 3, seed=1)
        for rows in (X, (X * np.float32(scale) + np.float32(offset)))
    )
    assert np.allclose((moved - offset) / scale, plain, atol=0.01)


@pytest.mark.parametrize("space", ["euclidean", "cosine"])
def test_a_warm_start_of_dask_ml_stays_where_the_champion_is(space):
    X, _ = draw(spread=1.0)
    champion = kmeans.fit(X, kmeans.Config(k=8, space=space), np.random.default_rng(0))
    config = kmeans.Config(k=8, space=space, implementation="dask_ml", max_iter=3)
    again = kmeans.fit(X, config, np.random.default_rng(9), init=champion.centroids)
    assert adjusted_rand_score(champion.labels, again.labels) > 0.97
    assert again.extras["iterations"] <= 3
    assert again.extras["inertia"] == pytest.approx(champion.extras["inertia"], rel=1e-3)


def test_dask_ml_draws_random_rows_where_it_is_told_to():
    X, _ = draw(spread=0.0)
    config = kmeans.Config(k=6, implementation="dask_ml", seeding="random")
    fitted = kmeans.fit(X, config, np.random.default_rng(0))
    best = kmeans.fit(X, kmeans.Config(k=6), np.random.default_rng(0)).extras["inertia"]
    assert fitted.extras["inertia"] == pytest.approx(best, rel=0.02)


def test_what_an_implementation_cannot_do_is_refused_before_anything_runs():
    with pytest.raises(ValidationError, match="dask_ml knows no device cuda"):
        kmeans.Config(implementation="dask_ml", device="cuda")
    with pytest.raises(ValidationError, match="random is of implementation: dask_ml alone"):
        kmeans.Config(seeding="random")
