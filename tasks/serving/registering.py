"""Makes a bundle of the chosen candidate, assigns all users with it and registers it."""

import json
from collections.abc import Mapping

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import CalibrationConfig, ExecutionConfig
from schemas.reports import Lineage, SegmentProfile
from schemas.runs import Attempt, Registered, Standing, Vectors
from tasks.serving.assigning import assign_all, filled_lookup
from tasks.serving.building import build, named
from tasks.serving.finishing import finished
from tasks.serving.keeping import keep, model_files
from tasks.serving.requests import EXAMPLE
from tasks.stores.ledger import CHALLENGER, PROFILES, Ledger


def register_model(
    attempt: Attempt,
    vectors: Vectors,
    standing: Standing | None,
    profiles: tuple[SegmentProfile, ...],
    lineage: Lineage,
    tables: Mapping[str, ArtifactRef],
    config: CalibrationConfig,
    run: RunContext,
    execution: ExecutionConfig,
    ledger: Ledger,
) -> Registered:
    """Registers a candidate as a model version under the alias `challenger`.

    Args:
        attempt: The chosen candidate.
        vectors: How fresh vectors were made.
        standing: The champion, whose representation a warm candidate keeps.
        profiles: Its segments, by label.
        lineage: Their ids' history.
        tables: Input tables, whose users are assigned.
        config: Of the calibration.
        run: The run that registers.
        execution: Where the work runs.
        ledger: The segmentation's ledger.
    """
    bundle = build(
        ledger.segmentation, attempt, vectors, standing, named(profiles), lineage.next_number, tables, config, run
    )
    lookup = filled_lookup(bundle, tables, run, execution)
    bundle = finished(bundle, tables, lookup, run, execution)
    kept, sha256 = keep(bundle, tables, lookup, run)
    known = ledger.registered(sha256)
    born = tuple(name for name in lineage.ids if standing is None or name not in standing.ids)
    version = ledger.register(run.run_id, model_files(kept), sha256, describe(profiles), EXAMPLE, born)
    ledger.alias(CHALLENGER, version)
    if known is None:
        ledger.text(run.run_id, PROFILES, json.dumps([profile.model_dump(mode="json") for profile in profiles]))
    assignments = assign_all(bundle, sha256, version, tables, run, execution, lookup)
    return Registered(
        version=version, bundle=kept, sha256=sha256, born=born, new=known is None, assignments=assignments
    )


def describe(profiles: tuple[SegmentProfile, ...]) -> str:
    """Names and sizes of the segments, for the model version's page."""
    return "\n".join(f"- **{p.segment_id}** {p.name}: {p.size} users ({p.share:.1%})" for p in profiles)
