"""Brings back what was lost of a state folder: MLflow's database from its copy, what is live from its history."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from schemas.artifacts import RunContext
from schemas.config import LedgerConfig
from schemas.errors import DataError, FenqunError
from schemas.tables import AS_OF, ASSIGNMENTS, MODEL_VERSION, PUBLISHED, QUARANTINE, REMADE, SEGMENTS, TRANSITIONS
from tasks.disk import database
from tasks.disk.artifacts import at, code_version
from tasks.disk.files import set_aside
from tasks.disk.lock import held
from tasks.histories import kept as learned
from tasks.models.fetch import fetch
from tasks.models.keep import BUNDLE, check
from tasks.segments import bundle as bundles
from tasks.stores import pointer, tables
from tasks.stores.buckets import read_table
from tasks.stores.ledger import BORN_TAG, CHAMPION, Ledger

_REPLACED = (ASSIGNMENTS.name, SEGMENTS.name)
"""Tables that each run replaces: there is no champion without them."""
_ADDED = (TRANSITIONS.name, QUARANTINE.name)
"""Tables that each run adds rows to: what is known of earlier days is better than nothing."""


def repair(home: str, segmentation: str, config: LedgerConfig | None = None) -> list[str]:
    """Goes back to the newest state of a segmentation that is whole; what is whole already stays as it is.

    Args:
        home: The state folder.
        segmentation: Whose pointer, tables and model.
        config: Where MLflow is; None: SQLite under the state folder.

    Returns:
        What was wrong and what was done, a line each; empty where nothing was wrong.

    Raises:
        DataError: nothing whole is left; the message says what to restore.
    """
    ledger, told = Ledger(config or LedgerConfig(), home, segmentation), []
    if not ledger.config.tracking_uri and (done := database.restore(home)):
        told.append(done)
    with held(pointer.pointer_path(home, segmentation).with_suffix(".lock")):
        told += _pointer(ledger)
    return told


def _pointer(ledger: Ledger) -> list[str]:
    home, name = ledger.home, ledger.segmentation
    told: list[str] = []
    try:
        now = pointer.read(home, name)
        if now.live is None and CHAMPION not in ledger.aliases():
            return []
    except DataError as error:
        now = pointer.Pointer()
        told.append(str(error).split("; ")[0])
    known = list(_known(ledger, told))
    for one in known:
        wrong: list[str] = []
        live = _mended(one.live, known, ledger, wrong)
        told += wrong
        if live is None:
            continue
        if one == now and live == now.live:
            return told
        previous = _mended(one.previous, known, ledger, told)
        _replace(ledger, known, live, previous)
        return [*told, f"{name}: version {live.model_version} is live again, as of {live.as_of:%Y-%m-%d %H:%M}"]
    raise DataError(
        f"{name}: {'; '.join(told) or 'nothing is live'}, and nothing whole is left: restore a backup, or "
        f"delete {pointer.pointer_path(home, name).parent} and run `fenqun retrain`"
    )


def _known(ledger: Ledger, told: list[str]) -> Iterator[pointer.Pointer]:
    """All that is known of what was live, the newest first; what cannot be read is set aside."""
    home, name = ledger.home, ledger.segmentation
    path, kept = pointer.pointer_path(home, name), pointer.revisions(home, name)
    found = {}
    for file in [path, *kept]:
        try:
            one = pointer.parsed(file)
            found[one.revision] = one
        except FileNotFoundError:
            continue
        except DataError as error:
            told.append(str(error).split("; ")[0])
            set_aside(file, "not what was written")
    yield from (found[revision] for revision in sorted(found, reverse=True))
    if not found and (live := _from_alias(ledger, told)) is not None:
        yield pointer.Pointer(revision=1, live=live)


def _mended(
    live: pointer.Live | None, known: list[pointer.Pointer], ledger: Ledger, told: list[str]
) -> pointer.Live | None:
    """A champion whose model and tables are whole: a damaged model is fetched from MLflow, a damaged history is cut."""
    if live is None:
        return None
    try:
        for table in _REPLACED:
            live = _with_table(live, table, ledger, told)
        live = _with_model(live, ledger, told)
    except FenqunError as error:
        told.append(f"version {live.model_version}: {str(error).split('; ')[0]}")
        return None
    for table in sorted(live.tables.keys() & set(_ADDED)):
        live = _with_history(live, table, known, ledger, told)
    return _without_damage(live, ledger, told)


def _without_damage(live: pointer.Live, ledger: Ledger, told: list[str]) -> pointer.Live:
    """A champion that names of what `recommend` makes again only what is whole, and its own."""
    gone = []
    place = (ledger.home, ledger.segmentation)
    for name in [*sorted(live.tables.keys() & set(REMADE)), *({learned.BASIS} & live.made.keys())]:
        try:
            learned.read_live(*place, live) if name == learned.BASIS else tables.read_live(*place, name, live)
        except DataError as error:
            gone.append(name)
            told.append(f"{str(error).split(' and is not read')[0].split('; ')[0]}; left out until `fenqun recommend`")
    return live.without(*gone) if gone else live


def _with_table(live: pointer.Live, table: str, ledger: Ledger, told: list[str]) -> pointer.Live:
    """A champion whose assignments or segments are whole: damaged ones are published again, as the run left them."""
    place = (ledger.home, ledger.segmentation, table)
    wrong = _wrong(*place, live)
    if wrong is None:
        return live
    ref = at(ledger.home, live.made[table]) if table in live.made else None
    if ref is None:
        raise DataError(wrong)
    told.append(f"{wrong}; published again from {ref.path}")
    return _renewed(live, table, tables.publish_anew(*place, read_table(ref)), ledger)


def _renewed(live: pointer.Live, table: str, version: int, ledger: Ledger) -> pointer.Live:
    sums = {**live.sums, **tables.sums(ledger.home, ledger.segmentation, {table: version})}
    return live.model_copy(update={"tables": {**live.tables, table: version}, "sums": sums})


def _with_model(live: pointer.Live, ledger: Ledger, told: list[str]) -> pointer.Live:
    try:
        bundles.load(Path(ledger.home) / live.bundle / BUNDLE, live.sha256)
        check(ledger.home, live.bundle)
    except DataError as error:
        kept, sha256 = fetch(live.model_version, _context(ledger.home), ledger)
        if sha256 != live.sha256:
            raise
        told.append(f"{live.bundle}: {error}; fetched from MLflow")
        return live.model_copy(update={"bundle": str(Path(kept.path).relative_to(ledger.home))})
    return live


def _with_history(
    live: pointer.Live, table: str, known: list[pointer.Pointer], ledger: Ledger, told: list[str]
) -> pointer.Live:
    """A champion with the newest version of a table that is whole; an empty one where none is."""
    place = (ledger.home, ledger.segmentation, table)
    wrong = _wrong(*place, live)
    if wrong is None:
        return live
    others = (one.live for one in known if one.live is not None and table in one.live.tables)
    older = next((one for one in others if _wrong(*place, one) is None), None)
    if older is not None:
        version = older.tables[table]
        told.append(f"{wrong}; goes back to version {version}, as of {older.as_of:%Y-%m-%d %H:%M}")
    else:
        version = tables.publish_anew(*place)
        told.append(f"{wrong}; no version is whole, and it begins anew")
    return _renewed(live, table, version, ledger)


def _wrong(home: str, segmentation: str, table: str, live: pointer.Live) -> str | None:
    try:
        tables.check(home, segmentation, table, live)
    except DataError as error:
        return str(error).split(" and is not read")[0]
    return None


def _from_alias(ledger: Ledger, told: list[str]) -> pointer.Live | None:
    """What was live by MLflow's alias and the newest tables, where no pointer is left at all."""
    home, name = ledger.home, ledger.segmentation
    if (champion := ledger.aliases().get(CHAMPION)) is None:
        return None
    try:
        kept, sha256 = fetch(champion, _context(home), ledger)
        versions = {table: tables.newest(home, name, table) for table in PUBLISHED if tables.exists(home, name, table)}
        people = tables.read(home, name, ASSIGNMENTS.name, versions.get(ASSIGNMENTS.name))
    except FenqunError as error:
        told.append(str(error).split("; ")[0])
        return None
    if set(people[MODEL_VERSION].unique()) - {champion}:
        told.append(f"the newest assignments are not of version {champion}, which MLflow calls champion")
        return None
    told.append(f"MLflow's alias says that version {champion} was live")
    return pointer.Live(
        model_version=champion,
        bundle=str(Path(kept.path).relative_to(home)),
        sha256=sha256,
        tables=versions,
        sums=tables.sums(home, name, versions),
        run_id=str(ledger.version(champion).run_id),
        users=len(people),
        as_of=people[AS_OF].max(),
        promoted_at=datetime.now(UTC),
        author="doctor",
        reason="the pointer was lost",
    )


def _replace(ledger: Ledger, known: list[pointer.Pointer], live: pointer.Live, previous: pointer.Live | None) -> None:
    """Writes the pointer anew, as a later revision than any before; no id that was ever live is forgotten."""
    born: dict[str, str] = {}
    for one in reversed(known):
        born = {**one.born, **born}
    if not born:
        born = dict.fromkeys(ledger.version(live.model_version).tags.get(BORN_TAG, "").split(), live.model_version)
    revision = 1 + max(one.revision for one in known)
    pointer.write(
        ledger.home, ledger.segmentation, pointer.Pointer(revision=revision, live=live, previous=previous, born=born)
    )


def _context(home: str) -> RunContext:
    now = datetime.now(UTC)
    return RunContext(run_id="doctor", as_of=now, now=now, seed=0, code_version=code_version(), home=home)
