"""A user's own columns: each lands under the name it was mapped onto, none is taken for another, none is lost."""

import json
import os
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from schemas.config import IngestConfig
from schemas.errors import DataError, UsageError
from schemas.tables import CATEGORIES, EVENT, ITEM_ID, REASON, SEQUENCE, TIMESTAMP, TITLE, USER_ID, VALUE
from tasks.cleaning.reasons import Reason
from tasks.ingestion.rows import Ingested, Look, ingest
from tasks.sources import _jsonl, tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = "user_id,item_id,timestamp\nu1,i1,2024-05-01\n"


def take(root: Path, **given) -> Ingested:
    (root / "e.csv").write_text(EVENTS)
    config = tables.Config(root=str(root), **{"events": {"path": "e.csv"}, **given})
    tables.look(config)
    return ingest(tables.read(config), IngestConfig(buckets=2), root / "out", Look("run", None, NOW))


def rows(root: Path, table: str) -> pl.DataFrame:
    frame = pl.read_parquet(root / f"out/{table}/*.parquet")
    return frame.sort(SEQUENCE if SEQUENCE in frame.columns else frame.columns[0])


def json_lines(path: Path, lines: list[dict]) -> None:
    path.write_text("\n".join(map(json.dumps, lines)))


def test_a_mapped_column_is_not_replaced_by_one_of_the_contracts_name(tmp_path):
    (tmp_path / "u.csv").write_text("id,user_id,age\nu1,other,3\n")
    (tmp_path / "i.csv").write_text("item_id,title,name\ni1,wrong,right\n")
    take(
        tmp_path,
        users={"path": "u.csv", "columns": {"user_id": "id"}}, items={"path": "i.csv", "columns": {"title": "name"}},
    )  # fmt: skip
    assert rows(tmp_path, "users").rows() == [("u1", "3")]
    assert rows(tmp_path, "items")[TITLE].to_list() == ["right"]


@pytest.mark.parametrize(
    ("head", "table", "error", "words"),
    [
        ("user_id,x", {"columns": {"user_id": "x", "b": "x"}}, UsageError, "'x' is mapped onto user_id and b"),
        ("id,user_id", {"columns": {"user_id": "id"}, "attributes": ["user_id"]}, DataError, "both 'user_id' and 'id'"),
        ("user_id,__row", {}, DataError, "'__row' is reserved"),
    ],
)
def test_names_that_would_collide_are_refused(tmp_path, head, table, error, words):
    (tmp_path / "u.csv").write_text(f"{head}\na,b\n")
    with pytest.raises(error, match=words):
        take(tmp_path, users={"path": "u.csv", **table})


def test_json_lines_bring_columns_late(tmp_path, monkeypatch):
    monkeypatch.setattr(_jsonl, "_LINES", 2)
    lines = [{USER_ID: f"u{n}", ITEM_ID: "i", TIMESTAMP: 1714557600 + n} for n in range(5)]
    json_lines(tmp_path / "e.jsonl", [*lines, {**lines[0], VALUE: 7}])
    take(tmp_path, events={"path": "e.jsonl"})
    assert rows(tmp_path, "events")[VALUE].to_list() == [None] * 5 + [7.0]
    people = [*({USER_ID: f"u{n}"} for n in range(5)), {USER_ID: "u5", "age": 30}]
    json_lines(tmp_path / "u.jsonl", people)
    with pytest.raises(DataError, match="column age is not in all files of the table, or not from their first rows"):
        take(tmp_path, users={"path": "u.jsonl"})
    take(tmp_path, users={"path": "u.jsonl", "attributes": ["age"], "numeric": ["age"]})
    assert rows(tmp_path, "users")["age"].to_list() == [None] * 5 + [30.0]
    with pytest.raises(DataError, match="column age is a number here but text in earlier files or rows"):
        take(tmp_path, users={"path": "u.jsonl", "attributes": ["age"]})
    with pytest.raises(DataError, match="no column 'town', which attributes names"):
        take(tmp_path, users={"path": "u.jsonl", "attributes": ["age", "town"], "numeric": ["age"]})


def test_a_late_column_that_has_a_default_is_not_mixed_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(_jsonl, "_LINES", 2)
    lines = [{USER_ID: f"u{n}", ITEM_ID: "i", TIMESTAMP: 1714557600 + n} for n in range(3)]
    json_lines(tmp_path / "e.jsonl", [*lines, {**lines[0], EVENT: "buy"}])
    with pytest.raises(DataError, match="no row before row 3 has 'event'"):
        take(tmp_path, events={"path": "e.jsonl"})
    done = take(tmp_path, events={"path": "e.jsonl", "columns": {EVENT: EVENT}})
    account = done.tables["events"].accounting
    assert (account.read, account.accepted, account.quarantined) == (4, 1, 3)


