"""The SQL source against a real PostgreSQL server, started for the test on a socket of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from schemas.config import IngestConfig
from schemas.errors import DataError
from schemas.tables import ITEM_ID, SEQUENCE, TIMESTAMP, USER_ID, VALUE
from tasks.ingestion.rows import Look, ingest
from tasks.sources import tables

pytestmark = pytest.mark.slow
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def binaries() -> Path | None:
    """Folder of `initdb` and `pg_ctl`: on the path, or where Debian puts them."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "pg_ctl").exists()), None)


def as_server(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root; then the command runs as nobody."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command] if os.getuid() == 0 else command


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    """SQLAlchemy address of an empty database, its password left as a reference."""
    psycopg = pytest.importorskip("psycopg")
    if (place := binaries()) is None:
        pytest.skip("no PostgreSQL server here; install Debian's package postgresql")
    home = Path(subprocess.run(as_server(["mktemp", "-d"]), check=True, capture_output=True, text=True).stdout.strip())
    data, log = home / "data", home / "log"

    def run(*command: str) -> None:
        subprocess.run(as_server(list(command)), check=True, capture_output=True, timeout=120)

    run(str(place / "initdb"), "-D", str(data), "-U", "shop", "-A", "trust", "-E", "UTF8")
    options = f"-k {home} -c listen_addresses='' -c fsync=off"
    run(str(place / "pg_ctl"), "-D", str(data), "-l", str(log), "-w", "-o", options, "start")
    try:
        with psycopg.connect(host=str(home), user="shop", dbname="postgres", autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE orders (id bigint, who uuid, what bigint, at timestamptz, price numeric(10, 2))"
            )
        yield f"postgresql+psycopg://shop:${{SHOP_PASSWORD}}@/postgres?host={home}"
    finally:
        run(str(place / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
        subprocess.run(as_server(["rm", "-rf", str(home)]), check=True)


def insert(url: str, first: int, last: int) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(url.replace("${SHOP_PASSWORD}", "x"))
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "INSERT INTO orders SELECT n, md5((n % 7)::text)::uuid, 9007199254740993 + n,"
                " timestamptz '2024-01-01 00:00+02' + n * interval '1 hour', n / 4.0 FROM generate_series(:a, :b) n"
            ),
            {"a": first, "b": last},
        )
    engine.dispose()


def test_query_stream_and_high_water_mark(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "not-told")
    columns = {USER_ID: "who", ITEM_ID: "what", TIMESTAMP: "at", VALUE: "price"}
    config = tables.Config(
        events={"sql": "SELECT * FROM orders", "url": server, "columns": columns, "since_column": "id"}
    )
    insert(server, 1, 60_000)
    done = ingest(tables.read(config), IngestConfig(buckets=2), tmp_path / "1", Look("run", NOW, NOW))
    later = done.tables["events"].accounting.quarantined
    assert done.tables["events"].accounting.read == 60_000
    assert later == (done.quarantine["reason"].str.contains("future")).sum()
    then = tables.snapshot(config)
    insert(server, 60_001, 60_005)
    assert tables.grown(config, then)
    assert sum(len(batch) for batch in tables.read(config, then)["events"]) == 5
    first = pl.read_parquet(tmp_path / "1/events/*.parquet").sort(SEQUENCE).row(0, named=True)
    assert (first[ITEM_ID], first[VALUE]) == ("9007199254740994", 0.25)
    assert first[TIMESTAMP] == datetime(2023, 12, 31, 23, tzinfo=UTC)
    with pytest.raises(DataError, match="does not exist") as caught:
        list(tables.read(tables.Config(events={"sql": "SELECT * FROM no_table", "url": server}))["events"])
    assert "not-told" not in str(caught.value)


def test_what_is_written_while_a_table_is_read_is_in_none(server, monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "not-told")
    columns = {USER_ID: "who", ITEM_ID: "what", TIMESTAMP: "at", VALUE: "price"}
    query = "SELECT * FROM orders WHERE id > 1000000"
    items = {"sql": "SELECT DISTINCT what FROM orders WHERE id > 1000000", "url": server, "columns": {ITEM_ID: "what"}}
    config = tables.Config(events={"sql": query, "url": server, "columns": columns}, items=items)
    insert(server, 1_000_001, 1_060_000)
    read = tables.read(config)
    first = len(next(read["events"]))
    insert(server, 1_060_001, 1_060_005)
    assert first + sum(len(batch) for batch in read["events"]) == 60_000
    assert sum(len(batch) for batch in read["items"]) == 60_000
    assert tables.snapshot(config)["sql:events"].endswith("-60005")
    assert read.snapshot()["sql:events"].endswith("-60000")
