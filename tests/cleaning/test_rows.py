"""Whatever table comes in: in = accepted + quarantined + deduplicated, and what is accepted keeps the contract."""

import math
import tempfile
import unicodedata
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.batches import PROBLEM, ROW, Reading
from schemas.config import IngestConfig, MissingPolicy
from schemas.errors import DataError
from schemas.tables import (
    EDGES,
    EVENTS,
    INPUTS,
    ITEM_ID,
    ITEMS,
    LOCATOR,
    SEQUENCE,
    TEXTS,
    TIMESTAMP,
    USER_ID,
    USERS,
    VALUE,
)  # fmt: skip
from tasks.cleaning.duplicates import deduplicate
from tasks.cleaning.outliers import outlying, spread
from tasks.cleaning.rows import clean
from tasks.ingestion.rows import Look, ingest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = IngestConfig(buckets=2, max_text_bytes=50)

ids = st.one_of(
    st.none(),
    st.sampled_from(["", " ", "a", "b", "é", "e\u0301", "x\0", "1.5E+9", "用户", "9" * 1100]),
    st.text(max_size=5),
)
wild_ids = st.one_of(
    st.lists(ids, min_size=1, max_size=8),
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=8),
    st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=8),
    st.lists(st.one_of(st.none(), st.binary(max_size=5)), min_size=1, max_size=8),
)
times = st.one_of(
    st.lists(st.one_of(st.none(), st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))), min_size=8, max_size=8),
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=8, max_size=8),
    st.lists(st.one_of(st.none(), st.floats()), min_size=8, max_size=8),
    st.lists(
        st.one_of(
            st.none(), st.text(max_size=12), st.datetimes().map(str), st.integers(0, 2 * 10**9).map(str),
            st.sampled_from(["2024-01-01", "9999-12-31T23:59:59Z", "2024-01-01 05:00+0530", "20240101"]),
        ),
        min_size=8, max_size=8,
    ),
)  # fmt: skip
numbers = st.one_of(
    st.lists(st.one_of(st.none(), st.floats(), st.sampled_from([1.0, 2.0, 1e308, 4e38])), min_size=8, max_size=8),
    st.lists(st.one_of(st.none(), st.text(max_size=4), st.floats().map(str)), min_size=8, max_size=8),
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=8, max_size=8),
)


@st.composite
def raw_tables(draw):
    """A table's name and a small raw batch of it, columns of any type."""
    name = draw(st.sampled_from(["events", "users", "items", "texts", "edges"]))
    first = draw(wild_ids)
    n = len(first)
    columns = {INPUTS[name].names[0]: first}
    for column in INPUTS[name].columns[1:]:
        if (column.nullable or column.name == SEQUENCE) and draw(st.booleans()):
            continue
        kind = {"timestamp": times, "float64": numbers, "int64": numbers}.get(
            column.dtype, st.lists(ids, min_size=8, max_size=8)
        )
        columns[column.name] = draw(kind)[:n]
    if INPUTS[name].open and draw(st.booleans()):
        columns["extra"] = draw(numbers)[:n]
    twice = draw(st.booleans())
    frame = pl.DataFrame([pl.Series(key, values, strict=False) for key, values in columns.items()])
    return name, pl.concat([frame, frame.head(2)]) if twice else frame


def accepts_contract(frame: pl.DataFrame, name: str) -> None:
    table = INPUTS[name]
    for column, dtype in table.polars_schema().items():
        assert frame.schema[column] == dtype
    for column in table.columns:
        assert column.nullable or frame[column.name].null_count() == 0
        if column.dtype == "float64":
            assert all(math.isfinite(v) and abs(v) < 3.5e38 for v in frame[column.name].drop_nulls())
        if column.name in (USER_ID, ITEM_ID):
            assert all(v and "\0" not in v and unicodedata.is_normalized("NFC", v) for v in frame[column.name])
        if column.dtype == "timestamp":
            assert all(datetime(1990, 1, 1, tzinfo=UTC) <= v <= NOW for v in frame[column.name].drop_nulls())


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(raw_tables())
def test_every_row_is_accepted_or_set_aside(case):
    name, batch = case
    done = clean(batch, INPUTS[name], CONFIG, None, NOW, Reading("f", 11))
    assert len(done.accepted) + len(done.set_aside) == len(batch)
    assert len(done.rows) == len(done.accepted)
    told = [int(where.removeprefix("f:")) for where in done.set_aside[LOCATOR]]
    assert sorted(told + done.rows.to_list()) == list(range(11, 11 + len(batch)))
    accepts_contract(done.accepted, name)


