"""Makes a model version live: published tables first, then the pointer in one step, then MLflow's aliases."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.artifacts import ArtifactRef, RunContext
from schemas.reports import SegmentProfile, Verdict
from schemas.runs import Registered, Standing
from schemas.tables import ASSIGNMENTS, QUARANTINE, SEGMENTS, TRANSITIONS
from tasks.segments.identity import transitions
from tasks.serving.validating import accept
from tasks.stores import pointer, tables
from tasks.stores.buckets import read_table
from tasks.stores.ledger import Ledger

if TYPE_CHECKING:
    import polars as pl


def tag_verdict(verdict: Verdict, version: str, ledger: Ledger, run_id: str) -> None:
    """Writes every gate's outcome to the model version and the run."""
    told = {
        f"gate.{gate.name}": f"{'passed' if gate.passed else 'FAILED'}: {gate.why} (bound {gate.bound})"
        for gate in verdict.gates
    }
    told["fenqun.verdict"] = "promoted" if verdict.promoted else "refused"
    if verdict.override:
        told["fenqun.override"] = verdict.override
    ledger.version_tags(version, told)
    ledger.tags(run_id, told)


def promote(
    model: Registered,
    profiles: tuple[SegmentProfile, ...],
    standing: Standing | None,
    quarantine: ArtifactRef,
    expected: int,
    run: RunContext,
    ledger: Ledger,
    author: str = "schedule",
    reason: str = "passed every gate",
) -> pointer.Pointer:
    """Publishes a version's tables and makes it live; readers see the old or the new champion, whole.

    Args:
        model: The registered version.
        profiles: Its segments.
        standing: The champion that it replaces, for the transitions; None: there is none.
        quarantine: Rows set aside by the run.
        expected: The pointer's revision when the run began; another promotion since then wins.
        run: Gives as_of and the state folder.
        ledger: The segmentation's ledger.
        author: Who promotes.
        reason: Why.

    Raises:
        PointerMoved: another promotion came first.
    """
    place = (run.home, ledger.segmentation)
    current = pointer.read(*place)
    if current.live is not None and current.live.model_version == model.version and _same(current.live, model, run):
        return current
    new = read_table(model.assignments)
    old = None if standing is None else read_table(standing.assignments)
    versions = {
        ASSIGNMENTS.name: tables.publish(*place, ASSIGNMENTS.name, new),
        SEGMENTS.name: tables.publish(*place, SEGMENTS.name, segments_frame(profiles, model.version, run.as_of)),
        TRANSITIONS.name: tables.publish(
            *place, TRANSITIONS.name, transitions(old, new, run.as_of, model.version), append=True
        ),
        QUARANTINE.name: tables.publish(*place, QUARANTINE.name, read_table(quarantine), append=True),
    }
    live = pointer.Live(
        model_version=model.version, bundle=str(Path(model.bundle.path).relative_to(run.home)), run_id=run.run_id,
        tables=versions, users=len(new), as_of=run.as_of, promoted_at=datetime.now(UTC), author=author, reason=reason,
    )  # fmt: skip
    moved = pointer.promote(*place, expected, live)
    accept(run, ledger.segmentation)
    ledger.mirror(moved.live and moved.live.model_version, moved.previous and moved.previous.model_version)
    return moved


def _same(live: pointer.Live, model: Registered, run: RunContext) -> bool:
    """Whether the same model already speaks for the same moment: then there is nothing to publish."""
    return live.as_of == run.as_of and str(run.home) in model.bundle.path


def segments_frame(profiles: tuple[SegmentProfile, ...], version: str, as_of: datetime) -> "pl.DataFrame":
    """Segment profiles as the published table."""
    import polars as pl

    rows = [
        {
            "segment_id": p.segment_id, "name": p.name, "size": p.size, "share": p.share, "evidence": list(p.evidence),
            "top_categories": list(p.top_categories), "top_items": list(p.top_items), "note": p.note,
            "colour": p.colour, "model_version": version, "as_of": as_of,
        }
        for p in profiles
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=SEGMENTS.polars_schema())
