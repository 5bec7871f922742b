"""What every feature family promises, whichever it is: found by its file, tested without further edit."""

import json
import pickle
import subprocess
import sys
from datetime import datetime, timedelta
from types import ModuleType

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.artifacts import State
from schemas.errors import DataError, UsageError
from schemas.tables import DST, EDGES, EVENT, EVENTS, ITEM_ID, SRC, TEXTS, TIMESTAMP, USER_ID, Bucket
from tasks.numerics.history import population
from tasks.plugins.find import kinds, plugin
from tests.helpers.random_tables import AS_OF, random_bucket, slices

FAMILIES = kinds("features")
pytestmark = pytest.mark.parametrize("family", [plugin("features", kind) for kind in FAMILIES], ids=FAMILIES)


@pytest.fixture
def bucket() -> Bucket:
    return random_bucket(np.random.default_rng(7))


def fit(family: ModuleType, buckets: list[Bucket], as_of: datetime = AS_OF) -> State:
    config = family.Config()
    partials = [family.partial(bucket, config, as_of) for bucket in buckets]
    whole = partials[0]
    for part in partials[1:]:
        whole = family.merge(whole, part)
    return family.finish(whole, np.random.default_rng(3))


def assert_same_state(a: State, b: State) -> None:
    assert a.meta == b.meta
    assert sorted(a.arrays) == sorted(b.arrays)
    for name, array in a.arrays.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(b.arrays[name], array, rtol=1e-6, atol=1e-9, err_msg=name)
        else:
            np.testing.assert_array_equal(b.arrays[name], array, err_msg=name)


def groups(bucket: Bucket, parts: int) -> list[list[str]]:
    users = population(bucket).to_list()
    return [users[k::parts] for k in range(parts)]


def with_future(bucket: Bucket) -> dict[str, pl.DataFrame]:
    """The same bucket and much that happens after AS_OF: to known users and by new ones, with new events and items."""
    made = dict(bucket)
    for table in (EVENTS.name, TEXTS.name, EDGES.name):
        later = bucket[table].filter(pl.col(TIMESTAMP).is_not_null()).with_columns(
            pl.lit(AS_OF + timedelta(microseconds=1)).cast(pl.Datetime("us", "UTC")).alias(TIMESTAMP)
        )  # fmt: skip
        owners = (SRC, DST) if table == EDGES.name else (USER_ID,)
        strangers = later.with_columns((pl.lit("z") + pl.col(owner)).alias(owner) for owner in owners)
        if table == EVENTS.name:
            strangers = strangers.with_columns(pl.lit("refund").alias(EVENT), pl.lit("new item").alias(ITEM_ID))
        made[table] = pl.concat([bucket[table], later, strangers])
    made[EVENTS.name] = made[EVENTS.name].sort(USER_ID, TIMESTAMP, "sequence")
    return made


def test_declares_what_it_is(family: ModuleType) -> None:
    assert isinstance(family.REQUIRES, tuple)
    assert set(family.REQUIRES) <= {"events", "users", "items", "texts", "edges"}
    assert family.__doc__
    for name, field in family.Config.model_fields.items():
        assert name == "kind" or field.description, f"{name} has no description"


def test_answers_for_every_user_in_order(family: ModuleType, bucket: Bucket) -> None:
    state = fit(family, [bucket])
    frame = family.transform(bucket, state, family.Config(), AS_OF)
    assert frame[USER_ID].to_list() == population(bucket, AS_OF).to_list()
    assert frame.columns == [USER_ID, *state.meta["columns"]]
    assert len(set(frame.columns)) == len(frame.columns)
    for column in state.meta["columns"]:
        assert frame[column].dtype == pl.Float32
        assert frame[column].drop_nulls().is_finite().all(), column


def test_partial_and_state_survive_the_disk(family: ModuleType, bucket: Bucket) -> None:
    config = family.Config()
    part = pickle.loads(pickle.dumps(family.partial(bucket, config, AS_OF)))
    state = family.finish(part, np.random.default_rng(3))
    assert all(array.dtype.kind in "biuf" for array in state.arrays.values())
    stored = State({k: v.copy() for k, v in state.arrays.items()}, json.loads(json.dumps(state.meta, allow_nan=False)))
    assert_frame_equal(
        family.transform(bucket, stored, config, AS_OF),
        family.transform(bucket, state, config, AS_OF),
        check_exact=True,
    )


