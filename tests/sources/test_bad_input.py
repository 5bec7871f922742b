"""Bad input of every kind: a clear error in one line, or the row set aside with its place and reason."""

import gzip
import json
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from schemas.config import IngestConfig
from schemas.errors import DataError, UsageError
from schemas.tables import COLUMN, EVENTS, ITEM_ID, LOCATOR, REASON, SEQUENCE, TIMESTAMP, USER_ID, VALUE
from tasks.cleaning.reasons import Reason
from tasks.ingestion.rows import Ingested, Look, ingest
from tasks.sources import tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = "user_id,item_id,event,timestamp,value\nu1,i1,buy,2024-05-01T10:00:00Z,3.5\nu2,i2,view,2024-05-02,\n"


def take(root: Path, table: dict, **rest) -> Ingested:
    ingest_fields = {name: rest.pop(name) for name in list(rest) if name in IngestConfig.model_fields}
    config = tables.Config(root=str(root), events=table, **rest)
    return ingest(tables.read(config), IngestConfig(buckets=2, **ingest_fields), root / "out", Look("run", None, NOW))


def csv(root: Path, text: str | bytes, **table) -> Ingested:
    (root / "e.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return take(root, {"path": "e.csv", **table})


def events(done: Ingested, root: Path) -> pl.DataFrame:
    assert done.tables["events"].accounting.balanced
    return pl.read_parquet(root / "out/events/bucket-*.parquet").sort(SEQUENCE)


def aside(done: Ingested) -> list[tuple[str, str, str]]:
    assert done.tables["events"].accounting.balanced
    return done.quarantine.select(LOCATOR, COLUMN, REASON).rows()


def test_good_file_is_taken_whole(tmp_path):
    done = csv(tmp_path, GOOD)
    frame = events(done, tmp_path)
    assert frame.schema == EVENTS.polars_schema()
    assert frame[USER_ID].to_list() == ["u1", "u2"]
    assert frame[VALUE].to_list() == [3.5, None]
    assert frame[SEQUENCE].to_list() == [1, 2]
    assert aside(done) == []
    assert done.as_of == datetime(2024, 5, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "table", "words"),
    [
        (GOOD.replace(",", ";"), {}, "separated by ';'"),
        (GOOD.replace(",", "\t"), {}, "separated by"),
        ("", {}, "is empty"),
        ("u1,i1,buy,2024-05-01,1\nu2,i2,buy,2024-05-02,2\n", {}, "no column 'user_id'"),
        (GOOD.replace("user_id", "USER_ID"), {}, "did you mean 'USER_ID'"),
        (GOOD.replace("user_id", "UserId"), {}, "did you mean 'UserId'"),
        (GOOD.replace("value", "user_id"), {}, "more than once"),
        (GOOD, {"columns": {"value": "price"}}, "no column 'price'"),
        (GOOD.encode("utf-16"), {}, "UTF-16"),
        (b"user_id,item_id,timestamp\n" + "用户,商品,2024-01-01\n".encode("gb18030") * 9, {}, "is not utf-8"),
        ("用户,item_id,timestamp\nu,i,2024-01-01\n".encode("gb18030"), {}, "header is not utf-8"),
        (GOOD.splitlines()[0] + "\n", {}, "no rows in events"),
        ("user_id,item_id,timestamp\nu,i,yesterday\n", {}, "all 1 were set aside"),
    ],
)  # fmt: skip
def test_unusable_csv_is_refused_in_one_line(tmp_path, text, table, words):
    with pytest.raises(DataError, match=re.escape(words)) as caught:
        csv(tmp_path, text, **table)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_unknown_column_and_encoding_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="no column 'user'"):
        csv(tmp_path, GOOD, columns={"user": "user_id"})
    with pytest.raises(UsageError, match="no encoding 'klingon'"):
        csv(tmp_path, GOOD, encoding="klingon")


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        ("u,i,buy,2024-01-01,NaN", VALUE, Reason.NOT_FINITE),
        ("u,i,buy,2024-01-01,inf", VALUE, Reason.NOT_FINITE),
        ("u,i,buy,2024-01-01,-Infinity", VALUE, Reason.NOT_FINITE),
        ("u,i,buy,2024-01-01,1e308", VALUE, Reason.OVERFLOW),
        ("u,i,buy,2024-01-01,-3.5e38", VALUE, Reason.OVERFLOW),
        ("u,i,buy,2024-01-01,dear", VALUE, Reason.NOT_NUMBER),
        ("u,i,buy,9999-12-31,1", TIMESTAMP, Reason.FUTURE),
        ("u,i,buy,2030-01-01,1", TIMESTAMP, Reason.FUTURE),
        ("u,i,buy,-86400,1", TIMESTAMP, Reason.TOO_OLD),
        ("u,i,buy,1989-12-31T23:59:59Z,1", TIMESTAMP, Reason.TOO_OLD),
        ("u,i,buy,99999999999999999999,1", TIMESTAMP, Reason.NOT_TIME),
        ("u,i,buy,20240101,1", TIMESTAMP, Reason.AMBIGUOUS_TIME),
        ("u,i,buy,2024-02-30,1", TIMESTAMP, Reason.NOT_TIME),
        ("u,i,buy,1704108789000,1", TIMESTAMP, Reason.MILLISECONDS),
        ("u,i,buy,1704108789000000,1", TIMESTAMP, Reason.MICROSECONDS),
        ("u,i,buy,1704108789000000000,1", TIMESTAMP, Reason.NANOSECONDS),
        ("u,i,buy,45292.4813,1", TIMESTAMP, Reason.SERIAL_DATE),
        ("u,i,buy,364,1", TIMESTAMP, Reason.RELATIVE_TIME),
        ("u,i,buy,0000-00-00 00:00:00,1", TIMESTAMP, Reason.NOT_TIME),
        ("u,i,buy,,1", TIMESTAMP, Reason.EMPTY),
        ("nan,i,buy,2024-01-01,1", USER_ID, Reason.NO_ID),
        ("NULL,i,buy,2024-01-01,1", USER_ID, Reason.NO_ID),
        ("\\N,i,buy,2024-01-01,1", USER_ID, Reason.NO_ID),
        ("u,-,buy,2024-01-01,1", ITEM_ID, Reason.NO_ID),
        ('u,i,buy,2024-01-01,"9,99"', VALUE, Reason.COMMA),
        (",i,buy,2024-01-01,1", USER_ID, Reason.EMPTY),
        ("  ,i,buy,2024-01-01,1", USER_ID, Reason.EMPTY),
        ("1.23457E+17,i,buy,2024-01-01,1", USER_ID, Reason.EXPONENT_ID),
        ("u\0x,i,buy,2024-01-01,1", USER_ID, Reason.NUL),
        ("u,%s,buy,2024-01-01,1" % ("i" * 1025), ITEM_ID, Reason.LONG_ID),
        (b"u\xed\xa0\x80,i,buy,2024-01-01,1", USER_ID, Reason.NOT_UTF8),
        (b"u\xff,i,buy,2024-01-01,1", USER_ID, Reason.NOT_UTF8),
        ("u,i,buy", "", "3 cells where the header has 5"),
        ("u,i,buy,2024-01-01,1,2", "", "6 cells where the header has 5"),
    ],
)
def test_bad_row_goes_aside_and_its_neighbours_stay(tmp_path, row, column, reason):
    raw = row if isinstance(row, bytes) else row.encode()
    done = csv(tmp_path, GOOD.encode() + raw + b"\nu3,i3,buy,2024-05-03,7\n")
    assert aside(done) == [("e.csv:3", column, str(reason))]
    frame = events(done, tmp_path)
    assert frame[USER_ID].to_list() == ["u1", "u2", "u3"]
    assert done.quarantine[REASON].str.contains("2024").sum() == 0


