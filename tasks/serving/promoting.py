"""Makes a model version live: published tables first, then the pointer in one step, then MLflow's aliases."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.artifacts import ArtifactRef, RunContext
from schemas.errors import UsageError
from schemas.reports import SegmentProfile, Verdict
from schemas.runs import Decided, Registered, Scored
from schemas.tables import AS_OF, ASSIGNMENTS, QUARANTINE, SEGMENT_ID, SEGMENTS, SHARE, SIZE, TRANSITIONS
from tasks.segments.identity import transitions
from tasks.serving.validating import accept
from tasks.stores import pointer, tables
from tasks.stores.buckets import read_table
from tasks.stores.ledger import Ledger

if TYPE_CHECKING:
    import polars as pl

SCHEDULE, PASSED = "schedule", "passed every gate"


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


def override_of(author: str, reason: str) -> tuple[str, str] | None:
    """Who overrides the gates and why; None where nobody does.

    Raises:
        UsageError: only one of the two is given.
    """
    if not author.strip() and not reason.strip():
        return None
    if not author.strip() or not reason.strip():
        raise UsageError("override: give the name of who decides (--author) and the reason (--reason)")
    return author, reason


def promote(
    model: Registered,
    profiles: tuple[SegmentProfile, ...],
    quarantine: ArtifactRef,
    expected: int,
    run: RunContext,
    ledger: Ledger,
    author: str = SCHEDULE,
    reason: str = PASSED,
) -> pointer.Pointer:
    """Publishes a version's tables and makes it live; readers see the old or the new champion, whole.

    Promoting what is live already, for the same moment, changes nothing.

    Args:
        model: The registered version.
        profiles: Its segments.
        quarantine: Rows set aside by the run.
        expected: The pointer's revision when the run began; another change since then wins.
        run: Gives as_of and the state folder.
        ledger: The segmentation's ledger.
        author: Who promotes.
        reason: Why.

    Raises:
        PointerMoved: another promotion, rollback or assignment came first.
        UsageError: it calls a segment what another one was called that was live since.
    """
    place = (run.home, ledger.segmentation)
    with pointer.changing(*place, expected) as current:
        _unused(current, model, ledger.segmentation)
        moved = current
        if not _same(current.live, model, run):
            new = read_table(model.assignments)
            versions = publish(current.live, new, segments_frame(profiles, model.version, run.as_of), quarantine, run,
                               ledger.segmentation, model.version)  # fmt: skip
            live = pointer.Live(
                model_version=model.version, bundle=str(Path(model.bundle.path).relative_to(run.home)),
                sha256=model.sha256, run_id=run.run_id, tables=versions, users=len(new), as_of=run.as_of,
                promoted_at=datetime.now(UTC), author=author, reason=reason,
            )  # fmt: skip
            moved = pointer.replace(*place, current, live, current.live, [p.segment_id for p in profiles])
    accept(run, ledger.segmentation)
    mirror(moved, ledger)
    return moved


def refresh(
    scored: Scored, quarantine: ArtifactRef, expected: int, run: RunContext, ledger: Ledger
) -> tuple[pointer.Pointer, int]:
    """Publishes new assignments of the same champion, in one step; returns the pointer and how many users moved.

    Args:
        scored: The assignments.
        quarantine: Rows set aside by the run.
        expected: The pointer's revision when the run began.
        run: Gives as_of and the state folder.
        ledger: The segmentation's ledger.

    Raises:
        PointerMoved: a promotion, rollback or other assignment came first.
    """
    place = (run.home, ledger.segmentation)
    with pointer.changing(*place, expected) as current:
        live = current.live
        if live is None:  # an assignment of this revision was made by its champion
            raise UsageError(f"{ledger.segmentation}: nothing is live; nothing was published")
        new = read_table(scored.assignments)
        before = tables.read(*place, SEGMENTS.name, live.tables[SEGMENTS.name])
        segments = resized(before, new, run.as_of)
        versions = publish(live, new, segments, quarantine, run, ledger.segmentation, live.model_version)
        fresh = live.model_copy(update={"tables": {**live.tables, **versions}, "as_of": run.as_of})
        moved = pointer.replace(*place, current, fresh, current.previous)
    accept(run, ledger.segmentation)
    mirror(moved, ledger)
    return moved, rows_between(*place, live.tables[TRANSITIONS.name], versions[TRANSITIONS.name])


def publish(
    live: pointer.Live | None, new: "pl.DataFrame", segments: "pl.DataFrame", quarantine: ArtifactRef,
    run: RunContext, segmentation: str, version: str,
) -> dict[str, int]:  # fmt: skip
    """Writes all published tables; nobody sees them before the pointer names these versions.

    Transitions lead from what was published last, so that a user's history is a chain without gaps.
    """
    place = (run.home, segmentation)
    named = {} if live is None else live.tables
    old = tables.read(*place, ASSIGNMENTS.name, named[ASSIGNMENTS.name]) if ASSIGNMENTS.name in named else None
    steps = transitions(old, new, run.as_of, version)
    aside = read_table(quarantine)
    return {
        ASSIGNMENTS.name: tables.publish(*place, ASSIGNMENTS.name, new),
        SEGMENTS.name: tables.publish(*place, SEGMENTS.name, segments),
        TRANSITIONS.name: tables.publish_onto(*place, TRANSITIONS.name, steps, named.get(TRANSITIONS.name)),
        QUARANTINE.name: tables.publish_onto(*place, QUARANTINE.name, aside, named.get(QUARANTINE.name)),
    }


def rows_between(home: str, segmentation: str, before: int, after: int) -> int:
    """How many rows were added to the transitions between two versions."""
    counts = (len(tables.read(home, segmentation, TRANSITIONS.name, version)) for version in (after, before))
    return next(counts) - next(counts)


def mirror(moved: pointer.Pointer, ledger: Ledger) -> None:
    """Makes MLflow's aliases follow the pointer."""
    ledger.mirror(*(live.model_version if live else None for live in (moved.live, moved.previous)))


