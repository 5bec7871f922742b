"""A user's own files and queries: formats, several files, what is new since the last run, secrets."""

import json
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

from schemas.config import IngestConfig
from schemas.errors import DataError, UsageError
from schemas.secrets import redact
from schemas.tables import CATEGORIES, EVENT, ITEM_ID, SEQUENCE, TIMESTAMP, USER_ID, VALUE
from tasks.cleaning.reasons import Reason
from tasks.ingestion.rows import Ingested, Look, ingest
from tasks.sources import tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = "user_id,item_id,timestamp\n"
SHOP = """
root: {root}
time_zone: Europe/Berlin
events:
  path: orders-*.csv
  delimiter: ";"
  columns: {{user_id: customer, item_id: sku, event: action, timestamp: at, value: price}}
  event_names: {{kauf: buy}}
  time_format: "%d.%m.%Y %H:%M"
items:
  path: items.jsonl
  columns: {{item_id: sku, title: name, categories: tags}}
  separator: "/"
users:
  path: users.parquet
  columns: {{user_id: customer}}
  attributes: [age]
  numeric: [age]
"""


def take(config: tables.Config, out: Path, since=None, previous=None) -> Ingested:
    return ingest(tables.read(config, since), IngestConfig(buckets=2), out, Look("run", None, NOW), previous=previous)


def frame(folder: Path, name: str = "events") -> pl.DataFrame:
    rows = pl.read_parquet(folder / name / "bucket-*.parquet")
    return rows.sort(SEQUENCE if SEQUENCE in rows.columns else rows.columns[0])


def test_a_shop_in_under_twenty_lines(tmp_path):
    assert len(SHOP.strip().splitlines()) < 20
    (tmp_path / "orders-1.csv").write_text("customer;sku;action;at;price\nu1;a;kauf;01.07.2024 12:00;2.5\n")
    (tmp_path / "orders-2.csv").write_text("price;customer;sku;action;at;more\n;u2;b;view;02.01.2024 12:00;x\n")
    lines = [{"sku": "a", "name": "Apfel", "tags": "food/fruit"}, {"sku": "b", "tags": "x", "price": 3}]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, lines)))
    table = {"customer": ["u1", "u2"], "age": ["31", None], "town": ["A", "B"]}
    parquet.write_table(pa.table(table), tmp_path / "users.parquet")
    config = tables.Config(**yaml.safe_load(SHOP.format(root=tmp_path)))
    done = take(config, tmp_path / "out")
    assert done.quarantine.is_empty()
    events = frame(tmp_path / "out")
    assert events.select(USER_ID, ITEM_ID, EVENT, VALUE).rows() == [("u1", "a", "buy", 2.5), ("u2", "b", "view", None)]
    assert events[TIMESTAMP].to_list() == [datetime(2024, 7, 1, 10, tzinfo=UTC), datetime(2024, 1, 2, 11, tzinfo=UTC)]
    items = frame(tmp_path / "out", "items")
    assert items[CATEGORIES].to_list() == [["food", "fruit"], ["x"]]
    assert frame(tmp_path / "out", "users").rows() == [("u1", 31.0), ("u2", None)]


def test_new_files_and_new_ends_are_read_alone_and_late_events_find_their_place(tmp_path):
    (tmp_path / "1.csv").write_text(HEAD + "u,i1,2024-01-01\nu,i3,2024-01-03\n")
    config = tables.Config(root=str(tmp_path), events={"path": "*.csv"})
    first, second = tmp_path / "run1", tmp_path / "run2"
    take(config, first)
    then = tables.snapshot(config)
    assert tables.grown(config, then)
    assert list(tables.read(config, then)["events"]) == []
    with (tmp_path / "1.csv").open("a") as handle:
        handle.write("u,i4,2024-01-04\nv,j,bad\n")
    (tmp_path / "2.csv").write_text(HEAD + "u,i2,2024-01-02\n")
    assert tables.grown(config, then)
    done = take(config, second, since=then, previous={"events": first / "events"})
    account = done.tables["events"].accounting
    assert (account.read, account.accepted, account.quarantined) == (3, 2, 1)
    assert done.tables["events"].rows == 4
    assert done.quarantine["locator"].to_list() == [f"1.csv@{len(HEAD) + 32}:2"]
    bucket = next(b for b in map(pl.read_parquet, sorted((second / "events").glob("*"))) if len(b))
    assert bucket[ITEM_ID].to_list() == ["i1", "i2", "i3", "i4"]
    assert bucket[SEQUENCE].n_unique() == 4


