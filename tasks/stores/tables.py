"""Published tables: Delta, so that each change is atomic and the history of memberships stays readable."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import DataError, UsageError
from schemas.tables import MODEL_VERSION, PUBLISHED, REMADE
from tasks.disk.artifacts import aside, fingerprint
from tasks.disk.files import guarded, set_aside, sum_of
from tasks.stores import pointer

if TYPE_CHECKING:
    import polars as pl


def table_path(home: str, segmentation: str, name: str) -> Path:
    """Folder of a published table."""
    return Path(home) / "segmentations" / segmentation / pointer.TABLES / name


def publish(home: str, segmentation: str, name: str, frame: "pl.DataFrame", *, append: bool = False) -> int:
    """Writes a published table in one commit and returns its new version.

    Readers who follow the pointer keep seeing the version it names until it moves.

    Args:
        home: The state folder.
        segmentation: Name of the segmentation.
        name: Name of the table, one of `schemas.tables.PUBLISHED`.
        frame: The rows, with the contract's columns.
        append: Add to the table rather than replace its rows.
    """
    from deltalake import write_deltalake

    if missing := set(PUBLISHED[name].names) - set(frame.columns):
        raise DataError(f"table {name} lacks {', '.join(sorted(missing))}; nothing was published")
    path = table_path(home, segmentation, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if append:
        write_deltalake(str(path), frame.to_arrow(), mode="append", schema_mode="merge")
    else:
        write_deltalake(str(path), frame.to_arrow(), mode="overwrite", schema_mode="overwrite")
    return newest(home, segmentation, name)


def read(home: str, segmentation: str, name: str, version: int | None = None) -> "pl.DataFrame":
    """A published table at a version (the newest where none is given); DataError where it was never published."""
    import polars as pl
    from deltalake import DeltaTable

    path = table_path(home, segmentation, name)
    if not exists(home, segmentation, name):
        raise DataError(f"{segmentation} has no published table {name} yet; run `fenqun retrain` first")
    # Not `pl.read_delta`: it does not find a folder whose path has a space or a letter beyond ASCII.
    found = pl.from_arrow(DeltaTable(str(path), version=version).to_pyarrow_table())
    assert isinstance(found, pl.DataFrame)
    return _whole(found, name)


def _whole(found: "pl.DataFrame", name: str) -> "pl.DataFrame":
    """A table with all columns of today's contract; those that an earlier version did not know are null."""
    import polars as pl

    contract, dtypes = PUBLISHED[name], PUBLISHED[name].polars_schema()
    lacking = [one.name for one in contract.columns if one.nullable and one.name not in found.columns]
    return found.with_columns(pl.lit(None, dtypes[column]).alias(column) for column in lacking)


def rows_of(
    home: str, segmentation: str, name: str, version: int, wanted: Mapping[str, Sequence[str]]
) -> "pl.DataFrame":
    """Rows of a published table whose columns hold one of the wanted texts; the rest of it is not brought to memory.

    Raises:
        DataError: the version is not there any more.
    """
    import polars as pl
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(str(table_path(home, segmentation, name)), version=version)
        found = pl.from_arrow(table.to_pyarrow_table(filters=[(key, "in", [*own]) for key, own in wanted.items()]))
    except (DeltaError, OSError) as error:
        raise DataError(f"{segmentation}: version {version} of the table {name} cannot be read") from error
    assert isinstance(found, pl.DataFrame)
    return _whole(found, name)


def publish_anew(home: str, segmentation: str, name: str, frame: "pl.DataFrame | None" = None) -> int:
    """Publishes rows, or none, in the place of damaged ones; where the table's log is damaged too, it is set aside."""
    import polars as pl

    rows = pl.DataFrame(schema=PUBLISHED[name].polars_schema()) if frame is None else frame
    with suppress(Exception):  # Delta and Arrow raise of all kinds where a log is damaged
        version = publish(home, segmentation, name, rows)
        if len(read(home, segmentation, name, version)) == len(rows):  # the log may still name files that are gone
            return version
    set_aside(table_path(home, segmentation, name), "its log is not what was written")
    return publish(home, segmentation, name, rows)


def exists(home: str, segmentation: str, name: str) -> bool:
    """Whether something was ever published under this name."""
    return (table_path(home, segmentation, name) / "_delta_log").exists()


def newest(home: str, segmentation: str, name: str) -> int:
    """The newest version of a published table, whether readers see it or not."""
    from deltalake import DeltaTable

    return DeltaTable(str(table_path(home, segmentation, name))).version()


