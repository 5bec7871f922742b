"""What ingest takes, and what it makes of it, is what a request may hold, and what becomes of it: one rule."""

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from schemas.config import IngestConfig
from schemas.errors import DataError
from tasks.ingestion.rows import Look, ingest
from tasks.models.catalogue import read, write
from tasks.serving.requests import asked, bucket_of
from tasks.sources import tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = {"user_id": "a", "item_id": "i", "event": "view", "timestamp": "2024-05-01T10:00:00Z", "value": 3.5}
IDS = ("用户", "e\u0301", "\u00e9", " ", "", "x\0", "x" * 1024, "x" * 1025, "a\nb", " a ", "A", "1.5E+9", "inf",
       "\ud800", 7, 7.0, 2.5, 2**60, 1e400, float("1e30"), True, {"a": 1}, ["a"], None)  # fmt: skip
TIMES = ("1677-01-01T00:00:00Z", "1969-12-31", "2024-05-01", "soon", "", "2024-05-01 05:00+05:30", "20240501", 20240501,
         1714557600, 1714557600.25, 1e308, True, None, [1])  # fmt: skip
VALUES = (1e308, 1e400, 3, "3.5", "3,5", "abc", None, True, [1.0])
CASES = [(column, value) for column in ("user_id", "item_id", "event") for value in IDS]
CASES += [("timestamp", value) for value in TIMES] + [("value", value) for value in VALUES]


def ingested(folder: Path, row: dict) -> list[dict]:
    """What ingest makes of a row of a file of JSON Lines, beside one that is fine."""
    (folder / "e.jsonl").write_text("\n".join(json.dumps(one) for one in (row, {**GOOD, "user_id": "other"})))
    config = tables.Config(root=str(folder), events={"path": "e.jsonl"})
    done = ingest(tables.read(config), IngestConfig(buckets=1), folder / "out", Look("run", None, NOW))
    frame = pl.read_parquet(folder / "out/events/*.parquet").filter(pl.col("user_id") != "other")
    assert len(frame) + len(done.quarantine) == 1
    return frame.drop("sequence").to_dicts()


def sent(row: dict) -> list[dict]:
    """What a request makes of it, beside one that is fine; nothing where it is refused."""
    users = [{"user_id": one["user_id"], "events": [one]} for one in (row, {**GOOD, "user_id": "other"})]
    try:
        bucket = bucket_of(asked(users), None)
    except DataError:
        return []
    return bucket["events"].filter(pl.col("user_id") != "other").drop("sequence").to_dicts()


@pytest.mark.parametrize(("column", "value"), CASES, ids=repr)
def test_a_row_is_the_same_row_at_ingest_and_online(tmp_path, column, value):
    row = {**GOOD, column: value}
    assert sent(row) == ingested(tmp_path, row)


def test_a_number_is_one_id_whatever_stands_beside_it(tmp_path):
    (tmp_path / "e.jsonl").write_text("\n".join(json.dumps({**GOOD, "user_id": u}) for u in (7.0, "b", 1e400, 1e30)))
    config = tables.Config(root=str(tmp_path), events={"path": "e.jsonl"})
    done = ingest(tables.read(config), IngestConfig(buckets=1), tmp_path / "out", Look("run", None, NOW))
    assert sorted(pl.read_parquet(tmp_path / "out/events/*.parquet")["user_id"]) == ["7", "b"]
    assert len(done.quarantine) == 2


@pytest.mark.parametrize("text", ["x" * 100_001, " \n ", "nul\0", "fine"])
def test_texts_too(text):
    rows = [{"text": text, "timestamp": 1e9, "kind": "post"}]
    if text == "fine":
        assert bucket_of(asked([{"user_id": "a", "texts": rows}]), None)["texts"].height == 1
        return
    with pytest.raises(DataError, match=r"request: texts\.text: "):
        bucket_of(asked([{"user_id": "a", "texts": rows}]), None)


PEOPLE = pl.DataFrame(schema={"user_id": pl.String, "age": pl.Float64, "town": pl.String, "tags": pl.List(pl.String)})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("age", "30", 30.0), ("age", None, None), ("age", float("nan"), None), ("town", 5, "5"),
        ("town", "Orle\u0301ans", "Orl\u00e9ans"), ("tags", ["a", ""], ["a"]), ("tags", "a", ["a"]),
    ],
)  # fmt: skip
def test_attributes_are_read_as_ingest_reads_them(name, value, expected):
    bucket = bucket_of(asked([{"user_id": "a", "attributes": {name: value}}]), None, PEOPLE)
    assert bucket["users"].schema == PEOPLE.schema
    assert bucket["users"][name].to_list() == [expected]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("age", "old", "age: not a number"), ("age", 1e308, "age: beyond the range"), ("age", 1e400, "age: NaN or inf"),
        ("town", "x" * 100_001, "town: text longer"), ("tags", ["x" * 1025], "tags: an element of the list is longer"),
        ("tags", ["x"] * 1001, "tags: a list of more than 1,000"), ("tags", "x" * 10**7, "tags: an element"),
    ],
)  # fmt: skip
def test_attributes_are_refused_as_ingest_sets_them_aside(name, value, words):
    with pytest.raises(DataError, match=rf"request: attributes\.{words}"):
        bucket_of(asked([{"user_id": "a", "attributes": {name: value}}]), None, PEOPLE)


def test_the_rules_of_the_training_are_those_of_its_requests(tmp_path):
    rules = IngestConfig(earliest_year=1600, max_text_bytes=3, missing={"events.value": {"action": "quarantine"}})
    old = {**GOOD, "timestamp": "1677-01-01"}
    assert bucket_of(asked([{"user_id": "a", "events": [old]}]), None, None, rules)["events"].height == 1
    text = {"text": "long", "timestamp": 1e9, "kind": "post"}
    for user in ({"texts": [text]}, {"events": [{**GOOD, "value": None}]}):
        with pytest.raises(DataError):
            bucket_of(asked([{"user_id": "a", **user}]), None, None, rules)
    write(tmp_path, {}, None, None, rules)
    assert read(tmp_path).ingest == rules
    (tmp_path / "ingest.json").unlink()
    assert read(tmp_path).ingest == IngestConfig()
