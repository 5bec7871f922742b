"""From blocks to vectors: oracles, the balance of blocks, row independence, and data that is not as it should be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from schemas.artifacts import State
from schemas.config import MissingPolicy, OutlierPolicy, RepresentConfig
from schemas.errors import DataError
from tasks.representation import fit, from_state
from tasks.representation import vectors as vectors_module
from tasks.representation.reduction import principal_axes, project

PLAIN = RepresentConfig(unit_norm=False, skew=1e9, clip=1e9, variance_share=1.0)


def buckets(*blocks):
    return lambda: iter(blocks)


def names(width, prefix="c"):
    return tuple(f"{prefix}{j}" for j in range(width))


def wild_blocks(n=2_000, seed=0):
    rng = np.random.default_rng(seed)
    behaviour = np.exp(rng.normal(size=(n, 40)) * rng.uniform(0.1, 2, 40)).astype(np.float32)
    behaviour[rng.random((n, 40)) < 0.1] = np.nan
    text = rng.normal(size=(n, 96)).astype(np.float32)
    text[::7] = np.nan
    return {"behaviour": behaviour, "text": text}, {"behaviour": names(40), "text": names(96)}


def test_pca_equals_sklearn_on_one_isometric_block():
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(500, 12)) @ rng.normal(size=(12, 12))).astype(np.float32)
    config = PLAIN.model_copy(update={"dimension": 5})
    fitted = fit(buckets({"text": x[:200]}, {"text": x[200:]}), {"text": names(12)}, config, rng)
    ours = fitted.transform({"text": x})
    oracle = PCA(5, svd_solver="full").fit_transform(x.astype(np.float64))
    oracle /= np.sqrt(x.astype(np.float64).var(axis=0).sum())  # the block brings a total variance of 1
    assert np.allclose(np.abs(ours), np.abs(oracle), atol=2e-5)
    kept = oracle.var(axis=0).sum()
    assert fitted.facts["variance_kept"] == pytest.approx(kept, rel=1e-5)


def test_scaling_equals_the_formula_written_out():
    x = np.random.default_rng(2).normal(5, 3, (301, 4)).astype(np.float32)
    config = PLAIN.model_copy(update={"reducer": "none"})
    ours = fit(buckets({"a": x}), {"a": names(4)}, config, np.random.default_rng(0)).transform({"a": x})
    wide = x.astype(np.float64)
    median = np.median(wide, axis=0)
    scaled = (wide - median) / (1.4826 * np.median(np.abs(wide - median), axis=0))
    expected = (scaled - scaled.mean(axis=0)) / np.sqrt(scaled.var(axis=0).sum())
    assert np.allclose(ours, expected, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    weights=st.lists(st.floats(0.01, 10), min_size=3, max_size=3),
    widths=st.lists(st.integers(1, 30), min_size=3, max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_blocks_get_the_share_their_weight_says_whatever_their_width(weights, widths, seed):
    rng = np.random.default_rng(seed)
    blocks = {n: rng.lognormal(sigma=s, size=(80, w)) for n, w, s in zip("abc", widths, (0.1, 1, 2), strict=True)}
    columns = {n: names(w) for n, w in zip("abc", widths, strict=True)}
    config = RepresentConfig(reducer="none", unit_norm=False, weights=dict(zip("abc", weights, strict=True)))
    fitted = fit(buckets(blocks), columns, config, rng)
    variances = fitted.transform(blocks).astype(np.float64).var(axis=0)
    measured = [part.sum() for part in np.split(variances, np.cumsum(widths)[:-1])]
    assert np.allclose(measured, np.array(weights) / sum(weights), rtol=1e-4)
    assert np.allclose(list(fitted.variance_shares.values()), measured, rtol=1e-4)


def test_variance_shares_are_those_of_the_delivered_vectors():
    blocks, columns = wild_blocks(1_500)
    fitted = fit(buckets(blocks), columns, PLAIN.model_copy(update={"dimension": 7}), np.random.default_rng(0))
    whole = fitted.transform(blocks).astype(np.float64)
    shares = {}
    for name in columns:  # covariance of each block's own contribution with the whole vector
        part = fitted.transform({name: blocks[name]}).astype(np.float64)
        rest = fitted.transform({name: np.full_like(blocks[name], np.nan)}).astype(np.float64)
        part = part - rest
        centred = (part - part.mean(axis=0)) * (whole - whole.mean(axis=0))
        shares[name] = centred.mean(axis=0).sum() / whole.var(axis=0).sum()
    assert fitted.variance_shares == pytest.approx(shares, abs=1e-4)
    assert sum(fitted.variance_shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("reducer", ["pca", "random_projection", "none"])
@pytest.mark.parametrize("unit_norm", [True, False])
def test_one_row_equals_the_batch_bit_for_bit(reducer, unit_norm):
    blocks, columns = wild_blocks()
    config = RepresentConfig(reducer=reducer, unit_norm=unit_norm, dimension=32)
    fitted = fit(buckets(blocks), columns, config, np.random.default_rng(0))
    batch = fitted.transform(blocks)
    alone = np.concatenate([fitted.transform({k: v[i : i + 1] for k, v in blocks.items()}) for i in range(2_000)])
    assert batch.dtype == np.float32
    assert np.array_equal(alone.view(np.uint32), batch.view(np.uint32))
    shuffled = np.random.default_rng(1).permutation(2_000)[:777]
    assert np.array_equal(fitted.transform({k: v[shuffled] for k, v in blocks.items()}), batch[shuffled])


def test_projection_is_exact_before_rounding_too():
    rng = np.random.default_rng(3)
    x, r = rng.normal(size=(1_500, 200)), rng.normal(size=(200, 32))
    batch = project(x, r)
    assert np.allclose(batch, x @ r, atol=1e-10)
    assert all(np.array_equal(project(x[i : i + 1], r)[0], batch[i]) for i in range(0, 1_500, 50))


def test_state_round_trip_gives_the_same_bits_on_new_data():
    blocks, columns = wild_blocks()
    fitted = fit(buckets(blocks), columns, RepresentConfig(), np.random.default_rng(0))
    state = fitted.state()
    copied = State({k: v.copy() for k, v in state.arrays.items()}, state.meta)
    again = from_state(copied, RepresentConfig(dimension=3, unit_norm=False))  # a frozen basis stays as fitted
    fresh, _ = wild_blocks(300, seed=9)
    assert np.array_equal(again.transform(fresh), fitted.transform(fresh))
    assert again.variance_shares == fitted.variance_shares
    assert all(array.dtype.kind in "biuf" for array in state.arrays.values())


def test_buckets_change_nothing_but_rounding():
    blocks, columns = wild_blocks()
    parts = [{k: v[i::3] for k, v in blocks.items()} for i in range(3)]
    one = fit(buckets(blocks), columns, RepresentConfig(), np.random.default_rng(0)).transform(blocks)
    three = fit(buckets(*parts), columns, RepresentConfig(), np.random.default_rng(5)).transform(blocks)
    assert np.allclose(one, three, atol=1e-5)


def test_a_small_sample_still_sees_every_user_in_the_covariance(monkeypatch):
    monkeypatch.setattr(vectors_module, "SAMPLE_VALUES", 1)
    rng = np.random.default_rng(4)
    x = rng.normal(size=(6_000, 3)).astype(np.float32)
    stream = buckets(*({"a": part} for part in np.split(x, 6)))
    config = RepresentConfig(reducer="none", unit_norm=False)
    fitted = fit(stream, {"a": names(3)}, config, np.random.default_rng(0))
    assert fitted.facts["sampled_users"] == 1_000
    assert fitted.facts["users"] == 6_000
    assert fitted.transform({"a": x}).astype(np.float64).var(axis=0).sum() == pytest.approx(1, abs=1e-4)
    assert np.allclose(fitted.scaling.center, np.median(x, axis=0), atol=0.15)


def test_constant_and_all_missing_columns_say_nothing():
    rng = np.random.default_rng(5)
    x = np.stack([rng.normal(size=300), np.full(300, 7.3), np.full(300, np.nan)], axis=1).astype(np.float32)
    blocks = {"a": x, "dead": np.full((300, 2), np.nan, np.float32), "text": np.full((300, 2), 0.1, np.float32)}
    columns = {"a": names(3), "dead": names(2), "text": names(2)}
    fitted = fit(buckets(blocks), columns, RepresentConfig(), rng)
    out = fitted.transform(blocks)
    assert out.shape == (300, 1)
    assert np.isfinite(out).all()
    assert fitted.variance_shares == {"a": 1.0, "dead": 0.0, "text": 0.0}


def test_only_constants_give_finite_zeros():
    blocks = {"a": np.ones((20, 3), np.float32)}
    out = fit(buckets(blocks), {"a": names(3)}, RepresentConfig(), np.random.default_rng(0)).transform(blocks)
    assert np.array_equal(out, np.zeros((20, 1)))


def test_missing_is_filled_as_declared():
    x = np.array([[1], [1], [2], [9], [np.nan]], np.float32)
    config = PLAIN.model_copy(update={"reducer": "none"})
    for fill, expected in (("median", 1.5), ("mean", 3.25), ("mode", 1.0), ("constant", 42.0)):
        policy = {"a.c0": MissingPolicy(fill=fill, constant=42.0)}
        fitted = fit(buckets({"a": x}), {"a": ("c0",)}, config, np.random.default_rng(0), policy)
        assert fitted.scaling.fill[0] == expected
        assert fitted.transform({"a": x})[-1] == fitted.transform({"a": np.array([[expected]], np.float32)})[0]
        assert fitted.transform({})[:0].shape == (0, 1)


def test_interpolation_reads_a_gap_off_the_column_that_goes_with_it():
    rng = np.random.default_rng(11)
    guide = rng.uniform(0, 10, 2_000)
    x = np.stack([rng.normal(size=2_000), 100 - guide**2, guide], axis=1).astype(np.float32)
    gaps = rng.random(2_000) < 0.3
    x[gaps, 1] = np.nan
    x[:5, 2] = np.nan  # some users have neither
    policy = {"a.c1": MissingPolicy(fill="interpolate")}
    config = PLAIN.model_copy(update={"reducer": "none"})
    fitted = fit(buckets({"a": x}), {"a": names(3)}, config, np.random.default_rng(0), policy)
    scaling = fitted.scaling
    assert scaling.guide.tolist() == [0, 1, 0]
    filled = scaling.apply(x)[:, 1] / scaling.gain[1] + scaling.center[1]
    inner = gaps & (guide > 0.6) & (guide < 9.4) & np.isfinite(x[:, 2])  # flat beyond the outer knots
    assert np.abs(filled - (100 - guide**2))[inner].max() < 2.5
    neither = gaps & ~np.isfinite(x[:, 2])
    assert np.allclose(filled[neither], scaling.fill[1])
    batch = fitted.transform({"a": x})
    assert all(np.array_equal(fitted.transform({"a": x[i : i + 1]})[0], batch[i]) for i in range(0, 2_000, 9))
    assert np.array_equal(from_state(fitted.state()).transform({"a": x}), batch)


def test_interpolation_without_a_guide_is_the_median():
    x = np.array([[1.0], [np.nan], [3.0], [5.0]])
    policy = {"c0": MissingPolicy(fill="interpolate")}
    fitted = fit(buckets({"a": x}), {"a": ("c0",)}, PLAIN, np.random.default_rng(0), policy)
    assert fitted.scaling.guide[0] == 0
    assert fitted.scaling.fill[0] == 3


def test_outliers_are_clipped_at_their_quantiles_and_one_wild_row_moves_little():
    x = np.random.default_rng(6).normal(size=(1_000, 2)).astype(np.float32)
    x[0] = 3e38
    policy = {"c0": OutlierPolicy(action="clip", quantile=0.01)}
    config = RepresentConfig(reducer="none", unit_norm=False)
    fitted = fit(buckets({"a": x}), {"a": names(2)}, config, np.random.default_rng(0), None, policy)
    assert fitted.scaling.upper[0] == pytest.approx(np.quantile(x[:, 0].astype(np.float64), 0.99))
    out = fitted.transform({"a": x})
    assert np.isfinite(out).all()
    assert np.abs(out[0]).max() <= 8 * np.abs(out[1:]).max()
    assert out[0, 1] == pytest.approx(8 / np.sqrt(2), rel=0.1)  # 8 robust deviations; two columns share the variance


def test_skewed_counts_are_logged_and_negative_columns_are_not():
    rng = np.random.default_rng(7)
    skewed = rng.lognormal(sigma=2, size=500)
    x = np.stack([skewed, skewed - 10, rng.normal(50, 1, 500)], axis=1).astype(np.float32)
    fitted = fit(buckets({"a": x, "text": x[:, :1]}), {"a": names(3), "text": ("t",)}, RepresentConfig(), rng)
    assert fitted.scaling.logged.tolist() == [1, 0, 0, 0]


def test_unit_norm_gives_length_one_or_zero():
    blocks, columns = wild_blocks(200)
    out = fit(buckets(blocks), columns, RepresentConfig(), np.random.default_rng(0)).transform(blocks)
    assert np.allclose(np.linalg.norm(out, axis=1), 1, atol=1e-6)


def test_weight_zero_silences_a_block():
    blocks, columns = wild_blocks(200)
    config = RepresentConfig(weights={"text": 0})
    fitted = fit(buckets(blocks), columns, config, np.random.default_rng(0))
    silent = {**blocks, "text": np.zeros_like(blocks["text"])}
    assert np.array_equal(fitted.transform(blocks), fitted.transform(silent))
    assert fitted.variance_shares["text"] == 0


def test_axes_keep_their_signs_and_their_share():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(200, 6)) * [5, 3, 1, 0.1, 0.01, 0]
    covariance = np.cov(x.T, bias=True)
    axes = principal_axes(covariance, None, 0.99)
    assert axes.shape[1] == 3  # 25 + 9 + 1 of 35.01
    assert np.array_equal(axes, principal_axes(covariance, 3, 1.0))
    assert (axes[np.abs(axes).argmax(axis=0), range(3)] > 0).all()


def test_misaligned_blocks_are_refused_with_expected_and_actual():
    blocks, columns = wild_blocks(50)
    fitted = fit(buckets(blocks), columns, RepresentConfig(), np.random.default_rng(0))
    with pytest.raises(DataError, match=r"text is \(50, 3\), expected \(50, 96\)"):
        fitted.transform({**blocks, "text": np.zeros((50, 3))})
    with pytest.raises(DataError, match=r"different numbers of users: \[49, 50\]"):
        fitted.transform({**blocks, "text": blocks["text"][1:]})
    with pytest.raises(DataError, match="no user"):
        fit(buckets(), columns, RepresentConfig(), np.random.default_rng(0))
    with pytest.raises(DataError, match="no feature columns"):
        fit(buckets(), {}, RepresentConfig(), np.random.default_rng(0))
