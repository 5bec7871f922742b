"""Features over buckets: what is kept is used again, what changed is made again, and a full run agrees exactly."""

import threading
from collections import Counter
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.config import RepresentConfig, TextsConfig
from schemas.execution import ExecutionConfig
from schemas.runs import Embedded
from schemas.tables import EVENTS, HAS_TEXT, TEXTS, TIMESTAMP, USER_ID, VECTOR
from tasks.disk.artifacts import load_state
from tasks.disk.codec import classes_of, decode, encode
from tasks.plugins.find import kinds, plugin
from tasks.texts import pooling
from tasks.vectors.features import distinct_texts, fit_family, fit_representation, fit_text_weights, fit_texts
from tasks.vectors.slices import cut
from tests.helpers.landed_tables import BUCKETS, a_run, buckets, files, frames, written
from tests.helpers.random_tables import AS_OF

FAMILIES = kinds("features")
HERE = ExecutionConfig(workers=2)


@pytest.fixture
def calls(monkeypatch):
    """How often each family's partial and transform ran, by name."""
    made, lock = Counter(), threading.Lock()

    def counted(function, name):
        def call(*args, **kwargs):
            with lock:
                made[name] += 1
            return function(*args, **kwargs)

        return call

    for noun in (*(plugin("features", kind) for kind in FAMILIES), pooling):
        for name in ("partial", "transform", "mean_partial"):
            if hasattr(noun, name):
                monkeypatch.setattr(noun, name, counted(getattr(noun, name), name))
    return made


def touched(parts, bucket=3):
    """The same tables, with one more day for the users of one bucket: one in ten."""
    events = parts[bucket][EVENTS.name]
    more = events.group_by(USER_ID, maintain_order=True).first().select(events.columns)
    more = more.with_columns(pl.lit(AS_OF).cast(events[TIMESTAMP].dtype).alias(TIMESTAMP))
    grown = pl.concat([events, more]).sort(USER_ID, TIMESTAMP, "sequence")
    return [{**part, EVENTS.name: grown} if k == bucket else part for k, part in enumerate(parts)]


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("high", [1.0, 0.7])
def test_only_touched_buckets_are_counted_anew_and_the_result_is_that_of_a_full_run(kind, high, tmp_path, calls):
    config, parts = plugin("features", kind).Config(), buckets()
    run = a_run(tmp_path / "home")
    before = fit_family(cut(written(tmp_path / "a", parts), high, run, HERE), config, run, HERE)
    assert calls == {"partial": BUCKETS, "transform": BUCKETS}
    calls.clear()
    tables = cut(written(tmp_path / "b", touched(parts)), high, run, HERE)
    fitted = fit_family(tables, config, run, HERE)
    changed = load_state(before.state).meta != load_state(fitted.state).meta or files(before.state) != files(
        fitted.state
    )
    if kind == "social" and high < 1:  # a later cut of one end lets in ties that stand in other buckets
        assert calls["partial"] >= 1
    else:
        assert calls == {"partial": 1, "transform": BUCKETS if changed else 1}
        assert changed or kind not in ("behaviour", "collaborative")
        assert not changed or kind not in ("attributes", "social")
    full = fit_family(tables, config, a_run(tmp_path / "fresh"), HERE)
    assert files(full.state) == files(fitted.state)
    assert files(full.output) == files(fitted.output)
    assert full.output.fingerprint == fitted.output.fingerprint
    assert frames(fitted.output)[3].equals(frames(full.output)[3])
    if changed:
        assert files(before.output) != files(fitted.output)


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_same_data_landed_elsewhere_makes_nothing(kind, tmp_path, calls):
    config = plugin("features", kind).Config()
    first = fit_family(written(tmp_path / "a", buckets()), config, a_run(tmp_path / "home"), HERE)
    calls.clear()
    again = fit_family(written(tmp_path / "b", buckets()), config, a_run(tmp_path / "home", run_id="s"), HERE)
    assert again == first
    assert calls == {}


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_later_as_of_transforms_again_and_counts_again_only_what_ages(kind, tmp_path, calls):
    family, tables = plugin("features", kind), written(tmp_path / "t", buckets())
    first = fit_family(tables, family.Config(), a_run(tmp_path / "home"), HERE)
    calls.clear()
    later = a_run(tmp_path / "home", as_of=AS_OF + timedelta(days=10))
    second = fit_family(tables, family.Config(), later, HERE)
    ages = kind == "social"  # whether a user is active is counted back from as_of
    assert calls == {"transform": BUCKETS, **({"partial": BUCKETS} if ages else {})}
    assert (second.state == first.state) == (not ages)
    full = fit_family(tables, family.Config(), later.model_copy(update={"home": str(tmp_path / "fresh")}), HERE)
    assert files(full.state) == files(second.state)
    assert files(full.output) == files(second.output)


def test_decay_makes_the_matrix_age(tmp_path, calls):
    config, tables = plugin("features", "collaborative").Config(half_life_days=5.0), written(tmp_path / "t", buckets())
    for days in (0, 3):
        fit_family(tables, config, a_run(tmp_path / "home", as_of=AS_OF + timedelta(days=days)), HERE)
    assert calls["partial"] == 2 * BUCKETS


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("high", [1.0, 0.7])
def test_nothing_after_as_of_leaks_into_states_or_features(kind, high, tmp_path):
    config, parts = plugin("features", kind).Config(), buckets()
    future = [{**part, **{name: later(part[name]) for name in (EVENTS.name, TEXTS.name)}} for part in parts]
    ours, theirs = a_run(tmp_path / "x"), a_run(tmp_path / "y")
    known = fit_family(cut(written(tmp_path / "a", parts), high, ours, HERE), config, ours, HERE)
    leaky = fit_family(cut(written(tmp_path / "b", future), high, theirs, HERE), config, theirs, HERE)
    assert files(leaky.state) == files(known.state)
    for ours, theirs in zip(frames(known.output), frames(leaky.output), strict=True):
        assert_frame_equal(ours, theirs)


