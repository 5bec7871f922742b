"""Brings a source's rows into bucketed contract tables, once for the same source, config and clock."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import ExecutionConfig, IngestConfig, Section
from schemas.reports import Accounting
from schemas.runs import Landed
from schemas.tables import QUARANTINE
from tasks.serving.plugins import module_of
from tasks.stores.artifacts import fingerprint, produce, write_parquet
from tasks.stores.buckets import parallel
from tasks.stores.ingest import ingest

LANDED = "landed.json"


def land(
    source: Section, config: IngestConfig, as_of: datetime | None, run: RunContext, execution: ExecutionConfig
) -> Landed:
    """Reads a source into buckets.

    Args:
        source: A `Config` of `tasks/sources`.
        config: Buckets and row policies.
        as_of: UTC moment to look at; None: the newest event.
        run: Names the rows set aside; gives the state folder and the code version.
        execution: Where the buckets are finished.

    Returns:
        References to the tables and to the quarantine, and the account of every row.
    """
    module = module_of("sources", source)
    digest = fingerprint("ingest", source, module.snapshot(source), config, as_of, run.code_version)

    def write(place: Path) -> dict[str, Any]:
        landed = ingest(
            module.read(source), config, place, run_id=run.run_id, as_of=as_of, now=datetime.now(UTC),
            run=lambda function, items: parallel(function, items, execution),
        )  # fmt: skip
        write_parquet(place / QUARANTINE.name / "bucket-0000.parquet", landed.quarantine)
        facts = {
            "as_of": landed.as_of.isoformat(),
            "accounts": [table.accounting.model_dump() for table in landed.tables.values()],
            "tables": {name: [table.rows, table.buckets, table.columns] for name, table in landed.tables.items()},
            "quarantined": len(landed.quarantine),
        }
        (place / LANDED).write_text(json.dumps(facts), encoding="utf-8")
        return {"rows": sum(table.rows for table in landed.tables.values())}

    return _read(produce(run.home, "ingest", digest, write))


def _read(ref: ArtifactRef) -> Landed:
    """What an ingest artifact holds."""
    facts = json.loads((Path(ref.path) / LANDED).read_text(encoding="utf-8"))

    def table(name: str, rows: int, buckets: int, columns: list[str]) -> ArtifactRef:
        return ArtifactRef(
            kind=name, fingerprint=fingerprint(ref, name), path=f"{ref.path}/{name}",
            rows=rows, buckets=buckets, columns=tuple(columns),
        )  # fmt: skip

    return Landed(
        tables={name: table(name, *shape) for name, shape in facts["tables"].items()},
        quarantine=table(QUARANTINE.name, facts["quarantined"], 1, list(QUARANTINE.names)),
        accounts=tuple(Accounting(**account) for account in facts["accounts"]),
        as_of=datetime.fromisoformat(facts["as_of"]),
    )