def test_row_numbers_stay_right_after_several_broken_rows(tmp_path):
    lines = ["a", "u,i,buy,2024-01-01,1", "b,c", 'u,i,"x', 'y",bad,1', "u,i,buy,bad,1", "", "u,i,buy,2024-01-01,x"]
    done = csv(tmp_path, "user_id,item_id,event,timestamp,value\n" + "\n".join(lines) + "\n")
    assert [where for where, _, _ in sorted(aside(done))] == ["e.csv:1", "e.csv:3", "e.csv:4", "e.csv:5", "e.csv:6"]
    assert events(done, tmp_path)[SEQUENCE].len() == 1


@pytest.mark.parametrize(
    "user", ["用户", "مستخدم", "\u200fשלום", "👩‍👩‍👧", "O'Brien; DROP", "007", "ＡＢＣ", "a b", "-1", "NaNcy", "0"]
)
def test_odd_but_valid_ids_are_accepted(tmp_path, user):
    done = csv(tmp_path, f"user_id,item_id,timestamp\n{user},{user},1990-01-01\n")
    frame = events(done, tmp_path)
    assert frame[USER_ID].to_list() == [user] == frame[ITEM_ID].to_list()


def test_one_id_in_two_unicode_forms_is_one_user(tmp_path):
    done = csv(tmp_path, "user_id,item_id,timestamp\ncafé,i,2024-01-01\ncafe\u0301,i,2024-01-02\n")
    assert events(done, tmp_path)[USER_ID].n_unique() == 1


