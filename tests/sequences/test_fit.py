"""Encoders of behaviour over buckets: what is cut off changes nothing, what is known stays, and training goes on."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from schemas.execution import ExecutionConfig
from schemas.tables import EVENTS, ITEM_ID, ITEMS, TIMESTAMP, USER_ID
from tasks.behaviour_encoders import transformer
from tasks.disk.artifacts import load_state
from tasks.plugins.find import plugin
from tasks.sequences import fit as learning
from tasks.sequences.encoder import Reader, unknown
from tasks.sequences.fit import fit_behaviour
from tasks.sequences.vocabulary import Known
from tests.helpers.landed_tables import a_run, buckets, files, frames, written
from tests.helpers.random_tables import AS_OF

HERE = ExecutionConfig(workers=2)
CONFIG = plugin("behaviour_encoders", "gru").Config(dimension=8, epochs=2, batch_size=16, negatives=8, max_length=6)


@pytest.fixture(scope="module")
def parts():
    return buckets(n=3)


@pytest.fixture(scope="module")
def made(parts, tmp_path_factory):
    """A fit, its tables and its run."""
    folder = tmp_path_factory.mktemp("fit")
    tables, run = written(folder / "tables", parts), a_run(folder / "home")
    return fit_behaviour(tables, CONFIG, None, run, HERE), tables, run


def test_every_user_has_a_row_and_what_reads_the_state_again_has_the_same_bits(made, parts):
    fitted, _, run = made
    reader = Reader(load_state(fitted.state), CONFIG, None)
    for frame, bucket in zip(frames(fitted.output), parts, strict=True):
        assert frame.equals(reader.read(bucket, run.as_of))
        one = frame[USER_ID][0]
        alone = {name: t.filter(pl.col(USER_ID) == one) if USER_ID in t.columns else t for name, t in bucket.items()}
        assert reader.read(alone, run.as_of).equals(frame.filter(pl.col(USER_ID) == one))


def test_what_comes_after_the_moment_changes_no_byte(made, parts, tmp_path):
    later = [
        {
            **part,
            EVENTS.name: pl.concat(
                [part[EVENTS.name], part[EVENTS.name].with_columns(pl.col(TIMESTAMP) + timedelta(days=900))]
            ).sort(USER_ID, TIMESTAMP),
        }
        for part in parts
    ]
    fitted, _, _ = made
    again = fit_behaviour(written(tmp_path / "t", later), CONFIG, None, a_run(tmp_path / "home"), HERE)
    assert files(again.state) == files(fitted.state)
    assert files(again.output) == files(fitted.output)


def test_a_rerun_trains_nothing_and_leaves_nothing_of_the_training(made, monkeypatch):
    fitted, tables, run = made
    monkeypatch.setattr(learning, "_learned", None)
    assert fit_behaviour(tables, CONFIG, None, run, HERE) == fitted
    assert not list(Path(run.home).glob("artifacts/training/*/[0-9]*"))


def test_a_training_that_was_killed_goes_on_from_its_last_epoch(made, parts, tmp_path, monkeypatch):
    fitted, tables, _ = made
    run, real, saved = a_run(tmp_path / "home"), learning.Resumed.save, []

    def killed(self, arrays):
        real(self, arrays)
        saved.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(learning.Resumed, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        fit_behaviour(tables, CONFIG, None, run, HERE)
    monkeypatch.setattr(learning.Resumed, "save", lambda self, arrays: (saved.append(self), real(self, arrays))[1])
    assert files(fit_behaviour(tables, CONFIG, None, run, HERE).state) == files(fitted.state)
    assert len(saved) == CONFIG.epochs  # one before the kill, the others after it


def test_codes_stay_and_new_ones_come_after_them(made, parts, tmp_path):
    fitted, _, run = made
    before = load_state(fitted.state)
    fresh = [{**part, EVENTS.name: _with_new_item(part[EVENTS.name])} for part in parts]
    tables, later = written(tmp_path / "t", fresh), a_run(tmp_path / "home", as_of=AS_OF + timedelta(days=1))
    grown = load_state(fit_behaviour(tables, CONFIG, None, later, HERE, (before, run.as_of)).state)
    old, new = Known.of(before).items.to_list(), Known.of(grown).items.to_list()
    assert new == [*old, "00-new"]
    again = load_state(fit_behaviour(tables, CONFIG, None, later, HERE, (grown, later.as_of)).state)
    assert {name: a.tobytes() for name, a in again.arrays.items()} == {n: a.tobytes() for n, a in grown.arrays.items()}
    cold = CONFIG.model_copy(update={"warm": False})
    alone = load_state(fit_behaviour(tables, cold, None, later, HERE, (before, run.as_of)).state)
    assert Known.of(alone).items.to_list() == sorted(new)


def _with_new_item(events):
    """One more event of each bucket's first user, on an item that nobody had, after everything else."""
    more = events.head(1).with_columns(
        pl.lit("00-new").alias(ITEM_ID), pl.lit(AS_OF).cast(events[TIMESTAMP].dtype).alias(TIMESTAMP)
    )
    return pl.concat([events, more.select(events.columns)]).sort(USER_ID, TIMESTAMP)


def test_an_item_that_came_later_is_read_by_its_row_in_the_catalogue(made, parts):
    fitted, _, run = made
    bucket, reader = dict(parts[0]), Reader(load_state(fitted.state), CONFIG, None)
    bucket[EVENTS.name] = _with_new_item(bucket[EVENTS.name])
    row = bucket[ITEMS.name].filter(pl.col("categories").list.len() > 0).head(1)
    bucket[ITEMS.name] = pl.concat([bucket[ITEMS.name], row.with_columns(pl.lit("00-new").alias(ITEM_ID))])
    told = reader.read(bucket, run.as_of)
    blind = reader.read({name: t for name, t in bucket.items() if name != ITEMS.name}, run.as_of)
    changed = [a != b for a, b in zip(told.rows(), blind.rows(), strict=True)]
    assert sum(changed) == 1
    strange, events = unknown(bucket, load_state(fitted.state), run.as_of)["items"]
    assert (strange, events) == (1.0, float(len(bucket[EVENTS.name])))


def test_a_trained_encoder_tells_order_where_a_random_one_does_not():
    from schemas.interactions import Items
    from schemas.sequences import Sequences

    rng, n, length = np.random.default_rng(0), 240, 16
    up = rng.random(n) < 0.5
    begin = rng.integers(0, 12, n)
    steps = np.where(up, 1, -1)[:, None] * np.arange(length)
    items = (begin[:, None] + steps) % 12
    whole = Sequences(
        np.arange(n + 1) * length, items.ravel(), np.zeros(n * length, int), np.tile(np.arange(length * 1.0), n)
    )
    things = Items(np.array([str(i) for i in range(12)]))
    config = transformer.Config(dimension=16, epochs=30, batch_size=32, negatives=12, learning_rate=0.01, dropout=0.0)
    trained = transformer.fit([whole], things, config, rng, "cpu")
    nothing = plugin("behaviour_encoders", "random")
    control = nothing.fit([whole], things, nothing.Config(dimension=16), np.random.default_rng(0), "cpu")

    def right(encoder):
        scores = encoder.encode(whole).astype(float) @ encoder.arrays()["table"].T
        return float((scores.argmax(1) == (items[:, -1] + steps[:, 1]) % 12).mean())

    assert right(trained) > 0.95 > 0.5 > right(control)
