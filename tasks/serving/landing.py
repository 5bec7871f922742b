"""Brings a source's rows into bucketed contract tables, once for the same source, config and clock."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import ExecutionConfig, IngestConfig, Section, ValidateConfig
from schemas.reports import Accounting
from schemas.runs import Landed
from schemas.tables import EVENTS, QUARANTINE, TEXTS
from tasks.serving.increments import KIND, Earlier, Last, earlier, joined, remember
from tasks.serving.plugins import module_of
from tasks.serving.screening import screen, settings
from tasks.stores.artifacts import fingerprint, produce, write_parquet
from tasks.stores.buckets import bucket_facts, parallel
from tasks.stores.ingest import Ingested, ingest

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
    digest = fingerprint(KIND, fixed, snapshot, as_of)

    def write(place: Path) -> dict[str, Any]:
        before = earlier(run.home, segmentation, module, source, config, as_of, fixed) if segmentation else None
        landed = _ingested(module, source, config, rules, before, place, as_of, run, execution)
        write_parquet(place / QUARANTINE.name / "bucket-0000.parquet", landed.quarantine)
        moved = module.snapshot(source) != snapshot  # it was written to meanwhile: what was read is of neither moment
        (place / LANDED).write_text(json.dumps(_facts(landed, place, before) | {"moved": moved}), encoding="utf-8")
        return {"rows": sum(table.rows for table in landed.tables.values())}

    ref = produce(run.home, KIND, digest, write)
    if segmentation and not json.loads((Path(ref.path) / LANDED).read_text(encoding="utf-8")).get("moved"):
        remember(run.home, segmentation, Last(digest=digest, settings=fixed, snapshot=snapshot))
    return _read(ref)


def _ingested(
    module: ModuleType, source: Section, config: IngestConfig, rules: ValidateConfig, before: Earlier | None,
    place: Path, as_of: datetime | None, run: RunContext, execution: ExecutionConfig,
) -> Ingested:  # fmt: skip
    """Ingest, what was there before added, and then the rules that look at the whole."""

    def each(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return parallel(function, items, execution)

    read = module.read(source, before.since) if before else module.read(source)
    found = ingest(
        read, config, place, run_id=run.run_id, as_of=as_of, now=datetime.now(UTC), run=each,
        previous=before.folders if before else None,
    )  # fmt: skip
    screened = screen(joined(found, before) if before else found, rules, place, run.run_id, each)
    times = [screened.tables[name].newest for name in (EVENTS.name, TEXTS.name) if name in screened.tables]
    newest = max((time for time in times if time is not None), default=found.as_of)
    return replace(screened, as_of=as_of or newest)


def _facts(landed: Ingested, place: Path, before: Earlier | None) -> dict[str, Any]:
    """What the artifact tells about itself."""
    return {
        "as_of": landed.as_of.isoformat(),
        "accounts": [table.accounting.model_dump() for table in landed.tables.values()],
        "tables": {name: [table.rows, table.buckets, table.columns] for name, table in landed.tables.items()},
        "buckets": {name: bucket_facts(place / name, table.buckets) for name, table in landed.tables.items()},
        "quarantined": len(landed.quarantine),
        "added_to": sorted(before.folders) if before else [],
    }


def _read(ref: ArtifactRef) -> Landed:
    """What an ingest artifact holds."""
    facts = json.loads((Path(ref.path) / LANDED).read_text(encoding="utf-8"))

    def table(name: str, rows: int, buckets: int, columns: list[str]) -> ArtifactRef:
        return ArtifactRef(
            kind=name, fingerprint=fingerprint(ref, name), path=f"{ref.path}/{name}",
            rows=rows, buckets=buckets, columns=tuple(columns), meta=facts["buckets"].get(name, {}),
        )  # fmt: skip

    return Landed(
        tables={name: table(name, *shape) for name, shape in facts["tables"].items()},
        quarantine=table(QUARANTINE.name, facts["quarantined"], 1, list(QUARANTINE.names)),
        accounts=tuple(Accounting(**account) for account in facts["accounts"]),
        as_of=datetime.fromisoformat(facts["as_of"]),
    )
