"""All queries of one read are of one moment, whatever is written meanwhile, and no table is counted twice."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy

from schemas.artifacts import RunContext
from schemas.config import IngestConfig
from schemas.execution import ExecutionConfig
from tasks.ingestion.land import land
from tasks.sources import tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path) -> Path:
    """A database of two tables, each item of which somebody bought."""
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # or a writer would wait for the reader
        connection.execute("CREATE TABLE events (id INTEGER, user_id TEXT, item_id TEXT, timestamp TEXT)")
        connection.execute("CREATE TABLE items (item_id TEXT, title TEXT)")
    connection.close()
    buy(path, range(100))
    return path


def buy(path: Path, numbers: range) -> None:
    """A new item for each number, bought at once, in one transaction."""
    with sqlite3.connect(path) as connection:
        rows = [(n, f"u{n % 7}", f"i{n}", "2024-01-01T00:00Z") for n in numbers]
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
        connection.executemany("INSERT INTO items VALUES (?, ?)", [(f"i{n}", f"Item {n}") for n in numbers])
    connection.close()


def source(path: Path) -> tables.Config:
    url = f"sqlite:///{path}"
    events = {"sql": "SELECT * FROM events", "url": url, "since_column": "id"}
    return tables.Config(events=events, items={"sql": "SELECT * FROM items", "url": url})


def landed(config: tables.Config, home: Path):
    run = RunContext(run_id="run", as_of=NOW, now=NOW, seed=1, code_version="0" * 64, home=str(home))
    return land(config, IngestConfig(buckets=1), None, run, ExecutionConfig(), segmentation="shop")


def rows(found) -> dict[str, int]:
    return {account.table: account.accepted for account in found.accounts}


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """The statements that databases are asked."""
    told: list[str] = []

    def hear(connection, cursor, statement, *_):
        told.append(" ".join(statement.split()))

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", hear)
    yield told
    sqlalchemy.event.remove(sqlalchemy.engine.Engine, "before_cursor_execute", hear)


def test_what_is_written_while_a_table_is_read_is_in_none(shop):
    read = tables.read(source(shop))
    first = sum(len(batch) for batch in read["events"])
    buy(shop, range(100, 150))
    assert (first, sum(len(batch) for batch in read["items"])) == (100, 100)
    assert sum(len(batch) for batch in tables.read(source(shop))["items"]) == 150


def test_a_landing_that_was_overtaken_is_of_one_moment_and_is_not_added_to(shop, tmp_path, monkeypatch):
    whole = tables.snapshot

    def overtaken(config):
        told = whole(config)
        monkeypatch.setattr(tables, "snapshot", whole)
        buy(shop, range(100, 150))
        return told

    monkeypatch.setattr(tables, "snapshot", overtaken)
    assert rows(landed(source(shop), tmp_path / "home")) == {"events": 150, "items": 150}
    assert not (tmp_path / "home" / "segmentations" / "shop" / "landed.json").exists()
    buy(shop, range(150, 160))
    assert rows(landed(source(shop), tmp_path / "home")) == {"events": 160, "items": 160}


def test_a_row_that_is_gone_when_it_was_read_is_noticed(shop, tmp_path, monkeypatch):
    """It came after the rows were counted and was taken back before they would be counted again."""
    whole = tables.read

    def between(config, since=None):
        buy(shop, range(100, 101))
        read = whole(config, since)
        read["items"] = then(read["items"])
        return read

    def then(batches):
        yield from batches
        with sqlite3.connect(shop) as connection:
            connection.execute("DELETE FROM events WHERE id = 100")
            connection.execute("DELETE FROM items WHERE item_id = 'i100'")
        connection.close()

    monkeypatch.setattr(tables, "read", between)
    landed(source(shop), tmp_path / "home")
    assert not (tmp_path / "home" / "segmentations" / "shop" / "landed.json").exists()


def test_no_table_is_counted_twice(shop, tmp_path, asked):
    landed(source(shop), tmp_path / "home")
    assert sum("COUNT" in one and "FROM events" in one for one in asked) == 1
    assert sum("COUNT" in one and "FROM items" in one for one in asked) == 1
    asked.clear()
    buy(shop, range(100, 150))
    assert rows(landed(source(shop), tmp_path / "home")) == {"events": 150, "items": 150}
    of_all = [one for one in asked if "COUNT" in one and "WHERE" not in one]
    assert sum("FROM items" in one for one in of_all) == 1
    (read,) = [one for one in asked if one.startswith("SELECT * FROM ( SELECT * FROM events ) AS q WHERE id")]
    assert read.endswith("WHERE id > ?")