def later(frame):
    """The frame, and all of it once more a day after AS_OF."""
    stamp = pl.lit(AS_OF + timedelta(days=1)).cast(frame[TIMESTAMP].dtype).alias(TIMESTAMP)
    order = [name for name in (USER_ID, TIMESTAMP, "sequence") if name in frame.columns]
    return pl.concat([frame, frame.with_columns(stamp)]).sort(order, maintain_order=True)


@pytest.mark.parametrize("kind", FAMILIES)
def test_statistics_come_back_from_disk_as_they_were(kind):
    family, (first, second, *_) = plugin("features", kind), buckets()
    config = family.Config()
    partials = [family.partial(part, config, AS_OF) for part in (first, second)]
    again = [decode(encode(one), classes_of(family)) for one in partials]
    for one, back in zip(partials, again, strict=True):
        assert repr(back) == repr(one)
    rng = np.random.default_rng
    ours, theirs = family.finish(family.merge(*partials), rng(0)), family.finish(family.merge(*again), rng(0))
    assert ours.meta == theirs.meta
    assert {k: v.tobytes() for k, v in ours.arrays.items()} == {k: v.tobytes() for k, v in theirs.arrays.items()}


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_family_that_says_it_is_clockless_counts_the_same_at_any_later_moment(kind):
    family, part = plugin("features", kind), buckets()[0]
    config = family.Config()
    if not (hasattr(family, "clockless") and family.clockless(config)):
        pytest.skip("does not say so")
    moments = (AS_OF + timedelta(days=days) for days in (0, 400))
    now, then = (family.finish(family.partial(part, config, m), np.random.default_rng(0)) for m in moments)
    assert now.meta == then.meta
    assert {k: v.tobytes() for k, v in now.arrays.items()} == {k: v.tobytes() for k, v in then.arrays.items()}


def lookup(texts):
    """Vectors of 3 numbers that depend on the text."""
    return np.array([[len(t), sum(map(ord, t)) % 97, 1.0] for t in texts], np.float32).reshape(-1, 3)


@pytest.mark.parametrize("fallback", ["mean", "zero"])
def test_texts_are_pooled_incrementally_and_users_without_any_get_the_fallback(fallback, tmp_path, calls):
    config, parts = TextsConfig(fallback=fallback, half_life_days=20.0), buckets()
    args = (config, lookup, "e" * 8)
    tables = written(tmp_path / "a", parts)
    first = fit_texts(tables, *args, a_run(tmp_path / "home"), HERE)
    calls.clear()
    assert fit_texts(tables, *args, a_run(tmp_path / "home"), HERE) == first
    assert calls == {}
    tables = written(tmp_path / "b", touched(parts))
    second = fit_texts(tables, *args, a_run(tmp_path / "home"), HERE)
    assert calls["partial"] == 1
    full = fit_texts(tables, *args, a_run(tmp_path / "fresh"), HERE)
    assert files(full.state) == files(second.state)
    assert files(full.output) == files(second.output)
    frame = pl.concat(frames(second.output))
    vectors = np.array(frame[VECTOR].to_list())
    has = frame[HAS_TEXT].to_numpy()
    assert has.any()
    assert not has.all()
    expected = vectors[has].mean(axis=0) if fallback == "mean" else np.zeros(3)
    np.testing.assert_allclose(vectors[~has], np.broadcast_to(expected, (int((~has).sum()), 3)), rtol=1e-5)


@pytest.mark.parametrize("high", [1.0, 0.5])
def test_every_text_that_pooling_asks_for_was_announced(high, tmp_path):
    config, run, asked = TextsConfig(max_texts_per_user=2), a_run(tmp_path / "home"), set()
    tables = cut(written(tmp_path / "t", buckets()), high, run, HERE)

    def heard(texts):
        asked.update(texts)
        return lookup(texts)

    weights = fit_text_weights(tables, config, run, HERE)
    fit_texts(tables, config, heard, "e", run, HERE)
    assert asked == set(distinct_texts(tables, config, weights, run, HERE))


def test_vectors_are_made_again_only_where_the_basis_or_a_block_changed(tmp_path, monkeypatch):
    tables, run = written(tmp_path / "t", buckets()), a_run(tmp_path / "home")
    made = {kind: fit_family(tables, plugin("features", kind).Config(), run, HERE) for kind in FAMILIES}
    fitted = fit_texts(tables, TextsConfig(), lookup, "e", run, HERE)
    texts = Embedded(config={}, fitted=fitted, encoder={"dimension": 3}, hits=0, misses=0)
    first = fit_representation(made, texts, RepresentConfig(dimension=8), ({}, {}), run, HERE)
    assert {len(v) for v in pl.concat(frames(first.output))[VECTOR]} == {8}
    assert sum(load_state(first.state).meta["facts"]["variance_shares"].values()) == pytest.approx(1.0)
    monkeypatch.setattr("tasks.representation.fit", None)  # who fits again, fails
    again = fit_representation(
        made, texts, RepresentConfig(dimension=8), ({}, {}), run.model_copy(update={"run_id": "s"}), HERE
    )
    assert again == first


def test_progress_rises_to_the_end(tmp_path):
    heard = []
    told = lambda done, of: heard.append(done / of)  # noqa: E731
    args = written(tmp_path / "t", buckets()), plugin("features", "behaviour").Config(), a_run(tmp_path / "home")
    fit_family(*args, HERE, told)
    assert heard == sorted(heard)
    assert len(heard) == 2 * BUCKETS
    assert heard[-1] == 1.0
