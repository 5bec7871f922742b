"""Makes a model version live: published tables first, then the pointer in one step, then MLflow's aliases."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.artifacts import ArtifactRef, RunContext
from schemas.errors import FenqunError, UsageError
from schemas.reports import Verdict
from schemas.runs import Decided, Publication, Registered, Scored
from schemas.tables import ASSIGNMENTS, QUARANTINE, SEGMENT_ID, SEGMENTS, TRANSITIONS
from tasks.histories import kept as learned
from tasks.models.keep import BUNDLE
from tasks.registry.published import resized
from tasks.segments import bundle as bundles
from tasks.segments.identity import transitions
from tasks.stores import pointer, tables
from tasks.stores.book import Day
from tasks.stores.buckets import read_table
from tasks.stores.ledger import Ledger
from tasks.stores.seen import SEEN, seen
from tasks.validation.handover import accept

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
    day: Day, model: Registered, tables_: Publication, author: str = SCHEDULE, reason: str = PASSED
) -> pointer.Pointer:
    """Publishes a version's tables and makes it live; readers see the old or the new champion, whole.

    Promoting what is live already, for the same moment and told in the same words, changes nothing.

    Args:
        day: The run; another change of the pointer since it began wins.
        model: The registered version.
        tables_: What is published with it.
        author: Who promotes.
        reason: Why.

    Raises:
        PointerMoved: another promotion, rollback or assignment came first.
        UsageError: it calls a segment what another one was called that was live since.
    """
    run, place, known = day.context, (day.context.home, day.name), seen(day)
    with pointer.changing(*place, day.revision) as current:
        _unused(current, model, day.name)
        moved, again, segments = current, _same(current.live, model, run), read_table(tables_.segments)
        if not (again and _told(day, current.live, segments)):
            versions = publish(
                day, current.live, read_table(tables_.assignments), segments, read_table(tables_.transitions)
            )
            made = {ASSIGNMENTS.name: tables_.assignments, SEGMENTS.name: tables_.segments, SEEN: known}
            live = pointer.Live(
                model_version=model.version,
                bundle=str(Path(model.bundle.path).relative_to(run.home)),
                sha256=model.sha256,
                run_id=run.run_id,
                tables=versions,
                sums=tables.sums(*place, versions),
                made=_places(run, made),
                users=tables_.assignments.rows,
                as_of=run.as_of,
                promoted_at=datetime.now(UTC),
                author=author,
                reason=reason,
            )
            day.ledger.keep()
            before = current.previous if again else current.live  # other words for what is live are no other champion
            moved = pointer.replace(*place, current, live, before, segments[SEGMENT_ID].to_list())
    accept(run, day.name)
    mirror(moved, day.ledger)
    return moved


def refresh(day: Day, scored: Scored) -> tuple[pointer.Pointer, int]:
    """Publishes new assignments of the same champion, in one step; returns the pointer and how many users moved.

    Args:
        day: The run; another change of the pointer since it began wins.
        scored: The assignments.

    Raises:
        PointerMoved: a promotion, rollback or other assignment came first.
    """
    run, place, known = day.context, (day.context.home, day.name), seen(day)
    with pointer.changing(*place, day.revision) as current:
        live = current.live
        if live is None:  # an assignment of this revision was made by its champion
            raise UsageError(f"{day.name}: nothing is live; nothing was published")
        new, old = read_table(scored.assignments), tables.read_live(*place, ASSIGNMENTS.name, live)
        segments = resized(tables.read_live(*place, SEGMENTS.name, live), new, run.as_of)
        steps = transitions(old, new, run.as_of, live.model_version, revision=current.revision + 1)
        versions = publish(day, live, new, segments, steps)
        named = {**live.tables, **versions}
        told = {"tables": named, "sums": tables.sums(*place, named), "as_of": run.as_of}
        basis = {name: path for name, path in live.made.items() if name == learned.BASIS}  # as the lists that it made
        told["made"] = basis | _places(run, {ASSIGNMENTS.name: scored.assignments, SEEN: known})
        moved = pointer.replace(*place, current, live.model_copy(update=told), current.previous)
    accept(run, day.name)
    mirror(moved, day.ledger)
    return moved, tables.rows_added(*place, TRANSITIONS.name, live.tables[TRANSITIONS.name], versions[TRANSITIONS.name])


def _places(run: RunContext, refs: Mapping[str, ArtifactRef | None]) -> dict[str, str]:
    """Folders of artifacts that there are, relative to the state folder."""
    return {name: str(Path(ref.path).relative_to(run.home)) for name, ref in refs.items() if ref is not None}


def publish(
    day: Day, live: pointer.Live | None, assignments: "pl.DataFrame", segments: "pl.DataFrame", steps: "pl.DataFrame"
) -> dict[str, int]:
    """Writes all published tables; nobody sees them before the pointer names these versions."""
    place, named = (day.context.home, day.name), live.tables if live else {}
    if live is not None:  # what is added to has to be whole: its new sum would speak for it
        for name in named:
            tables.check(*place, name, live)
    aside = read_table(day.landed.quarantine)
    return {
        ASSIGNMENTS.name: tables.publish(*place, ASSIGNMENTS.name, assignments),
        SEGMENTS.name: tables.publish(*place, SEGMENTS.name, segments),
        TRANSITIONS.name: tables.publish_onto(*place, TRANSITIONS.name, steps, named.get(TRANSITIONS.name)),
        QUARANTINE.name: tables.publish_onto(*place, QUARANTINE.name, aside, named.get(QUARANTINE.name)),
    }


def mirror(moved: pointer.Pointer, ledger: Ledger) -> str | None:
    """Makes MLflow's aliases follow the pointer; returns why they do not, where they do not."""
    return ledger.mirror(*(live.model_version if live else None for live in (moved.live, moved.previous)))