def test_a_column_of_two_types_is_refused_rather_than_rewritten(tmp_path):
    parquet.write_table(pa.table({USER_ID: ["a"], "zip": ["01234"]}), tmp_path / "u1.parquet")
    parquet.write_table(pa.table({USER_ID: ["b"], "zip": [1234]}), tmp_path / "u2.parquet")
    with pytest.raises(DataError, match=r"u2\.parquet: column zip is a number here but text in earlier files"):
        take(tmp_path, users={"path": "u*.parquet"})


def test_lists_and_records_of_attributes_stay(tmp_path):
    people = {
        USER_ID: ["a", "b"],
        "tags": [["x", "y"], None],
        "home": [{"town": "B"}, None],
        "born": [date(2000, 1, 2)] * 2,
        "stay": pa.array([90, None], pa.duration("s")),
    }
    parquet.write_table(pa.table(people), tmp_path / "u.parquet")
    take(tmp_path, users={"path": "u.parquet"})
    assert rows(tmp_path, "users").rows() == [
        ("a", ["x", "y"], '{"town": "B"}', "2000-01-02", 90.0), ("b", None, None, "2000-01-02", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "kept", "reason"),
    [
        (pa.array([[1, 2], None]), [["1", "2"], None], None),
        (pa.array([["x", "y"], ["", "z"]], pa.list_(pa.string(), 2)), [["x", "y"], ["z"]], None),
        (pa.array([[b"\xff"], [b"ok"]]), [["ok"]], Reason.NOT_UTF8),
        (pa.array([[["x", "y"], None, ["x"]], None]), [["x", "y"], None], None),
        (pa.array([[[["x"]]], None]), [None], Reason.NOT_LIST),
        (pa.array([[{"x": 1}], None]), [None], Reason.NOT_LIST),
    ],
)
def test_categories_are_lists_of_texts(tmp_path, said, kept, reason):
    parquet.write_table(pa.table({ITEM_ID: ["a", "b"], CATEGORIES: said}), tmp_path / "i.parquet")
    done = take(tmp_path, items={"path": "i.parquet"})
    assert rows(tmp_path, "items")[CATEGORIES].to_list() == kept
    assert done.quarantine[REASON].to_list() == ([] if reason is None else [reason])


