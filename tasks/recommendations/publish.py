"""Lists become what readers have, under the pointer that names their model, and files beside the report."""

from collections.abc import Iterator
from pathlib import Path

from schemas.recommended import Lists, Recommended
from schemas.tables import ITEM_ID, RANK, REMADE, SEGMENT_ID, USER_ID
from tasks.disk.files import flush_below
from tasks.histories.kept import BASIS
from tasks.recommendations.files import files
from tasks.stores import pointer, tables
from tasks.stores.book import Book, Day
from tasks.stores.buckets import read_table
from tasks.validation.handover import accept

UNCHOSEN = "evaluate.lift is off: items are not users' choices, so that none is recommended"


def publish(day: Day, lists: Lists) -> Recommended:
    """Publishes the lists of the live model in one step, and writes them as files.

    Args:
        day: The run; another change of the pointer since it began wins.
        lists: As they were checked.

    Raises:
        PointerMoved: a promotion, rollback or assignment came first: the lists may be of another model.
    """
    run, frames = day.context, {name: read_table(ref) for name, ref in lists.tables().items()}
    with pointer.changing(run.home, day.name, day.revision) as current:
        assert current.live is not None  # the lists are of what was live at this revision
        live = current.live.without(*REMADE)
        made = {name: tables.publish(run.home, day.name, name, frame) for name, frame in frames.items()}
        sums = tables.sums(run.home, day.name, made)
        flush_below(Path(lists.basis.path))
        update = {"tables": {**live.tables, **made}, "sums": {**live.sums, **sums}}
        basis = {BASIS: str(Path(lists.basis.path).relative_to(run.home))}
        live = live.model_copy(update={**update, "made": {**live.made, **basis}})
        moved = pointer.replace(run.home, day.name, current, live, current.previous)
    accept(run, day.name)
    whole, of_users = (frames.get(name) for name in REMADE)
    assert whole is not None  # a table without a row was refused
    told = Recommended(
        segmentation=day.name,
        run_id=run.run_id,
        model_version=lists.model_version,
        segments=whole[SEGMENT_ID].drop_nulls().n_unique(),
        users=0 if of_users is None else of_users[USER_ID].n_unique(),
        items=whole[ITEM_ID].n_unique(),
        why=tuple(_short(day, lists, len(whole[RANK].unique()))),
        files=tuple(map(str, files(day, whole, of_users))),
        revision=moved.revision,
    )
    counts = {"segments": told.segments, "users": told.users, "items": told.items}
    day.ledger.metrics(run.run_id, {f"recommended.{name}": value for name, value in counts.items()})
    return told


def _short(day: Day, lists: Lists, longest: int) -> Iterator[str]:
    """Why lists are shorter than asked for, or not there."""
    config = day.settings.recommend
    if longest < config.n:
        more = f", and {lists.unchosen} others are known by their texts or categories" if lists.unchosen else ""
        yield f"the lists have {longest} items, not {config.n}: of all items, {lists.choosable} were ever chosen{more}"
    if lists.users is not None and not lists.users.rows:
        yield "no user has a list of their own: each has chosen everything; recommend.exclude_seen may be off"


def nothing(book: Book) -> Recommended:
    """Recommends nothing, where items are not users' choices; what an earlier config recommended is there no more."""
    run = book.context
    with pointer.changing(run.home, book.name, book.revision) as current:
        if current.live is not None and {*current.live.tables} & {*REMADE}:
            live = current.live.without(*REMADE, BASIS)
            current = pointer.replace(run.home, book.name, current, live, current.previous)
    return Recommended(segmentation=book.name, run_id=run.run_id, why=(UNCHOSEN,), revision=current.revision)
