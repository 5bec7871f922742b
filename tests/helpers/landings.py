"""Landings of small CSV files of events, and what they leave behind."""

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from schemas.artifacts import RunContext
from schemas.config import IngestConfig
from schemas.execution import ExecutionConfig
from schemas.runs import Landed
from schemas.tables import EVENTS
from tasks.ingestion.land import land
from tasks.sources import tables
from tasks.stores.buckets import read_table

HEAD = "user_id,item_id,event,timestamp,value\n"
CONFIG = IngestConfig(buckets=3)
EXECUTION = ExecutionConfig()


def context(home: Path, run_id: str = "run") -> RunContext:
    """A run on the first day of 2026."""
    return RunContext(
        run_id=run_id,
        as_of=datetime(2026, 1, 1, tzinfo=UTC),
        now=datetime(2026, 1, 1, tzinfo=UTC),
        seed=0,
        code_version="c",
        home=str(home),
    )


def line(user: str, day: int, item: str = "a", event: str = "buy", year: int = 2024) -> str:
    """A row of events on a day of January."""
    return f"{user},{item},{event},{year}-01-{day:02d}T00:00:00Z,1.5\n"


def source(root: Path, **events) -> tables.Config:
    """A folder's files of events."""
    return tables.Config(root=str(root), events={"path": "events-*.csv", **events})


def landed(config, home: Path, run_id: str = "run", *, rules=None, ingest=CONFIG, as_of=None, name="shop") -> Landed:
    """What lands of a source in a state folder."""
    return land(config, ingest, as_of, context(home, run_id), EXECUTION, rules, name)


def facts(found: Landed) -> dict:
    """What the landing wrote down of itself."""
    first = next(iter(found.tables.values()))
    return json.loads((Path(first.path).parent / "landed.json").read_text())


def account(found: Landed, table: str = EVENTS.name) -> tuple[int, int, int, int]:
    """Rows read, accepted, set aside and dropped as repeats; they have to add up."""
    one = next(account for account in found.accounts if account.table == table)
    assert one.balanced
    assert one.accepted == found.tables[table].rows
    return one.read, one.accepted, one.quarantined, one.deduplicated


def rows(found: Landed) -> pl.DataFrame:
    """All events that landed."""
    return read_table(found.tables[EVENTS.name])