def roll_back(expected: int, author: str, reason: str, home: str, ledger: Ledger) -> Decided:
    """Exchanges the champion with the previous one; neither data nor MLflow is needed.

    Args:
        expected: The pointer's revision when the decision was made.
        author: Who rolls back; recorded.
        reason: Why; recorded.
        home: The state folder.
        ledger: The segmentation's ledger, whose aliases follow.

    Raises:
        UsageError: author or reason is missing.
        FenqunError: there is no previous champion.
        PointerMoved: another change came first.
    """
    if not author.strip() or not reason.strip():
        raise UsageError("rollback: give the name of who decides (--author) and the reason (--reason)")
    moved = pointer.rollback(home, ledger.segmentation, expected, datetime.now(UTC), author, reason)
    told = decided(moved, ledger.segmentation, True)
    try:
        mirror(moved, ledger)
        if moved.live is not None:
            ledger.version_tags(moved.live.model_version, {"fenqun.rolled_back_to": f"{author}: {reason}"})
    except Exception as error:  # the pointer is the truth; whatever ails MLflow must not undo a rollback
        return told.model_copy(update={"behind": str(error).split("\n", 1)[0][:200]})
    return told


def decided(moved: pointer.Pointer, segmentation: str, changed: bool, verdict: Verdict | None = None) -> Decided:
    """What a promotion or rollback came to."""
    return Decided(
        segmentation=segmentation, live=moved.live and moved.live.model_version,
        previous=moved.previous and moved.previous.model_version, changed=changed, revision=moved.revision,
        verdict=verdict,
    )  # fmt: skip


def standing_now(home: str, segmentation: str, changed: bool, verdict: Verdict) -> Decided:
    """The same, read from the pointer as it stands."""
    return decided(pointer.read(home, segmentation), segmentation, changed, verdict)


def _unused(current: pointer.Pointer, model: Registered, segmentation: str) -> None:
    """Ids are never reused: two versions that were made beside the same champion may have given one id twice."""
    for name in model.born:
        other = current.born.get(name, model.version)
        if other != model.version:
            raise UsageError(
                f"{segmentation}: version {model.version} calls a segment {name}, which is another segment since "
                f"version {other} was live; run `fenqun retrain` for a version of its own ids"
            )


def _same(live: pointer.Live | None, model: Registered, run: RunContext) -> bool:
    """Whether this very content already speaks for this very moment: then there is nothing to publish."""
    return (
        live is not None
        and (live.sha256, live.model_version) == (model.sha256, model.version)
        and live.as_of == run.as_of
    )


def resized(segments: "pl.DataFrame", assignments: "pl.DataFrame", as_of: datetime) -> "pl.DataFrame":
    """The published segments with today's sizes."""
    import polars as pl

    counted = assignments.group_by(SEGMENT_ID).len(SIZE).select(SEGMENT_ID, pl.col(SIZE).cast(pl.Int64))
    joined = segments.drop(SIZE, SHARE).join(counted, on=SEGMENT_ID, how="left", maintain_order="left")
    return joined.with_columns(
        pl.col(SIZE).fill_null(0),
        (pl.col(SIZE).fill_null(0) / max(len(assignments), 1)).alias(SHARE),
        pl.lit(as_of).cast(segments.schema[AS_OF]).alias(AS_OF),
    ).select(segments.columns)


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
