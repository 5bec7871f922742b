"""Deep clustering on planted segments, its exactness by plain integers, its start, its seeds and what it refuses."""

from fractions import Fraction

import dask.array as da
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from schemas.errors import DataError
from tasks.clusterers import deep, kmeans
from tasks.clusterers._autoencoder import divergence, sharpened, student
from tasks.clusterers._exact import Layer, through
from tasks.execution.alone import alone

QUICK = {"seeds": 2, "epochs": 20, "rounds": 4}


def draw(n=400, d=6, groups=4, seed=0, spread=6.0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(groups, size=n)
    return (spread * rng.normal(size=(groups, d))[truth] + rng.normal(size=(n, d))).astype(np.float32), truth


def spiral(seed=0, n=900):
    """Three arcs of one spiral, with gaps between them: each is longer than it is far from the next."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    turn = 2 + 2.6 * truth + rng.uniform(0, 1.8, n)
    X = np.column_stack([turn * np.cos(turn), turn * np.sin(turn)]) + rng.normal(scale=0.1, size=(n, 2))
    return X.astype(np.float32), truth


def fit(X, seed=0, init=None, **config):
    return deep.fit(X, deep.Config(**{**QUICK, **config}), np.random.default_rng(seed), init=init)


def test_bent_segments_are_found_where_k_means_cuts_across_them():
    X, truth = spiral()
    plain = kmeans.fit(X, kmeans.Config(k=3, n_init=10), np.random.default_rng(0)).labels
    codes = deep.fit(X, deep.Config(k=3, rounds=0), np.random.default_rng(0))
    found = deep.fit(X, deep.Config(k=3), np.random.default_rng(0))
    assert adjusted_rand_score(truth, plain) < 0.85
    assert adjusted_rand_score(truth, found.labels) > 0.99
    each = [[adjusted_rand_score(truth, labels) for labels in one.extras["fits"]] for one in (codes, found)]
    assert np.mean(each[1]) > np.mean(each[0]) + 0.05, "training them together adds to K-Means of the codes"


@pytest.mark.parametrize("method", ["idec", "dec"])
def test_the_fit_that_agrees_most_with_the_others_is_kept_and_all_are_told(method):
    X, _ = draw(spread=1.2)
    found = fit(X, method=method, k=4, seeds=4)
    every, kept = found.extras["fits"], found.extras["kept"]
    assert every.shape == (4, len(X))
    mean = [np.mean([adjusted_rand_score(a, b) for j, b in enumerate(every) if j != i]) for i, a in enumerate(every)]
    assert mean[kept] == max(mean) > min(mean)
    assert adjusted_rand_score(found.labels, every[kept]) == 1


def test_a_seed_decides_every_byte_and_touches_nothing_else():
    X, _ = draw()
    before, many = torch.get_rng_state(), torch.get_num_threads()
    one = fit(X, k=4)
    torch.manual_seed(7)
    torch.set_num_threads(1)
    other = fit(X, k=4)
    assert torch.get_num_threads() == 1
    torch.set_num_threads(many)
    again = deep.from_arrays({name: part.copy() for name, part in one.arrays().items()}, deep.Config(k=4))
    for name, part in one.arrays().items():
        assert part.tobytes() == other.arrays()[name].tobytes() == again.arrays()[name].tobytes(), name
    assert np.array_equal(again.assign(X).labels, one.labels)
    torch.set_rng_state(before)
    fit(X, k=4)
    assert torch.equal(torch.get_rng_state(), before)


def test_work_alone_has_one_thread_and_leaves_others_theirs():
    many = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert alone(torch.get_num_threads) == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(many)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.integers(1, 9), st.integers(-40, 40), st.integers(0, 10_000))
def test_a_layer_is_the_exact_product_of_its_rounded_rows_however_many_there_are(width, out, size, seed):
    rng = np.random.default_rng(seed)
    layer = Layer.of(rng.normal(size=(width, out)) * 2.0**-size, rng.normal(size=out))
    rows = rng.normal(size=(50, width)) * 2.0**size
    whole = through(rows, [layer])
    for row in (0, 17, 49):
        assert np.array_equal(through(rows[row : row + 1], [layer])[0], whole[row])
    bits = 53 - 20 - int(np.ceil(np.log2(width)))
    unit = Fraction(2) ** (int(np.frexp(np.abs(rows[0]).max())[1]) - bits)
    sums = sum(
        round(Fraction(float(x)) / unit) * unit * int(w) * Fraction(2) ** layer.exponent
        for x, w in zip(rows[0], layer.whole[:, 0], strict=True)
    )
    assert float(sums) + layer.offsets[0] == whole[0, 0]
    weights = layer.whole * 2.0**layer.exponent
    scale = np.abs(rows).sum(axis=1, keepdims=True) * np.abs(weights).max() + 1
    assert (np.abs(whole - (rows @ weights + layer.offsets)) / scale).max() < 2.0 ** -(bits - 2)


def test_targets_and_shares_are_those_of_the_papers():
    rng = np.random.default_rng(0)
    codes, centroids = rng.normal(size=(30, 3)), rng.normal(size=(4, 3))
    kernel = np.array([[1 / (1 + sum((z - m) ** 2) / 4) for m in centroids] for z in codes])
    q = kernel / kernel.sum(axis=1, keepdims=True)
    p = q**2 / q.sum(axis=0)
    p /= p.sum(axis=1, keepdims=True)
    shares = student(torch.tensor(codes)[None], torch.tensor(centroids)[None], torch.tensor([2.0]))
    np.testing.assert_allclose(shares[0], q, rtol=1e-12)
    np.testing.assert_allclose(sharpened(shares)[0], p, rtol=1e-12)
    wanted = np.mean(np.sum(p * np.log(p / q), axis=1))
    np.testing.assert_allclose(divergence(sharpened(shares), shares)[0], wanted, rtol=1e-12)


def test_it_starts_from_the_rows_it_is_given():
    """Of many segments one start alone misses some, which rows amid each of them don't."""
    X, truth = draw(groups=16, seed=1)
    start = np.stack([X[truth == segment].mean(axis=0) for segment in range(16)])
    rest = {"k": 16, "n_init": 1, "rounds": 0, "seeds": 4, "epochs": 60}
    given, drawn = (
        [adjusted_rand_score(truth, labels) for labels in fit(X, init=init, **rest).extras["fits"]]
        for init in (start, None)
    )
    assert np.mean(given) > 0.97
    assert min(given) > min(drawn) + 0.05


def test_a_start_may_be_short_and_is_checked():
    X, _ = draw(n=200)
    assert fit(X, init=X[:2], k=4, epochs=5).labels.max() == 3
    for bad, why in ((np.ones((2, 5)), "fit neither"), (np.full((2, 6), np.nan), "not finite"), (X[:5], "fit neither")):
        with pytest.raises(DataError, match=why):
            fit(X, init=bad, k=4)


def test_a_fit_that_explodes_is_refused_in_words():
    X, _ = draw()
    with pytest.raises(DataError, match=r"fit \d of 2 diverged.*lower learning_rate"):
        fit(X, k=4, learning_rate=10.0)


def test_only_a_sample_is_learned_from_and_all_get_a_label():
    X, truth = draw(n=900)
    found = fit(da.from_array(X, chunks=(250, 6)), k=4, sample=300, epochs=60)
    assert adjusted_rand_score(truth, found.labels) > 0.99
    assert np.array_equal(found.labels, found.assign(X).labels)


def test_distances_have_the_unit_of_the_space_that_they_are_told_in():
    X, _ = draw()
    one, ten = fit(X, k=4), fit(10 * X, k=4)
    np.testing.assert_allclose(np.median(ten.assign(10 * X).distance), 10 * np.median(one.assign(X).distance), rtol=0.2)
    for space, rows in (("euclidean", X), ("cosine", X / np.linalg.norm(X, axis=1, keepdims=True))):
        found = fit(X, k=4, space=space)
        spread = np.var(rows, axis=0, dtype=np.float64).sum()
        np.testing.assert_allclose(np.var(found.encode(X), axis=0).sum(), spread, rtol=1e-3)


def test_a_sample_is_never_smaller_than_the_segments_are_many():
    X, _ = draw(n=300)
    assert fit(X, k=150, sample=100, epochs=1, rounds=0).labels.max() > 100
