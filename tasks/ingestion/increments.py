"""What a segmentation landed last, so that the next ingest of a source that grew reads only what is new.

It is only taken up where the outcome is that of a full ingest; wherever that is not sure everything is read again.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pydantic import ValidationError

from schemas.artifacts import ArtifactRef
from schemas.config import IngestConfig, Section
from schemas.reports import Accounting, Report
from schemas.tables import INPUTS, QUARANTINE, REASON, TABLE
from tasks.cleaning.reasons import Reason
from tasks.disk.artifacts import find, write_text
from tasks.disk.files import recalled, sealed
from tasks.ingestion.rows import Ingested
from tasks.plugins.contracts import offers

if TYPE_CHECKING:
    import polars as pl

KIND = "ingest"


class Last(Report):
    """The last landing of a segmentation, as kept under the state folder."""

    digest: str
    settings: str
    snapshot: dict[str, str]


@dataclass(frozen=True)
class Earlier:
    """An earlier landing that new rows can be added to.

    Attributes:
        since: The source's snapshot then.
        folders: Table -> folder of its buckets; tables with a key are missing, because they are read whole.
        accounts: Table -> its account then.
        quarantine: What was set aside then, of those tables.
    """

    since: dict[str, str]
    folders: dict[str, Path]
    accounts: dict[str, Accounting]
    quarantine: "pl.DataFrame"


def _file(home: str, segmentation: str) -> Path:
    return Path(home) / "segmentations" / segmentation / "landed.json"


def remember(home: str, segmentation: str, last: Last) -> None:
    """Keeps what was landed, for the next ingest."""
    write_text(_file(home, segmentation), sealed(last.model_dump(mode="json")))


def recall(home: str, segmentation: str) -> Last | None:
    """What was landed last; None where nothing was, or where the file is not readable."""
    try:
        return Last.model_validate(recalled(_file(home, segmentation)))
    except (OSError, ValidationError):
        return None


def earlier(
    home: str,
    segmentation: str,
    module: ModuleType,
    source: Section,
    config: IngestConfig,
    as_of: datetime | None,
    settings: str,
) -> Earlier | None:
    """The last landing, if adding what is new to it gives what reading everything would.

    Args:
        home: The state folder.
        segmentation: Whose landing.
        module: The source's plugin; it tells whether its data only grew.
        source: Its config.
        config: Row policies; those that look at all rows of a table at once rule this out.
        as_of: The moment to look at; None: the newest event.
        settings: Fingerprint of everything that decides what a row becomes.
    """
    last = recall(home, segmentation) if offers("sources", module, "INCREMENTAL") else None
    if last is None or last.settings != settings or _looks_at_all(config):
        return None
    ref = find(home, KIND, last.digest)
    if ref is None or not module.grown(source, last.snapshot):
        return None
    facts = json.loads((Path(ref.path) / "landed.json").read_text(encoding="utf-8"))
    if as_of is not None and as_of < datetime.fromisoformat(facts["as_of"]):
        return None  # rows that are in the buckets would have to go
    return _made(last, ref, facts["accounts"])


def _made(last: Last, ref: ArtifactRef, accounts: list[dict[str, int]]) -> Earlier | None:
    """The earlier landing; None where rows were set aside that later moments let in."""
    import polars as pl

    told = {account.table: account for account in (Accounting.model_validate(one) for one in accounts)}
    names = [name for name in told if not INPUTS[name].key]
    aside = pl.read_parquet(Path(ref.path) / QUARANTINE.name / "bucket-0000.parquet")
    if aside[REASON].is_in([str(Reason.FUTURE), str(Reason.AFTER_AS_OF)]).any():
        return None
    return Earlier(
        since=last.snapshot,
        folders={name: Path(ref.path) / name for name in names},
        accounts={name: told[name] for name in names},
        quarantine=aside.filter(pl.col(TABLE).is_in(names)),
    )


def joined(new: Ingested, before: Earlier) -> Ingested:
    """The ingest of new rows with accounts and quarantine of all rows, as one ingest of everything has them."""
    import polars as pl

    tables = {
        name: replace(table, accounting=_sum(before.accounts[name], table.accounting))
        if name in before.accounts
        else table
        for name, table in new.tables.items()
    }
    return replace(new, tables=tables, quarantine=pl.concat([before.quarantine, new.quarantine]))


def _sum(a: Accounting, b: Accounting) -> Accounting:
    counts = ("read", "accepted", "quarantined", "deduplicated")
    return Accounting(table=b.table, **{name: getattr(a, name) + getattr(b, name) for name in counts})


def _looks_at_all(config: IngestConfig) -> bool:
    return any(policy.action == "quarantine" for policy in config.outliers.values())