def test_times_with_and_without_offset_and_in_a_zone(tmp_path):
    times = ["2024-07-01T12:00:00+02:00", "2024-07-01 12:00:00", "2024-07-01T10:00:00Z", "1719828000",
             "2024-07-01 12:00", "2024-07-01T06:00:00-0400", "2024-07-01T12:00:00.000000"]  # fmt: skip
    text = "user_id,item_id,timestamp\n" + "".join(f"u,i,{time}\n" for time in times)
    done = csv(tmp_path, text, time_zone="Europe/Berlin")
    assert aside(done) == []
    assert events(done, tmp_path)[TIMESTAMP].unique().to_list() == [datetime(2024, 7, 1, 10, tzinfo=UTC)]


def test_clock_changes(tmp_path):
    text = "user_id,item_id,timestamp\nu,i,2024-03-31 02:30:00\nu,i,2024-10-27 02:30:00\n"
    done = csv(tmp_path, text, time_zone="Europe/Berlin")
    assert aside(done) == [("e.csv:1", TIMESTAMP, str(Reason.NO_SUCH_TIME))]
    assert events(done, tmp_path)[TIMESTAMP].to_list() == [datetime(2024, 10, 27, 0, 30, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("pattern", "text"), [("%d.%m.%Y %H:%M", "01.07.2024 12:00"), ("ms", "1719835200000"), ("%m/%d/%Y", "7/1/2024")]
)
def test_declared_time_formats(tmp_path, pattern, text):
    done = csv(tmp_path, f"user_id,item_id,timestamp\nu,i,{text}\n", time_format=pattern)
    assert events(done, tmp_path)[TIMESTAMP].dt.date().to_list() == [datetime(2024, 7, 1).date()]


def test_float_and_integer_ids(tmp_path):
    table = pa.table(
        {USER_ID: [1.0, 2.0**53, 2.0**53 - 1, 1.5, float("nan")], ITEM_ID: [2**53 + 1] * 5, TIMESTAMP: [1714557600] * 5}
    )
    parquet.write_table(table, tmp_path / "e.parquet")
    done = take(tmp_path, {"path": "e.parquet"})
    assert [(where, why) for where, _, why in aside(done)] == [
        ("e.parquet:2", Reason.BIG_FLOAT_ID), ("e.parquet:4", Reason.FRACTION_ID), ("e.parquet:5", Reason.NOT_FINITE),
    ]  # fmt: skip
    frame = events(done, tmp_path)
    assert frame[USER_ID].to_list() == ["1", "9007199254740991"]
    assert frame[ITEM_ID].to_list() == ["9007199254740993"] * 2


def test_duplicates_by_declared_key_and_by_policy(tmp_path):
    text = "user_id,item_id,timestamp,order\nu,i,2024-01-01,1\nu,i,2024-01-01,1\nu,j,2024-01-01,1\nu,i,2024-01-01,2\n"
    done = csv(tmp_path, text, key=["order"])
    account = done.tables["events"].accounting
    assert (account.accepted, account.quarantined, account.deduplicated) == (2, 1, 1)
    assert aside(done) == [("e.csv:3", "order", str(Reason.OTHER_VALUES))]
    assert events(done, tmp_path).columns == list(EVENTS.names)
    again = csv(tmp_path, text)
    assert again.tables["events"].accounting.accepted == 4
    dropped = take(tmp_path, {"path": "e.csv"}, repeats="drop")
    assert dropped.tables["events"].accounting.deduplicated == 2


def test_users_with_one_key_and_other_values(tmp_path):
    (tmp_path / "u.csv").write_text("user_id,age,town\nu1,20,A\nu1,20,A\nu1,21,A\nu2,x,B\nu3,,\n")
    (tmp_path / "e.csv").write_text(GOOD)
    config = tables.Config(root=str(tmp_path), events={"path": "e.csv"}, users={"path": "u.csv", "numeric": ["age"]})
    done = ingest(tables.read(config), IngestConfig(buckets=2), tmp_path / "out", Look("run", None, NOW))
    account = done.tables["users"].accounting
    assert (account.read, account.accepted, account.quarantined, account.deduplicated) == (5, 2, 2, 1)
    assert set(done.quarantine.select(LOCATOR, REASON).rows()) == {
        ("u.csv:3", Reason.OTHER_VALUES), ("u.csv:4", Reason.NOT_NUMBER),
    }  # fmt: skip
    assert pl.read_parquet(tmp_path / "out/users/*.parquet").schema["age"] == pl.Float64


def test_missing_and_outlier_policies(tmp_path):
    rows = "".join(f"u,i,buy,2024-01-01,{10 + n % 5}\n" for n in range(50)) + "u,i,buy,2024-01-01,900\n"
    (tmp_path / "e.csv").write_text(GOOD + rows)
    policies = {
        "missing": {"events.value": {"action": "quarantine"}},
        "outliers": {"events.value": {"action": "quarantine"}},
    }
    done = take(tmp_path, {"path": "e.csv"}, **policies)
    assert set(aside(done)) == {("e.csv:2", VALUE, Reason.MISSING), ("e.csv:53", VALUE, Reason.OUTLIER)}


def test_long_and_odd_texts(tmp_path):
    lines = [
        {"user_id": "u", "timestamp": 1714557600, "text": "x" * 10_000_000},
        {"user_id": "u", "timestamp": 1714557600, "text": "lone \ud800 surrogate"},
        {"user_id": "u", "timestamp": 1714557600, "text": "nul \0"},
        {"user_id": "u", "timestamp": 1714557600, "text": " \n "},
        {"user_id": "u", "timestamp": 1714557600, "text": "שלום 👋🏽 مرحبا 你好"},
        {"user_id": 7, "timestamp": 1714557602, "text": "a number as id"},
    ]
    body = "\n".join(json.dumps(line) for line in lines) + "\n[1]\n" + '{"user_id": "u", "time'
    (tmp_path / "t.jsonl").write_text(body)
    config = tables.Config(root=str(tmp_path), texts={"path": "t.jsonl", "defaults": {"kind": "review"}})
    done = ingest(tables.read(config), IngestConfig(buckets=2), tmp_path / "out", Look("run", None, NOW))
    found = dict(done.quarantine.select(LOCATOR, REASON).rows())
    assert found == {
        "t.jsonl:1": Reason.TOO_LONG, "t.jsonl:2": Reason.NOT_UTF8, "t.jsonl:3": Reason.NUL, "t.jsonl:4": Reason.EMPTY,
        "t.jsonl:7": "not a JSON object", "t.jsonl:8": "not a JSON object",
    }  # fmt: skip
    kept = pl.read_parquet(tmp_path / "out/texts/*.parquet")
    assert set(kept["user_id"]) == {"u", "7"}
    assert set(kept["kind"]) == {"review"}


def test_truncated_files(tmp_path):
    packed = gzip.compress((GOOD + "u,i,buy,2024-01-01,1\n" * 9999).encode())
    (tmp_path / "e.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=r"e\.csv\.gz cannot be read"):
        take(tmp_path, {"path": "e.csv.gz"})
    (tmp_path / "e.csv.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match=r"e\.csv\.zip cannot be read"):
        take(tmp_path, {"path": "e.csv.zip"})
    parquet.write_table(
        pa.table({USER_ID: ["u"] * 1000, ITEM_ID: ["i"] * 1000, TIMESTAMP: [1714557600] * 1000}), tmp_path / "e.parquet"
    )
    whole = (tmp_path / "e.parquet").read_bytes()
    (tmp_path / "e.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="no whole Parquet file"):
        take(tmp_path, {"path": "e.parquet"})


def test_gz_and_zip_are_read(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    with zipfile.ZipFile(tmp_path / "b.csv.zip", "w") as archive:
        archive.writestr("whatever.csv", GOOD)
    done = take(tmp_path, {"path": ["a.csv.gz", "b.csv.zip"]})
    assert done.tables["events"].rows == 4


def test_a_small_parquet_that_decodes_to_much_is_refused(tmp_path):
    n = 30_000
    text = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array(["x" * 10_000]))
    parquet.write_table(
        pa.table({"user_id": ["u"] * n, "timestamp": [1714557600] * n, "text": text.cast(pa.string())}),
        tmp_path / "t.parquet",
    )
    assert (tmp_path / "t.parquet").stat().st_size < 1_000_000
    config = tables.Config(root=str(tmp_path), texts={"path": "t.parquet"})
    limits = IngestConfig(buckets=2, max_decoded_bytes=200 * 2**20)
    with pytest.raises(DataError, match="decodes to more than"):
        ingest(tables.read(config), limits, tmp_path / "out", Look("run", None, NOW))
    sizes = [batch.nbytes for batch in tables.read(config)["texts"]]
    assert sum(sizes) > 300_000_000
    assert max(sizes) < 150 * 2**20


def test_paths(tmp_path):
    root = tmp_path / "root"
    (root / "folder.csv").mkdir(parents=True)
    (tmp_path / "secret.csv").write_text(GOOD)
    (root / "link.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(DataError, match="is a directory"):
        take(root, {"path": "folder.csv"})
    for path in ("../secret.csv", str(tmp_path / "secret.csv"), "/etc/passwd"):
        with pytest.raises(UsageError, match="leaves the source's root"):
            take(root, {"path": path})
    with pytest.raises(UsageError, match="link that leaves"):
        take(root, {"path": "link.csv"})
    with pytest.raises(DataError, match="does not exist"):
        take(root, {"path": "nothing.csv"})
    with pytest.raises(DataError, match="no file matches"):
        take(root, {"path": "*.parquet"})


def test_one_event_many_categories_and_identical_users(tmp_path):
    assert csv(tmp_path, "user_id,item_id,timestamp\nu,i,2024-01-01\n").tables["events"].rows == 1
    same = "user_id,item_id,timestamp\n" + "".join(f"u{n},i,2024-01-01\n" for n in range(100))
    assert csv(tmp_path, same).tables["events"].rows == 100
    many = "user_id,item_id,event,timestamp\n" + "".join(f"u,i,e{n},2024-01-01\n" for n in range(100_000))
    done = csv(tmp_path, many)
    assert events(done, tmp_path)["event"].n_unique() == 100_000


def test_delimiters_encodings_headers_nulls_and_event_names(tmp_path):
    text = "客户甲;kauf;2024-01-01;\\N\n客户乙;sehen;2024-01-02;2\n".encode("gb18030")
    done = csv(
        tmp_path, text, delimiter=";", encoding="gb18030", nulls=["\\N"], header=["wer", "was", "wann", "wert"],
        columns={"user_id": "wer", "event": "was", "timestamp": "wann", "value": "wert"},
        defaults={"item_id": "site"}, event_names={"kauf": "buy"},
    )  # fmt: skip
    frame = events(done, tmp_path)
    assert frame[USER_ID].to_list() == ["客户甲", "客户乙"]
    assert frame["event"].to_list() == ["buy", "sehen"]
    assert frame[VALUE].to_list() == [None, 2.0]
    assert frame[ITEM_ID].to_list() == ["site", "site"]
