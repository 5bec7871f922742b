"""What every clusterer promises, asked of each file in the folder: a new one is tested without an edit here.

One with several implementations is asked once for each, as `kind/implementation`.
"""

from typing import get_args

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from schemas.errors import DataError
from tasks.clusterers._common import Centroids
from tasks.plugins.find import kinds, plugin

K, EACH, D = 5, 60, 8


def module_of(name):
    return plugin("clusterers", name.partition("/")[0])


def implementations(kind):
    field = module_of(kind).Config.model_fields.get("implementation")
    return [kind] if field is None else [f"{kind}/{one}" for one in get_args(field.annotation)]


NAMES = [name for kind in kinds("clusterers") for name in implementations(kind)]
EVERY = [(name, space) for name in NAMES for space in ("euclidean", "cosine")]


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(K), [EACH + 20 * i for i in range(K)])
    truth = truth[rng.permutation(len(truth))]
    centres = 10 * np.eye(K, D) + 1
    return (centres[truth] + rng.normal(scale=0.5, size=(len(truth), D))).astype(np.float32), truth


def config_of(kind, space, k=K):
    config, implementation = module_of(kind).Config, kind.partition("/")[2]
    more = {"implementation": implementation} if implementation else {}
    return config(space=space, **more, **({"k": k} if "k" in config.model_fields else {}))


def fit(kind, space, X, y, seed=0, k=K):
    return module_of(kind).fit(X, config_of(kind, space, k), np.random.default_rng(seed), y=y)


@pytest.mark.parametrize(("kind", "space"), EVERY)
def test_finds_planted_blobs_and_labels_align_with_rows(kind, space, blobs):
    X, truth = blobs
    fitted = fit(kind, space, X, truth)
    assert fitted.labels.shape == (len(X),)
    assert fitted.labels.dtype == np.int32
    assert adjusted_rand_score(truth, fitted.labels) >= 0.99
    assert fitted.extras.get("warnings") == []
    order = np.random.default_rng(1).permutation(len(X))
    assert adjusted_rand_score(truth[order], fit(kind, space, X[order], truth[order]).labels) >= 0.99


@pytest.mark.parametrize(("kind", "space"), EVERY)
def test_same_seed_same_result(kind, space, blobs):
    X, truth = blobs
    one, other = fit(kind, space, X, truth, seed=3), fit(kind, space, X, truth, seed=3)
    assert np.array_equal(one.labels, other.labels)
    for key, values in one.arrays().items():
        assert np.array_equal(values, other.arrays()[key]), key


@pytest.mark.parametrize(("kind", "space"), EVERY)
def test_one_row_is_assigned_like_a_thousand_also_after_saving(kind, space, blobs):
    X, truth = blobs
    fitted = fit(kind, space, X, truth)
    arrays = fitted.arrays()
    assert all(values.dtype.kind in "fiu" for values in arrays.values())
    again = module_of(kind).from_arrays({k: v.copy() for k, v in arrays.items()}, config_of(kind, space))
    rng = np.random.default_rng(2)
    news = np.concatenate([X, X[:50] * 1.5, rng.normal(scale=8, size=(200, D)).astype(np.float32)])
    whole = fitted.assign(news)
    assert whole.labels.dtype == whole.second.dtype == np.int32
    assert whole.distance.dtype == np.float64
    for mine, loaded in zip(whole, again.assign(news), strict=True):
        assert np.array_equal(mine, loaded)
    for row in range(0, len(news), 7):
        for many, one in zip(whole, again.assign(news[row : row + 1]), strict=True):
            assert many[row] == one[0]
    assert (whole.second != whole.labels).all()
    assert (whole.distance >= 0).all()


@pytest.mark.parametrize(("kind", "space"), EVERY)
def test_rows_it_was_fitted_on_get_their_labels_again(kind, space, blobs):
    X, truth = blobs
    fitted = fit(kind, space, X, truth)
    again = fitted.assign(X).labels
    if isinstance(fitted, Centroids):
        assert np.array_equal(again, fitted.labels)
    assert (again == fitted.labels)[fitted.labels >= 0].all()


@pytest.mark.parametrize(("kind", "space"), EVERY)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_refuses_what_is_not_finite_and_names_the_column(kind, space, bad, blobs):
    X, truth = blobs
    X = X.copy()
    X[17, 3] = bad
    with pytest.raises(DataError, match=r"column 3 .* row 17"):
        fit(kind, space, X, truth)
    fitted = fit(kind, space, blobs[0], truth)
    with pytest.raises(DataError, match="column 3"):
        fitted.assign(X)


@pytest.mark.parametrize(("kind", "space"), EVERY)
def test_refuses_rows_of_another_width(kind, space, blobs):
    fitted = fit(kind, space, *blobs)
    for columns in (1, D - 1, D + 1):
        with pytest.raises(DataError, match=f"have {columns} columns, the segments were fitted on {D}"):
            fitted.assign(np.ones((3, columns), np.float32))


