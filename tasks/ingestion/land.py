"""Brings a source's rows into bucketed contract tables, once for the same source, config and clock."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import IngestConfig, Section, ValidateConfig
from schemas.execution import ExecutionConfig
from schemas.reports import Accounting
from schemas.runs import Landed
from schemas.tables import QUARANTINE, REASON
from tasks.cleaning.reasons import Reason
from tasks.disk.artifacts import fingerprint, produce, write_parquet, write_text
from tasks.ingestion.increments import KIND, Earlier, Last, earlier, joined, remember
from tasks.ingestion.rows import Ingested, Look, ingest, newest_of
from tasks.ingestion.screening import screen, settings
from tasks.plugins.contracts import Dated
from tasks.plugins.find import module_of
from tasks.stores.buckets import bucket_path, parallel
from tasks.stores.several import Shape, note, tables_of

if TYPE_CHECKING:
    import pyarrow as pa

LANDED = "landed.json"


def land(
    source: Section,
    config: IngestConfig,
    as_of: datetime | None,
    run: RunContext,
    execution: ExecutionConfig,
    validation: ValidateConfig | None = None,
    segmentation: str = "",
) -> Landed:
    """Reads a source into buckets; of a source that only grew since the segmentation's last landing, what is new.

    Args:
        source: A `Config` of `tasks/sources`.
        config: Buckets and row policies.
        as_of: UTC moment to look at; None: the newest event.
        run: Names the rows set aside; gives the state folder and the code version.
        execution: Where the buckets are finished.
        validation: Rules of severity quarantine, whose rows are set aside; None: the default ones.
        segmentation: Whose last landing may be added to; empty: everything is read.

    Returns:
        References to the tables and to the quarantine, and the account of every row.
    """
    module, rules = module_of("sources", source), validation or ValidateConfig.model_validate({})
    snapshot = module.snapshot(source)
    fixed = fingerprint("landing", source, config, settings(rules), run.code_version)

    def write(place: Path) -> dict[str, Any]:
        before = earlier(run.home, segmentation, module, source, config, as_of, fixed) if segmentation else None
        read = module.read(source, before.since) if before else module.read(source)
        look = Look(run.run_id, as_of, run.now)
        landed = _ingested(read, config, rules, before, place, look, execution)
        write_parquet(bucket_path(place / QUARANTINE.name, 0), landed.quarantine)
        seen = read.snapshot() if isinstance(read, Dated) else module.snapshot(source)
        moved = seen != snapshot  # it was written to meanwhile: what was read is not what the fingerprint names
        facts = _facts(landed, before) | {"moved": moved, "now": run.now.isoformat()}
        write_text(place / LANDED, json.dumps(facts))
        shapes = {name: Shape(table.rows, table.buckets, table.columns) for name, table in landed.tables.items()}
        aside = Shape(len(landed.quarantine), 1, QUARANTINE.names)
        return {"rows": note(place, {**shapes, QUARANTINE.name: aside}) - aside.rows}

    ref = produce(run.home, KIND, fingerprint(KIND, fixed, snapshot, as_of), write)
    if (facts := _told(ref)).get("clock") and facts["now"] != run.now.isoformat():  # what was future may be past by now
        ref = produce(run.home, KIND, fingerprint(KIND, fixed, snapshot, as_of, run.now), write)
    if segmentation and not _told(ref).get("moved"):
        remember(run.home, segmentation, Last(digest=ref.fingerprint, settings=fixed, snapshot=snapshot))
    return _read(ref)


def _ingested(
    read: "Mapping[str, Iterator[pa.RecordBatch]]",
    config: IngestConfig,
    rules: ValidateConfig,
    before: Earlier | None,
    place: Path,
    look: Look,
    execution: ExecutionConfig,
) -> Ingested:
    """Ingest, what was there before added, and then the rules that look at the whole."""

    def each(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return parallel(function, items, execution)

    found = ingest(read, config, place, look, run=each, previous=before.folders if before else None)
    screened = screen(joined(found, before) if before else found, rules, place, look.run_id, each)
    return replace(screened, as_of=look.as_of or newest_of(screened.tables) or found.as_of)


def _facts(landed: Ingested, before: Earlier | None) -> dict[str, Any]:
    """What the artifact tells about itself."""
    return {
        "as_of": landed.as_of.isoformat(),
        "accounts": [table.accounting.model_dump() for table in landed.tables.values()],
        "added_to": sorted(before.folders) if before else [],
        "clock": bool(landed.quarantine[REASON].is_in([str(Reason.FUTURE)]).any()),
    }


def _told(ref: ArtifactRef) -> dict[str, Any]:
    """What `_facts` left in an artifact."""
    facts: dict[str, Any] = json.loads((Path(ref.path) / LANDED).read_text(encoding="utf-8"))
    return facts


def _read(ref: ArtifactRef) -> Landed:
    """What an ingest artifact holds."""
    facts = _told(ref)
    tables = tables_of(ref)
    return Landed(
        quarantine=tables.pop(QUARANTINE.name),
        tables=tables,
        accounts=tuple(Accounting(**account) for account in facts["accounts"]),
        as_of=datetime.fromisoformat(facts["as_of"]),
    )
