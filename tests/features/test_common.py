"""The helpers that every family stands on."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import DataError, UsageError
from tasks.features._common import FamilyConfig, answer, chosen, require
from tasks.numerics.history import microseconds, population, until
from tasks.numerics.keys import locate, pack_strings, unpack_strings
from tests.helpers.random_tables import AS_OF

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def stamped(users: list[str], moments: list[datetime | None]) -> pl.DataFrame:
    schema = {"user_id": pl.String, "timestamp": pl.Datetime("us", "UTC")}
    return pl.DataFrame({"user_id": users, "timestamp": moments}, schema=schema)


@given(st.lists(TEXT, max_size=9))
def test_strings_survive_packing(values: list[str]) -> None:
    arrays = pack_strings(values, "names")
    assert all(array.dtype.kind in "iu" for array in arrays.values())
    assert unpack_strings(arrays, "names").to_list() == values


@given(st.lists(TEXT, unique=True, max_size=9), st.lists(TEXT, max_size=9))
def test_locate_finds_what_is_there(haystack: list[str], needles: list[str]) -> None:
    found = locate(pl.Series(haystack, dtype=pl.String), pl.Series(needles, dtype=pl.String))
    assert found.tolist() == [haystack.index(n) if n in haystack else -1 for n in needles]


def test_moment_is_exact_to_the_microsecond_in_any_zone() -> None:
    assert microseconds(datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)) == 1
    assert microseconds(datetime(1970, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))) == 0
    assert microseconds(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == 253_402_300_799_999_999
    with pytest.raises(UsageError, match="time zone"):
        microseconds(datetime(2026, 1, 1))


def test_until_keeps_the_moment_itself_and_rows_without_one() -> None:
    frame = stamped(["a", "b", "c"], [AS_OF, AS_OF + timedelta(microseconds=1), None])
    assert until(frame, AS_OF)["user_id"].to_list() == ["a", "c"]
    nanoseconds = frame.with_columns(pl.col("timestamp").cast(pl.Datetime("ns", "UTC")))
    assert until(nanoseconds, AS_OF)["user_id"].to_list() == ["a", "c"]


def test_population_is_everyone_known_by_then() -> None:
    late = AS_OF + timedelta(days=1)
    bucket = {
        "events": stamped(["b", "b", "d"], [AS_OF, late, late]),
        "texts": stamped(["a", "e"], [AS_OF, late]),
        "users": pl.DataFrame({"user_id": ["c", "b"]}),
        "edges": pl.DataFrame({"src": ["z"], "dst": ["y"]}),
    }
    assert population(bucket).to_list() == ["a", "b", "c", "d", "e"]
    assert population(bucket, AS_OF).to_list() == ["a", "b", "c"]
    assert population({}).to_list() == []


def test_answer_tells_unknown_by_null_alone() -> None:
    users, known = pl.Series(["a", "b", "c", "d"]), pl.Series(["b", "d"])
    values = {"x": np.array([1, 2]), "y": np.array([np.nan, np.inf]), "z": np.array([1e300, -0.5]), "w": np.zeros(2)}
    frame = answer(users, known, values, ["z", "x", "y"])
    assert frame.columns == ["user_id", "z", "x", "y"]
    assert frame.schema["z"] == pl.Float32
    assert frame.rows() == [
        ("a", None, None, None),
        ("b", None, 1, None),
        ("c", None, None, None),
        ("d", -0.5, 2, None),
    ]


def test_says_what_is_wrong_with_a_config_or_bucket() -> None:
    assert chosen(["a", "b", "c"], FamilyConfig(columns=("c", "a")), "f") == ["a", "c"]
    assert chosen(["a"], FamilyConfig(), "f") == ["a"]
    with pytest.raises(UsageError, match=r"features\.f\.columns: no column x"):
        chosen(["a"], FamilyConfig(columns=("x",)), "f")
    with pytest.raises(DataError, match=r"features\.f needs the table users"):
        require({}, ("users",), "f")