def test_incremental_equals_reading_all_at_once(tmp_path):
    config = tables.Config(root=str(tmp_path), events={"path": "*.jsonl"})
    previous, since = None, None
    for run in range(3):
        rows = [
            {"user_id": f"u{n % 5}", "item_id": n, "timestamp": 1e9 + (n * 7919) % 1000}
            for n in range(run * 20, run * 20 + 20)
        ]
        with (tmp_path / f"part-{run // 2}.jsonl").open("a") as handle:
            handle.writelines(json.dumps(row) + "\n" for row in rows)
        out = tmp_path / f"run{run}"
        take(config, out, since, previous)
        previous, since = {"events": out / "events"}, tables.snapshot(config)
    take(config, tmp_path / "all")
    assert frame(tmp_path / "all").equals(frame(tmp_path / "run2"))


def test_a_rewritten_file_is_not_taken_for_a_grown_one(tmp_path):
    (tmp_path / "e.csv").write_text(HEAD + "u,i1,2024-01-01\n")
    config = tables.Config(root=str(tmp_path), events={"path": "e.csv"})
    then = tables.snapshot(config)
    (tmp_path / "e.csv").write_text(HEAD + "u,i9,2024-01-01\nu,i2,2024-01-01\n")
    assert not tables.grown(config, then)
    with pytest.raises(DataError, match="was rewritten"):
        list(tables.read(config, then)["events"])


def test_repeats_across_runs_are_dropped_by_key(tmp_path):
    (tmp_path / "1.csv").write_text("user_id,item_id,timestamp\nu,i,2024-01-01\n")
    config = tables.Config(root=str(tmp_path), events={"path": "*.csv", "key": ["item_id", "timestamp"]})
    take(config, tmp_path / "run1")
    then = tables.snapshot(config)
    (tmp_path / "2.csv").write_text("user_id,item_id,timestamp\nu,i,2024-01-01\nu,i,2024-01-02\n")
    done = take(config, tmp_path / "run2", then, {"events": tmp_path / "run1/events"})
    assert (done.tables["events"].rows, done.tables["events"].accounting.deduplicated) == (2, 1)


