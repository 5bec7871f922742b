"""A user's own files, read as the source reads them and taken in."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from schemas.config import IngestConfig
from schemas.tables import SEQUENCE
from tasks.ingestion.rows import Ingested, Look, ingest
from tasks.sources import tables

NOW = datetime(2026, 1, 1, tzinfo=UTC)


RULES = IngestConfig(buckets=2)


def ingested(root: Path, rules: IngestConfig = RULES, **given) -> Ingested:
    """What became of the tables that the source's config gives."""
    config = tables.Config(root=str(root), **given)
    tables.look(config)
    return ingest(tables.read(config), rules, root / "out", Look("run", None, NOW))


def take(root: Path, content: str | bytes, table: str = "events", name: str = "e.csv", **given) -> Ingested:
    """What became of a table of one file of that content."""
    (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return ingested(root, **{table: {"path": name, **given}})


def landed(root: Path, table: str = "events") -> pl.DataFrame:
    """The rows that were accepted, in order."""
    frame = pl.read_parquet(root / f"out/{table}/*.parquet")
    return frame.sort(SEQUENCE if SEQUENCE in frame.columns else frame.columns[0])
