"""What a run was made of, as the ledger keeps it."""

import importlib.metadata

from schemas.reports import SegmentProfile
from schemas.runs import Vectors
from tasks.reporting.segments import markdown
from tasks.stores.book import Day

COUNTED = ("read", "accepted", "quarantined", "deduplicated")


def record(day: Day, vectors: Vectors, profiles: tuple[SegmentProfile, ...]) -> None:
    """Logs environment, data with fingerprints, counts of texts, and the segments as the run's note.

    Args:
        day: The run.
        vectors: For how many texts were at hand and how many had to be encoded.
        profiles: The segments.
    """
    run, ledger, landed = day.context, day.ledger, day.landed
    installed = sorted({f"{one.name}=={one.version}" for one in importlib.metadata.distributions()}, key=str.lower)
    ledger.text(run.run_id, "environment.txt", "\n".join(installed))
    ledger.datasets(run.run_id, landed.tables)
    if vectors.texts is not None:
        ledger.metrics(run.run_id, {"texts.hits": vectors.texts.hits, "texts.misses": vectors.texts.misses})
    rows = {f"rows.{one.table}.{name}": getattr(one, name) for one in landed.accounts for name in COUNTED}
    ledger.metrics(run.run_id, rows)
    ledger.tags(run.run_id, {"mlflow.note.content": markdown(profiles), "fenqun.code": run.code_version})