@pytest.mark.parametrize(("kind", "space"), EVERY)
def test_a_dask_array_may_have_empty_blocks_and_must_know_its_rows(kind, space, blobs):
    import dask.array as da

    X, truth = blobs
    half = len(X) // 2
    X = da.from_array(X, chunks=((0, half, 0, len(X) - half, 0), D))
    assert adjusted_rand_score(truth, fit(kind, space, X, truth).labels) >= 0.99
    unknown = X[X[:, 0] > -1e9]
    if kind in ("classifier", "communities", "gaussian_mixture"):  # these bring it into memory
        assert adjusted_rand_score(truth, fit(kind, space, unknown, truth).labels) >= 0.99
    else:
        with pytest.raises(DataError, match="compute_chunk_sizes"):
            fit(kind, space, unknown, truth)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("scale", [1e-15, 1e12])
def test_the_unit_of_the_vectors_does_not_matter(kind, scale, blobs):
    X, truth = blobs
    fitted = fit(kind, "euclidean", (X * np.float64(scale)).astype(np.float32), truth)
    assert adjusted_rand_score(truth, fitted.labels) >= 0.99


@pytest.mark.parametrize(("kind", "space"), EVERY)
def test_rows_that_cannot_be_written_to_are_read_without_a_word(kind, space, blobs, recwarn):
    X = blobs[0].copy()
    X.flags.writeable = False
    fit(kind, space, X, blobs[1]).assign(X)
    assert [str(one.message) for one in recwarn if one.category is UserWarning] == []


@pytest.mark.parametrize(("kind", "space"), EVERY)
def test_degenerate_rows_get_a_label_or_a_clear_word(kind, space):
    rng = np.random.default_rng(5)
    same = np.ones((40, 3), np.float32)
    line = np.concatenate([rng.normal(-9, 0.1, 40), rng.normal(9, 0.1, 40)]).astype(np.float32)[:, None]
    constant = np.column_stack([line, np.full(80, 7.0)]).astype(np.float32)
    ties = np.repeat(np.array([[0, 1], [1, 0], [1, 1]], np.float32), 30, axis=0)
    for X in (same, line, constant, ties):
        fitted = fit(kind, space, X, np.arange(len(X)) % 2, k=2)
        assert len(fitted.labels) == len(X)
        distance = fitted.assign(X).distance
        assert np.isfinite(distance[fitted.labels >= 0]).all()
        if X is not ties:  # identical rows stay together
            _, group = np.unique(X, axis=0, return_inverse=True)
            assert len(np.unique(np.column_stack([group.ravel(), fitted.assign(X).labels]), axis=0)) == group.max() + 1


@pytest.mark.parametrize(("kind", "space"), EVERY)
def test_fewer_distinct_rows_than_segments_are_told(kind, space):
    if "k" not in module_of(kind).Config.model_fields:
        pytest.skip("nobody asks it for a number of segments")
    rows = np.repeat(np.array([[0, 1], [1, 0]], np.float32), 30, axis=0)
    fitted = fit(kind, space, rows, None, k=4)
    assert (fitted.labels.max() == 3) or any("4 segments were asked for" in line for line in fitted.extras["warnings"])


@pytest.mark.parametrize("kind", [*implementations("kmeans"), "minibatch_kmeans", "gaussian_mixture"])
@pytest.mark.parametrize("space", ["euclidean", "cosine"])
def test_centroids_to_start_from_are_checked(kind, space, blobs):
    X, truth = blobs
    module, config = module_of(kind), config_of(kind, space)
    arrays = fit(kind, space, X, truth).arrays()
    good = arrays["means" if "means" in arrays else "centroids"]
    lost = good.copy()
    lost[2] = np.nan
    for bad, word in ((lost, "not finite"), (good[0], "fit"), (good[:, :3], "fit"), (np.vstack([good, good]), "fit")):
        with pytest.raises(DataError, match=word):
            module.fit(X, config, np.random.default_rng(0), init=bad)
    if kind != "gaussian_mixture":  # with none given it draws its own
        fitted = module.fit(X, config, np.random.default_rng(0), init=good[:0])
        assert adjusted_rand_score(truth, fitted.labels) >= 0.99


@pytest.mark.parametrize(("kind", "space"), EVERY)
def test_fewer_users_than_segments_and_one_user(kind, space):
    X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    if "k" in module_of(kind).Config.model_fields:
        with pytest.raises(DataError, match="3 users cannot make 5 segments"):
            fit(kind, space, X, None)
        alone = fit(kind, space, X, None, k=1)
        assert alone.labels.tolist() == [0, 0, 0]
        assert alone.assign(X).second.tolist() == [-1, -1, -1]
        assert fit(kind, space, X[:1], None, k=1).labels.tolist() == [0]
    elif kind != "classifier":
        assert fit(kind, space, X[:1], None).labels.tolist() == [-1]


@pytest.mark.parametrize("kind", NAMES)
def test_an_outlier_takes_no_segment_unnoticed(kind, blobs):
    X, truth = blobs
    X = X.copy()
    X[11, 2] = 1e6
    if kind == "classifier":
        pytest.skip("its segments are the labels given")
    fitted = fit(kind, "euclidean", X, truth)
    label = fitted.labels[11]
    if label >= 0 and (fitted.labels == label).sum() == 1:
        assert any("row 11" in line and "column 2" in line for line in fitted.extras["warnings"])
    else:
        assert label < 0 or (fitted.labels == label).sum() > 10