def test_fit_does_not_depend_on_buckets_or_their_order(family: ModuleType, bucket: Bucket) -> None:
    whole = fit(family, [bucket])
    parts = slices(bucket, groups(bucket, 3))
    assert_same_state(whole, fit(family, parts))
    assert_same_state(whole, fit(family, parts[::-1]))


def test_transform_does_not_depend_on_the_company(family: ModuleType, bucket: Bucket) -> None:
    state, config = fit(family, [bucket]), family.Config()
    whole = family.transform(bucket, state, config, AS_OF)
    alone = [[user] for user in population(bucket).to_list()]
    for split in (groups(bucket, 2), alone):
        parts = [family.transform(part, state, config, AS_OF) for part in slices(bucket, split)]
        assert_frame_equal(pl.concat(parts).sort(USER_ID), whole, check_exact=True)


def test_nothing_after_as_of_changes_anything(family: ModuleType, bucket: Bucket) -> None:
    later, config = with_future(bucket), family.Config()
    state, informed = fit(family, [bucket]), fit(family, [later])
    assert_same_state(state, informed)
    assert_frame_equal(
        family.transform(later, informed, config, AS_OF), family.transform(bucket, state, config, AS_OF),
        check_exact=True,
    )  # fmt: skip


def test_an_earlier_moment_sees_what_was_there(family: ModuleType, bucket: Bucket) -> None:
    earlier, config = AS_OF - timedelta(days=20), family.Config()
    cut = {
        name: frame.filter(pl.col(TIMESTAMP).is_null() | (pl.col(TIMESTAMP) <= earlier))
        if TIMESTAMP in frame.columns else frame
        for name, frame in bucket.items()
    }  # fmt: skip
    state, informed = fit(family, [cut], earlier), fit(family, [bucket], earlier)
    assert_same_state(state, informed)
    assert_frame_equal(
        family.transform(bucket, informed, config, earlier), family.transform(cut, state, config, earlier),
        check_exact=True,
    )  # fmt: skip


def test_an_empty_bucket_adds_nothing(family: ModuleType, bucket: Bucket) -> None:
    empty = {name: frame if name == "items" else frame.clear() for name, frame in bucket.items()}
    state = fit(family, [bucket])
    assert_same_state(state, fit(family, [empty, bucket]))
    frame = family.transform(empty, state, family.Config(), AS_OF)
    assert frame.columns == [USER_ID, *state.meta["columns"]]
    assert len(frame) == 0
    try:
        nothing = fit(family, [empty])
    except DataError:  # a family may refuse to learn from nothing, in words
        return
    assert len(family.transform(bucket, nothing, family.Config(), AS_OF)) == len(population(bucket, AS_OF))


def test_a_strangers_transform_needs_no_refit(family: ModuleType, bucket: Bucket) -> None:
    state = fit(family, [bucket])
    other = random_bucket(np.random.default_rng(8), prefix="w")
    frame = family.transform(other, state, family.Config(), AS_OF)
    assert len(frame) == len(population(other))
    assert all(frame[column].drop_nulls().is_finite().all() for column in state.meta["columns"])


def test_columns_can_be_limited(family: ModuleType, bucket: Bucket) -> None:
    columns = fit(family, [bucket]).meta["columns"]
    if not columns:
        pytest.skip("no columns with the default config")
    config = family.Config(columns=(columns[-1], columns[0]))
    state = family.finish(family.partial(bucket, config, AS_OF), np.random.default_rng(3))
    kept = [columns[0], columns[-1]] if len(columns) > 1 else columns
    assert state.meta["columns"] == kept
    assert family.transform(bucket, state, config, AS_OF).columns == [USER_ID, *kept]
    wrong = family.Config(columns=("no_such_column",))
    with pytest.raises(UsageError, match="no_such_column"):
        family.finish(family.partial(bucket, wrong, AS_OF), np.random.default_rng(3))


def test_importing_does_nothing(family: ModuleType) -> None:
    heavy = "{'polars','pandas','torch','sklearn','scipy','networkx','implicit','dask','prefect','mlflow'}"
    code = f"import sys, {family.__name__}; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
