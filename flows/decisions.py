"""What the commands about the live model and the published tables do."""

from pathlib import Path

from flows.commands import prefect_starting
from schemas.config import LedgerConfig
from schemas.errors import FenqunError
from schemas.runs import Decided, Told
from tasks.stores.home import home


def promote(segmentation: str, version: str, author: str, reason: str, tracking_uri: str | None) -> None:
    """Judges a registered version on today's data and tells whether it is live now."""
    from tasks.serving.promoting import override_of
    from tasks.stores.ledger import Ledger

    override_of(author, reason)
    books = LedgerConfig(tracking_uri=tracking_uri)
    Ledger(books, home(), segmentation).version(version)  # a version that is not there is told before servers start
    with prefect_starting():
        from flows.promote import promote as flow

    told = flow(segmentation, version, author, reason, books)
    verdict = told.verdict
    for gate in verdict.failures if verdict else ():
        print(f"failed    {gate.name}: {gate.why} (bound {gate.bound})")
    if verdict and verdict.override:
        print(f"overridden by {verdict.override}")
    if not told.changed:
        stays = f"version {told.live} stays live" if told.live else "nothing is live"
        raise FenqunError(
            f"{segmentation}: version {version} was refused; {stays}. To promote it all the same, give --author and "
            "--reason"
        )
    tell(told)


def rollback(segmentation: str, author: str, reason: str, tracking_uri: str | None) -> None:
    """Brings the previous champion back, at once: no server is started for it."""
    from tasks.serving.asking import expect
    from tasks.serving.promoting import roll_back
    from tasks.stores.ledger import Ledger
    from tasks.stores.pointer import read

    expect(home(), segmentation)
    books = Ledger(LedgerConfig(tracking_uri=tracking_uri), home(), segmentation)
    told = roll_back(read(home(), segmentation).revision, author, reason, home(), books)
    if told.behind:
        print(f"MLflow's aliases will follow at the next run ({told.behind})")
    tell(told)


def tell(told: Decided) -> None:
    """Prints what is live now."""
    previous = f"version {told.previous} is previous" if told.previous else "there is no previous version"
    print(f"{told.segmentation}: version {told.live} is live, {previous}")


def user(segmentation: str, user_id: str) -> None:
    """Tells a user's segment, since when, why, and the history."""
    from tasks.serving.asking import user as ask

    told = ask(home(), segmentation, user_id)
    print(f"{told.user_id}: {_where(told)}")
    distance = "" if told.distance is None else f", distance {told.distance:.3f}"
    print(f"  confidence {told.confidence:.2f}{distance}")
    if told.second_segment_id:
        print(f"  {'second' if told.segment_id else 'nearest'}: {told.second_segment_id} {told.second_name}")
    for reason in told.reasons:
        print(f"  because {reason}")
    print(f"  version {told.model_version}, as of {told.as_of:%Y-%m-%d %H:%M}")
    for moment, before, after, version in told.history:
        print(f"  {moment:%Y-%m-%d %H:%M}  {before or '-'} -> {after or '-'}  (version {version})")


def _where(told: Told) -> str:
    """The segment, and since when."""
    since = f" since {told.history[-1][0]:%Y-%m-%d}" if told.history else ""
    return (f"{told.segment_id} {told.name}" if told.segment_id else told.status) + since


def export(segmentation: str, segment: str | None, output: str) -> None:
    """Writes a segment's members to a file."""
    from tasks.serving.asking import export_members

    print(f"{export_members(home(), segmentation, segment, output)} users written to {Path(output)}")
