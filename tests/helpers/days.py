"""A run as composition sees it, made by hand: tables on disk, settings, a ledger that may not be asked."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from flows.config import parse
from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import LedgerConfig
from schemas.runs import Landed
from schemas.tables import QUARANTINE
from tasks.disk.artifacts import write_parquet
from tasks.stores.book import Day
from tasks.stores.ledger import Ledger

PLAIN: dict[str, Any] = {
    "source": {"kind": "synthetic"}, "features": [{"kind": "behaviour"}],
    "search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [3]}}]},
}  # fmt: skip


def quarantine(home: Path, frame: pl.DataFrame | None = None, name: str = "quarantine") -> ArtifactRef:
    """Rows that were set aside; none where none are given."""
    rows = pl.DataFrame(schema=QUARANTINE.polars_schema()) if frame is None else frame
    place = Path(home) / "artifacts" / "test" / name
    write_parquet(place / "bucket-0000.parquet", rows)
    return ArtifactRef(kind="quarantine", fingerprint=name, path=str(place), rows=len(rows), columns=QUARANTINE.names)


def a_day(
    home: Path, tables: Mapping[str, ArtifactRef], as_of: datetime, *, name: str = "demo", seed: int = 1,
    run_id: str = "run", revision: int = 0, aside: ArtifactRef | None = None, **settings: Any,
) -> Day:  # fmt: skip
    """A run of a segmentation on some tables."""
    context = RunContext(
        run_id=run_id, as_of=as_of, now=as_of, seed=seed, code_version="0" * 64, home=str(home)
    )  # fmt: skip
    landed = Landed(tables=dict(tables), quarantine=aside or quarantine(home), accounts=(), as_of=as_of)
    whole = parse({**PLAIN, "segmentation": name, "seed": seed, **settings}, name)
    return Day(whole, context, Ledger(LedgerConfig(), str(home), name), revision, landed)