@pytest.mark.parametrize("rows", [3, 200_000])
def test_a_correction_far_from_the_end_is_seen(tmp_path, rows):
    lines = [f"u{n},i1,2024-01-01\n" for n in range(rows)]
    (tmp_path / "e.csv").write_text(HEAD + "".join(lines))
    config = tables.Config(root=str(tmp_path), events={"path": "e.csv"})
    then = tables.snapshot(config)
    lines[0] = "u0,i9,2024-01-01\n"
    (tmp_path / "e.csv").write_text(HEAD + "".join([*lines, "u,i2,2024-01-02\n"]))
    assert not tables.grown(config, then)
    lines[0], lines[rows // 3] = "u0,i1,2024-01-01\n", lines[rows // 3].replace("i1", "i9")
    (tmp_path / "e.csv").write_text(HEAD + "".join(lines))
    os.utime(tmp_path / "e.csv", ns=(0, 0))
    assert not tables.grown(config, then)


def database(path: Path, rows: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS orders (id INTEGER, who INTEGER, what TEXT, at TEXT, price NUMERIC)"
        )
        start = connection.execute("SELECT COUNT(*) FROM orders").fetchone()[0]
        new = [(n, n % 7, f"i{n}", f"2024-01-{n % 28 + 1:02d} 10:00:00", n / 4) for n in range(start, start + rows)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", new)
    connection.close()


def sql(url: str, query: str = "SELECT * FROM orders WHERE what <> 'none'; ") -> tables.Config:
    columns = {USER_ID: "who", ITEM_ID: "what", TIMESTAMP: "at", VALUE: "price"}
    return tables.Config(events={"sql": query, "url": url, "columns": columns, "since_column": "id"})


def test_sqlite_with_a_high_water_mark(tmp_path, monkeypatch):
    database(tmp_path / "shop.db", 100)
    monkeypatch.setenv("SHOP_DB", str(tmp_path / "shop.db"))
    config = sql("sqlite:///${SHOP_DB}")
    assert take(config, tmp_path / "run1").tables["events"].rows == 100
    then = tables.snapshot(config)
    database(tmp_path / "shop.db", 5)
    assert tables.grown(config, then)
    done = take(config, tmp_path / "run2", then, {"events": tmp_path / "run1/events"})
    assert (done.tables["events"].accounting.read, done.tables["events"].rows) == (5, 105)
    take(config, tmp_path / "all")
    assert frame(tmp_path / "all").equals(frame(tmp_path / "run2"))
    assert str(tmp_path) not in repr(config) + repr(then)


def test_queries_and_values_are_taken_as_they_are(tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE t (user_id, item_id, timestamp)")
        connection.execute("INSERT INTO t VALUES ('u', 'i', 1e9), ('v', 2, 1e9), (x'ff', 'i', 1e9), (x'77', 'i', 1e9)")
    connection.close()
    query = "SELECT * FROM t WHERE item_id <> ':nothing' AND item_id <> '10:30:00' -- all of it"
    done = take(tables.Config(events={"sql": query, "url": f"sqlite:///{tmp_path}/shop.db"}), tmp_path / "out")
    assert frame(tmp_path / "out")[USER_ID].to_list() == ["u", "v", "w"]
    assert done.quarantine.select("locator", "reason").rows() == [("sql:events:3", Reason.NOT_UTF8)]


@pytest.mark.parametrize("change", ["DELETE FROM orders WHERE id = 3", "INSERT INTO orders SELECT * FROM orders",
                                    "INSERT INTO orders SELECT NULL, who, what, at, price FROM orders"])  # fmt: skip
def test_rows_that_went_or_came_in_below_the_mark_are_not_growth(tmp_path, change):
    database(tmp_path / "shop.db", 10)
    config = sql(f"sqlite:///{tmp_path}/shop.db")
    then = tables.snapshot(config)
    database(tmp_path / "shop.db", 5)
    assert tables.grown(config, then)
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute(change)
    connection.close()
    assert not tables.grown(config, then)


def test_secrets_are_never_told(tmp_path, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "hunter2-very-secret")
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(UsageError, match="NOT_SET is not set"):
        take(sql("sqlite:///${NOT_SET}"), tmp_path / "out")
    for url in ("sqlite:////nowhere/${DB_PASSWORD}/x.db", "klingon://me:${DB_PASSWORD}@host/db"):
        with pytest.raises((DataError, UsageError)) as caught:
            take(sql(url), tmp_path / "out")
        assert "hunter2" not in str(caught.value)
        assert caught.value.__suppress_context__
    assert redact("cannot reach postgresql://me:pw@host/db") == "cannot reach postgresql://me:***@host/db"


def test_sql_errors_are_one_line(tmp_path):
    database(tmp_path / "shop.db", 1)
    with pytest.raises(DataError, match="events: the database says: no such table: missing_table"):
        take(sql(f"sqlite:///{tmp_path}/shop.db", "SELECT * FROM missing_table"), tmp_path / "out")
    with pytest.raises(DataError, match="no column 'who'"):
        take(sql(f"sqlite:///{tmp_path}/shop.db", "SELECT id, what, at, price FROM orders"), tmp_path / "out")


def test_remote_addresses(tmp_path):
    import fsspec

    memory = fsspec.filesystem("memory")
    for name in ("a", "b"):
        memory.pipe(f"/shop/{name}.csv", (HEAD + f"{name},i,2024-01-01\n").encode())
    config = tables.Config(events={"path": "memory://shop/*.csv"})
    assert take(config, tmp_path / "out").tables["events"].rows == 2
    assert set(tables.snapshot(config)) == {"events/memory://shop/a.csv", "events/memory://shop/b.csv"}
    with pytest.raises(DataError, match=r"memory://shop/c\.csv"):
        take(tables.Config(events={"path": "memory://shop/c.csv"}), tmp_path / "out")


@pytest.mark.parametrize("more", ["", "a,e\n"], ids=["once", "and again"])
def test_ties_alone_make_a_user_of_everyone_at_an_end(tmp_path, more):
    path = tmp_path / "edges.csv"
    path.write_text("src,dst\na,b\na,b\nb,a\nc,d\n")
    config = tables.Config(root=str(tmp_path), edges={"path": "edges.csv"})
    before, since = take(config, tmp_path / "before"), tables.snapshot(config)
    path.write_text(path.read_text() + more)
    again = take(config, tmp_path / "out", since, {"edges": tmp_path / "before" / "edges"})
    for found, folder, users in ((before, "before", "abcd"), (again, "out", "abcde" if more else "abcd")):
        buckets = [pl.read_parquet(one) for one in sorted((tmp_path / folder / "users").glob("*.parquet"))]
        assert sorted(user for bucket in buckets for user in bucket[USER_ID]) == list(users)
        assert found.tables["users"].rows == len(users)
        ties = [pl.read_parquet(one) for one in sorted((tmp_path / folder / "edges").glob("*.parquet"))]
        known = [set(bucket[USER_ID]) for bucket in buckets]
        assert all(set(tie["src"]) <= here for tie, here in zip(ties, known, strict=True)), "a user has one bucket"


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("item_id,timestamp", "columns: {user_id: its name}$"),
        ("user_id,timestamp", "; or, if there is none, one for all rows: defaults: {item_id: everything}$"),
        ("user_id,item_id", "; or, if there is none, one for all rows: defaults: {timestamp: 2025-01-31}$"),
    ],
)
def test_a_column_that_is_not_there_is_told_with_the_option(tmp_path, header, told):
    (tmp_path / "orders.csv").write_text(f"{header}\na,b\n")
    with pytest.raises(DataError, match=told):
        tables.look(tables.Config(root=str(tmp_path), events={"path": "orders.csv"}))


def test_what_a_config_must_say():
    with pytest.raises(UsageError, match="give events, texts, users or edges, at least"):
        tables.read(tables.Config())
    with pytest.raises(UsageError, match="either path or sql"):
        tables.read(tables.Config(events={}))
