"""Sets aside what breaks the expectations' rules of severity quarantine, once the moment to look at is known.

The rules of a single row were ingest's; these look at the whole: the window of time before as_of, the allowed events.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.config import ValidateConfig
from schemas.errors import DataError
from schemas.tables import INPUTS, TIMESTAMP
from tasks.cleaning.reasons import by_reason
from tasks.disk.artifacts import write_parquet
from tasks.ingestion.rows import Ingested, IngestedTable, Mapper, with_users
from tasks.stores.buckets import bucket_path

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class _Job:
    """What screening any bucket of one table needs."""

    table: str
    place: Path
    config: ValidateConfig
    as_of: datetime
    run_id: str


def settings(config: ValidateConfig) -> dict[str, Any]:
    """The thresholds that decide which rows are set aside: what a fingerprint of the result has to hold."""
    return config.model_dump(mode="json", include={"max_age_days", "allowed_events", "severity"})


def screen(landed: Ingested, config: ValidateConfig, folder: Path, run_id: str, run: Mapper) -> Ingested:
    """Rewrites the buckets without the rows that break such a rule; the accounts and the quarantine follow.

    Args:
        landed: What ingest wrote; its as_of is the end of the window.
        config: Window, allowed events and severities.
        folder: Where ingest wrote.
        run_id: Stands in the quarantine.
        run: Maps a function over bucket numbers.

    Raises:
        DataError: no event and no text is left.
    """
    import polars as pl

    tables, aside = {}, [landed.quarantine]
    for name, table in landed.tables.items():
        job = _Job(name, folder / name, config, landed.as_of, run_id)
        done: list[tuple[pl.DataFrame, datetime | None]] = run(partial(_bucket, job), range(table.buckets))
        tables[name] = _counted(table, sum(len(rows) for rows, _ in done), [newest for _, newest in done])
        aside += [rows for rows, _ in done]
    quarantine = pl.concat(aside)
    _check_not_empty(tables, quarantine)
    return Ingested(tables, quarantine, landed.as_of)


def _bucket(job: _Job, number: int) -> "tuple[pl.DataFrame, datetime | None]":
    """Rows of one bucket for the quarantine, and the newest time that stays; the file is rewritten where it shrinks."""
    import polars as pl

    from tasks.validation.aside import set_aside

    path = bucket_path(job.place, number)
    frame = pl.read_parquet(path)
    suite = importlib.import_module(f"expectations.{job.table}").suite(job.config)
    kept, bad = set_aside(frame, INPUTS[job.table], suite, job.config, job.as_of, job.run_id)
    if len(bad):
        write_parquet(path, kept)
    return bad, kept[TIMESTAMP].max() if TIMESTAMP in kept.columns else None  # type: ignore[return-value]


def _counted(table: IngestedTable, bad: int, times: "list[datetime | None]") -> IngestedTable:
    """The table with `bad` rows fewer, all of them in its account."""
    old = table.accounting
    moved = {"accepted": old.accepted - bad, "quarantined": old.quarantined + bad}
    newest = max((time for time in times if time is not None), default=None)
    return replace(table, rows=table.rows - bad, accounting=old.model_copy(update=moved), newest=newest)


def _check_not_empty(tables: Mapping[str, IngestedTable], quarantine: "pl.DataFrame") -> None:
    """DataError where no table has a user left; it tells the rule that took most of them."""
    given = with_users(tables)
    if any(table.rows for table in given):
        return
    names = " and ".join(table.name for table in given)
    column, rule = by_reason(quarantine)[0][:2]
    raise DataError(
        f"no rows are left in {names}: most were set aside by {rule} (column {column}); mend the data, or the "
        "config's validation section"
    )