def mend(now: pointer.Pointer, ledger: Ledger) -> None:
    """What a run does first: makes good what a killed one left behind.

    Raises:
        DataError: the pointer and the ledger are of different times.
    """
    ledger.agree(now.live.model_version if now.live else None)
    ledger.close_killed()
    mirror(now, ledger)


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
        FenqunError: there is no previous champion, or it is not there any more, whole.
        PointerMoved: another change came first.
    """
    if not author.strip() or not reason.strip():
        raise UsageError("rollback: give the name of who decides (--author) and the reason (--reason)")
    whole(home, ledger.segmentation, pointer.read(home, ledger.segmentation).previous)
    moved = pointer.rollback(home, ledger.segmentation, expected, datetime.now(UTC), author, reason)
    told = decided(moved, ledger.segmentation, True)
    behind: str | None = None
    try:
        behind = mirror(moved, ledger)
        if moved.live is not None:
            ledger.version_tags(moved.live.model_version, {"fenqun.rolled_back_to": f"{author}: {reason}"})
    except Exception as error:  # the pointer is the truth; whatever ails MLflow must not undo a rollback
        behind = behind or str(error).split("\n", 1)[0][:200]
    return told.model_copy(update={"behind": behind})


def whole(home: str, segmentation: str, live: pointer.Live | None) -> None:
    """Looks whether a champion's model and tables are there, as they were recorded.

    Raises:
        FenqunError: something is missing or was changed; the message says what.
    """
    if live is None:
        return
    try:
        bundles.load(Path(home) / live.bundle / BUNDLE, live.sha256)
        for name in live.tables:
            tables.read_live(home, segmentation, name, live)
        if learned.BASIS in live.made:
            learned.read_live(home, segmentation, live)
    except Exception as error:  # whatever a damaged folder or table raises, it cannot be gone back to
        told = " ".join(str(error).split())[:300]
        raise FenqunError(
            f"{segmentation}: version {live.model_version} is not whole any more ({told}); nothing was changed. Run "
            "`fenqun doctor --repair`, or promote a registered version"
        ) from error


def decided(moved: pointer.Pointer, segmentation: str, changed: bool, verdict: Verdict | None = None) -> Decided:
    """What a promotion or rollback came to."""
    return Decided(
        segmentation=segmentation,
        live=moved.live and moved.live.model_version,
        previous=moved.previous and moved.previous.model_version,
        changed=changed,
        revision=moved.revision,
        verdict=verdict,
    )


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


def _told(day: Day, live: pointer.Live | None, segments: "pl.DataFrame") -> bool:
    """Whether readers have the segments in these very words: a note may be another one."""
    before = None if live is None else tables.read_live(day.context.home, day.name, SEGMENTS.name, live)
    if before is None or set(before.columns) != set(segments.columns):
        return False
    return before.select(segments.columns).sort(SEGMENT_ID).equals(segments.cast(before.schema).sort(SEGMENT_ID))