def publish_onto(home: str, segmentation: str, name: str, frame: "pl.DataFrame", base: int | None) -> int:
    """Adds rows to a version of a published table and returns the new version.

    What stands after that version comes from a run that never moved the pointer, or was rolled back: it is undone
    first, so that the history holds what readers saw and nothing else.

    Args:
        home: The state folder.
        segmentation: Name of the segmentation.
        name: Name of the table.
        frame: The rows to add.
        base: The version that the pointer names; None: it names none, and the rows are all there is.
    """
    from deltalake import DeltaTable

    if base is None:
        return publish(home, segmentation, name, frame)
    table = DeltaTable(str(table_path(home, segmentation, name)))
    if table.version() != base:
        table.restore(base)
    return publish(home, segmentation, name, frame, append=True)


def sums(home: str, segmentation: str, versions: Mapping[str, int]) -> dict[str, str]:
    """Per published table a sum of what it holds at a version: its schema, and the names and contents of its files."""
    from deltalake import DeltaTable

    found = {}
    for name, version in versions.items():
        path = table_path(home, segmentation, name)
        table = DeltaTable(str(path), version=version)
        files = sorted(uri.rsplit("/", 1)[-1] for uri in table.file_uris())
        found[name] = fingerprint(table.schema().to_json(), {file: sum_of(path / file) for file in files})
    return found


def check(home: str, segmentation: str, name: str, live: pointer.Live) -> None:
    """Holds a champion's published table against what was published; earlier versions recorded no sums.

    Raises:
        DataError: it is damaged.
    """
    version, recorded = live.tables[name], live.sums.get(name)
    damaged = (
        f"{table_path(home, segmentation, name)}: version {version} is damaged and is not read; restore a backup, "
    )
    damaged += "or run `fenqun doctor --repair`"
    try:
        found = sums(home, segmentation, {name: version})[name]
    except Exception as error:  # Delta and Arrow raise of all kinds where a log or a file is damaged
        raise DataError(f"{damaged} ({' '.join(str(error).split())[:200]})") from error
    if recorded not in (None, found):
        raise DataError(damaged)


def read_live(home: str, segmentation: str, name: str, live: pointer.Live) -> "pl.DataFrame":
    """A published table of a champion, once it is what was published.

    Raises:
        DataError: nothing was published under this name, or the table is damaged.
    """
    expect(segmentation, name, live)
    check(home, segmentation, name, live)
    return own(read(home, segmentation, name, live.tables[name]), segmentation, name, live)


def expect(segmentation: str, name: str, live: pointer.Live) -> None:
    """Refuses a table that was not published with a champion.

    Raises:
        DataError: it tells which command publishes it.
    """
    if name not in live.tables and name in REMADE:
        made = f"nothing is recommended by version {live.model_version} yet"
        raise DataError(f"{segmentation}: {made}; run `fenqun recommend`")
    if name not in live.tables:
        raise DataError(f"{segmentation} has no published table {name} yet; run `fenqun retrain` first")


def own(frame: "pl.DataFrame", segmentation: str, name: str, live: pointer.Live) -> "pl.DataFrame":
    """Rows of a champion's table; of those that belong to one model alone no other's are let through.

    Raises:
        DataError: they are of another model.
    """
    if name in REMADE and (others := set(frame[MODEL_VERSION].unique()) - {live.model_version}):
        whose = f"{name} are of version {min(others)}, but version {live.model_version} is live"
        raise DataError(f"{segmentation}: {whose}; run `fenqun recommend`")
    return frame


def published(home: str, segmentation: str, name: str) -> "pl.DataFrame":
    """A published table as the pointer names it: what every reader sees.

    Raises:
        DataError: nothing was published under this name, or it is damaged.
    """
    live = pointer.read(home, segmentation).live
    if live is None:
        raise DataError(f"{segmentation} has no published table {name} yet; run `fenqun retrain` first")
    return read_live(home, segmentation, name, live)


def export(frame: "pl.DataFrame", path: Path) -> None:
    """Writes a frame as CSV (see `guarded`) or Parquet, which is exact, by the file's ending.

    Raises:
        UsageError: another ending, or a place that cannot be written to.
    """
    try:
        with aside(path.absolute()) as temporary:
            if path.suffix == ".parquet":
                frame.write_parquet(temporary)
            elif path.suffix == ".csv":
                guarded(frame).write_csv(temporary)
            else:
                raise UsageError(f"{path}: give a name that ends in .csv or .parquet")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from error


def rows_added(home: str, segmentation: str, name: str, before: int, after: int) -> int:
    """How many rows a table gained between two versions."""
    return len(read(home, segmentation, name, after)) - len(read(home, segmentation, name, before))