@pytest.mark.parametrize(
    "kind", [pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"), pa.date32(), pa.timestamp("ms", "Asia/Tokyo")]
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_times_at_the_ends_of_their_type_go_aside(tmp_path, kind, zone):
    end = 2**31 - 1 if kind == pa.date32() else 2**63 - 1
    good = pa.array([datetime(2024, 5, 1)]).cast(kind if kind == pa.date32() else pa.timestamp(kind.unit)).cast(kind)
    times = pa.concat_arrays([pa.array([end, -end], kind), good])
    parquet.write_table(pa.table({USER_ID: ["a"] * 3, ITEM_ID: ["i"] * 3, TIMESTAMP: times}), tmp_path / "e.parquet")
    done = take(tmp_path, events={"path": "e.parquet", "time_zone": zone})
    assert done.tables["events"].accounting.accepted == 1
    assert done.quarantine[REASON].to_list() == [Reason.FUTURE, Reason.TOO_OLD]


def test_decimal_ids_are_whole_numbers(tmp_path):
    ids = pa.array([Decimal("90071992547409931.00"), Decimal("2.50"), Decimal("7.00")], pa.decimal128(20, 2))
    parquet.write_table(
        pa.table({USER_ID: ids, ITEM_ID: ["i"] * 3, TIMESTAMP: [1714557600] * 3}), tmp_path / "e.parquet"
    )
    done = take(tmp_path, events={"path": "e.parquet"})
    assert rows(tmp_path, "events")[USER_ID].to_list() == ["90071992547409931", "7"]
    assert done.quarantine[REASON].to_list() == [Reason.FRACTION_ID]


def test_lines_may_end_as_on_an_old_mac(tmp_path):
    (tmp_path / "u.csv").write_bytes(b"user_id,age\ra,1\rb,2\r")
    take(tmp_path, users={"path": "u.csv"})
    assert rows(tmp_path, "users").rows() == [("a", "1"), ("b", "2")]


def test_what_is_no_readable_file_is_refused_in_words(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="is no ordinary file"):
        take(tmp_path, users={"path": "pipe.csv"})
    with zipfile.ZipFile(tmp_path / "u.csv.zip", "w") as archive:
        archive.writestr("u.csv", EVENTS)
    packed = bytearray((tmp_path / "u.csv.zip").read_bytes())
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "u.csv.zip").write_bytes(packed)
    with pytest.raises(DataError, match="is encrypted"):
        take(tmp_path, users={"path": "u.csv.zip"})


@pytest.mark.parametrize(
    ("table", "files", "words"),
    [
        ({"path": "/etc/passwd", "format": "csv"}, {}, "leaves the source's root"),
        ({"path": "file:///etc/passwd", "format": "csv"}, {}, "leaves the source's root"),
        ({"path": "local:///etc/passwd", "format": "csv"}, {}, "local files are named by paths below"),
        ({"path": "simplecache::file:///etc/passwd", "format": "csv"}, {}, "local files are named by paths below"),
        ({"path": "u\0.csv"}, {}, "cannot be a path"),
        ({"path": "u" * 5000}, {}, "cannot be a path"),
        ({"path": "**.csv"}, {}, "cannot be a path"),
        ({"path": "u.csv"}, {"u.csv": b"\0" * 99}, "u.csv is no text"),
        ({"path": "u.jsonl"}, {"u.jsonl": b"user_id\na\n"}, "none of its first 2 lines is a JSON object"),
        ({"path": "u.jsonl", "encoding": "klingon"}, {"u.jsonl": b"{}"}, "there is no encoding 'klingon'"),
        ({"path": "u.jsonl", "encoding": "utf-16"}, {"u.jsonl": b"{}"}, "JSON Lines cannot be read as utf-16"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path, table, files, words):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises((DataError, UsageError), match=words) as caught:
        take(tmp_path, users=table)
    assert "\n" not in str(caught.value)


ODD_QUOTES = {
    "a last cell": 'u1,a\nu2,"b\n' + "u3,c\n" * 30,
    "another cell": 'u1,a\n"u2,b\n' + "u3,c\n" * 30,
    "truncated": 'u1,a\nu2,"first line\nsecond li',
}


@pytest.mark.parametrize("case", ODD_QUOTES)
def test_a_quote_that_swallows_the_rest_of_a_file_is_refused(tmp_path, case):
    (tmp_path / "u.csv").write_text("user_id,name\n" + ODD_QUOTES[case])
    with pytest.raises(DataError, match="a quote is opened and never closed"):
        take(tmp_path, users={"path": "u.csv"})


def test_quotes_that_close_or_mean_nothing_are_fine(tmp_path):
    (tmp_path / "u.csv").write_text('user_id,name\nx,"torn\nrow",y\na,27" wide\nb,"two\nlines"\nc,"said ""so"""\n')
    take(tmp_path, users={"path": "u.csv"})
    assert rows(tmp_path, "users")["name"].to_list() == ['27" wide', "two\nlines", 'said "so"']
    (tmp_path / "u.csv").write_text('"id\tname\na\t"Weird\nb\t"Al" Y\n')
    take(tmp_path, users={"path": "u.csv", "delimiter": "\t", "quote": "", "columns": {USER_ID: '"id'}})
    assert rows(tmp_path, "users")["name"].to_list() == ['"Weird', '"Al" Y']


def test_an_id_that_runs_over_lines_goes_aside(tmp_path):
    (tmp_path / "e.tsv").write_text('user_id,item_id,timestamp\nu,"i\nj",1714557600\nu,k,1714557600\n')
    done = take(tmp_path, events={"path": "e.tsv"})
    assert done.quarantine[REASON].to_list() == [Reason.LINES]


@pytest.mark.parametrize("delimiter", ['"', "\n", "¦", ""])
def test_what_cannot_part_columns_is_no_delimiter(delimiter):
    with pytest.raises(ValueError, match="delimiter"):
        tables.Config(events={"path": "e.csv", "delimiter": delimiter})
    assert tables.Config(events={"path": "e.csv", "delimiter": "\x01"}).events is not None


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
def test_times_are_counted_in_every_unit(tmp_path, unit, kind):
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    times = pa.array([1_719_828_000 * factor, 2**63 - 1]).cast(kind)
    parquet.write_table(pa.table({USER_ID: ["a"] * 2, ITEM_ID: ["i"] * 2, TIMESTAMP: times}), tmp_path / "e.parquet")
    take(tmp_path, events={"path": "e.parquet", "time_format": unit})
    assert rows(tmp_path, "events")[TIMESTAMP].to_list() == [datetime(2024, 7, 1, 10, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        ({"missing": {"events.vlaue": {}}}, "no column events.vlaue"),
        ({"outliers": {"events.vlaue": {"action": "clip"}}}, "no column events.vlaue"),
        ({"outliers": {"events.item_id": {"action": "quarantine"}}}, "events.item_id holds no numbers"),
    ],
)
def test_policies_are_about_columns_that_are_there(tmp_path, policies, words):
    (tmp_path / "e.csv").write_text(EVENTS)
    config = tables.Config(root=str(tmp_path), events={"path": "e.csv"})
    with pytest.raises(UsageError, match=words):
        ingest(tables.read(config), IngestConfig(**policies), tmp_path / "out", Look("run", None, NOW))