def cut(frame: pl.DataFrame, batches: int) -> list[pa.RecordBatch]:
    """The frame as Arrow batches that say where they stand."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    size = max(1, -(-len(frame) // batches))
    return [
        Reading("f", 1 + start).mark(table.slice(start, size).combine_chunks().to_batches()[0])
        for start in range(0, len(frame), size)
    ]


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(raw_tables(), min_size=4, max_size=4, unique_by=lambda case: case[0]),
    st.sampled_from(["keep", "drop"]),
    st.sampled_from([1, 1, 1, 2]),
)
def test_the_books_balance_for_any_tables(cases, repeats, batches):
    """260 runs of four tables each: more than 1,000 generated tables."""
    config = CONFIG.model_copy(update={"repeats": repeats, "buckets": batches})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            done = ingest(
                {name: iter(cut(frame, batches)) for name, frame in cases}, config, folder, Look("r", None, NOW)
            )
        except DataError as error:
            assert "no rows in" in str(error)  # noqa: PT017
            return
        written = {name: pl.read_parquet(folder / name / "bucket-*.parquet") for name, _ in cases}
    for name, frame in cases:
        account = done.tables[name].accounting
        assert account.balanced
        assert account.read == len(frame)
        assert account.accepted == len(written[name])
        assert account.quarantined == len(done.quarantine.filter(table=name))
        accepts_contract(written[name], name)
        if INPUTS[name].key:
            assert written[name].select(INPUTS[name].key).is_duplicated().sum() == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([1.0, 2.0, None])), max_size=12))
def test_deduplicate_against_plain_python(rows):
    frame = pl.DataFrame(rows, schema={USER_ID: pl.String, "age": pl.Float64}, orient="row")
    kept, dropped, conflicts = deduplicate(frame, USERS)
    distinct = list(dict.fromkeys(rows))
    first = {row[0]: row for row in reversed(distinct)}
    assert dropped == len(rows) - len(distinct)
    assert Counter(kept.rows()) == Counter(first.values())
    assert len(conflicts) == len(distinct) - len(first)


def test_repeats_differ_by_more_than_their_sequence():
    frame = pl.DataFrame({USER_ID: ["u"] * 3, VALUE: [1.0, 1.0, 2.0], SEQUENCE: [1, 2, 3]})
    assert deduplicate(frame, EVENTS).dropped == 0
    done = deduplicate(frame, EVENTS, "drop")
    assert done.kept[SEQUENCE].to_list() == [1, 3]
    assert done.dropped == 1


def test_as_of_sets_later_rows_aside():
    batch = pl.DataFrame(
        {USER_ID: ["u", "u"], "timestamp": [NOW - timedelta(2), NOW - timedelta(1)], "text": ["a", "b"]}
    )
    done = clean(batch, TEXTS, CONFIG, NOW - timedelta(days=1.5), NOW)
    assert done.accepted["text"].to_list() == ["a"]
    assert "after the moment" in done.set_aside["reason"][0]


def test_missing_policy_and_required_column():
    batch = pl.DataFrame({ITEM_ID: ["i", "j"], "price": [None, 2.0]})
    config = IngestConfig(missing={"items.price": MissingPolicy(action="quarantine")})
    assert clean(batch, ITEMS, config, None, NOW).accepted[ITEM_ID].to_list() == ["j"]
    with pytest.raises(DataError, match=r"texts\.text"):
        clean(pl.DataFrame({USER_ID: ["u"], TIMESTAMP: [1]}), TEXTS, CONFIG, None, NOW)


def test_defaults_and_weights_of_edges():
    batch = pl.DataFrame({"src": ["a", "a"], "dst": ["b", "c"]})
    assert clean(batch, EDGES, CONFIG, None, NOW).accepted["weight"].to_list() == [1.0, 1.0]
    weighed = batch.with_columns(weight=pl.Series([0.0, 2.0]))
    assert clean(weighed, EDGES, CONFIG, None, NOW).accepted["dst"].to_list() == ["c"]


def test_rows_that_the_source_could_not_read():
    batch = pl.DataFrame({USER_ID: ["a", None], ROW: [4, 9], PROBLEM: [None, "cut off"]})
    done = clean(batch, USERS, CONFIG, None, NOW, Reading("f"))
    assert done.set_aside.rows() == [("f:9", "", "cut off")]
    assert done.rows.to_list() == [4]


def test_outliers_by_hand():
    values = np.array([1.0, 2.0, 3.0, 4.0, 100.0, np.nan])
    assert spread(values) == (3.0, pytest.approx(1.4826))
    assert outlying(pl.Series([3.0, 20.0, None]), (3.0, 1.4826), 8).to_list() == [False, True, False]
    assert not outlying(pl.Series([5.0, 9.0]), spread(np.full(9, 5.0)), 8).any()
