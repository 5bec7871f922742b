"""What a run was made of, as the ledger keeps it."""

import importlib.metadata
from typing import Any

import yaml

from schemas.artifacts import RunContext
from schemas.reports import SegmentProfile
from schemas.runs import Landed, Vectors
from tasks.serving.describing import markdown
from tasks.stores.ledger import Ledger

COUNTED = ("read", "accepted", "quarantined", "deduplicated")


def record(
    config: dict[str, Any],
    landed: Landed,
    vectors: Vectors,
    profiles: tuple[SegmentProfile, ...],
    run: RunContext,
    ledger: Ledger,
) -> None:
    """Logs config, environment, data with fingerprints, counts of texts, and the segments as the run's note.

    Args:
        config: The run's config, as JSON.
        landed: The data.
        vectors: For how many texts were at hand and how many had to be encoded.
        profiles: The segments.
        run: The run.
        ledger: The segmentation's ledger.
    """
    installed = sorted({f"{one.name}=={one.version}" for one in importlib.metadata.distributions()}, key=str.lower)
    ledger.text(run.run_id, "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    ledger.text(run.run_id, "environment.txt", "\n".join(installed))
    ledger.datasets(run.run_id, landed.tables)
    if vectors.texts is not None:
        ledger.metrics(run.run_id, {"texts.hits": vectors.texts.hits, "texts.misses": vectors.texts.misses})
    rows = {f"rows.{one.table}.{name}": getattr(one, name) for one in landed.accounts for name in COUNTED}
    ledger.metrics(run.run_id, rows)
    ledger.tags(run.run_id, {"mlflow.note.content": markdown(profiles), "fenqun.code": run.code_version})
