"""Published tables: Delta, so that each change is atomic and the history of memberships stays readable."""

from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import DataError, UsageError
from schemas.tables import PUBLISHED
from tasks.stores import pointer
from tasks.stores.artifacts import aside

if TYPE_CHECKING:
    import polars as pl


def table_path(home: str, segmentation: str, name: str) -> Path:
    """Folder of a published table."""
    return Path(home) / "segmentations" / segmentation / "tables" / name


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
    from deltalake import DeltaTable, write_deltalake

    if missing := set(PUBLISHED[name].names) - set(frame.columns):
        raise DataError(f"table {name} lacks {', '.join(sorted(missing))}; nothing was published")
    path = table_path(home, segmentation, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if append:
        write_deltalake(str(path), frame.to_arrow(), mode="append", schema_mode="merge")
    else:
        write_deltalake(str(path), frame.to_arrow(), mode="overwrite", schema_mode="overwrite")
    return DeltaTable(str(path)).version()


def read(home: str, segmentation: str, name: str, version: int | None = None) -> "pl.DataFrame":
    """A published table at a version (the newest where none is given); DataError where it was never published."""
    import polars as pl
    from deltalake import DeltaTable

    path = table_path(home, segmentation, name)
    if not (path / "_delta_log").exists():
        raise DataError(f"{segmentation} has no published table {name} yet; run `fenqun retrain` first")
    # Not `pl.read_delta`: it does not find a folder whose path has a space or a letter beyond ASCII.
    found = pl.from_arrow(DeltaTable(str(path), version=version).to_pyarrow_table())
    assert isinstance(found, pl.DataFrame)
    return found


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


def published(home: str, segmentation: str, name: str) -> "pl.DataFrame":
    """A published table as the pointer names it: what every reader sees.

    Raises:
        DataError: nothing was published under this name.
    """
    live = pointer.read(home, segmentation).live
    if live is None or name not in live.tables:
        raise DataError(f"{segmentation} has no published table {name} yet; run `fenqun retrain` first")
    return read(home, segmentation, name, live.tables[name])


def export(frame: "pl.DataFrame", path: Path) -> None:
    """Writes a frame as CSV (lists joined by `; `) or Parquet, by the file's ending.

    Raises:
        UsageError: another ending, or a place that cannot be written to.
    """
    import polars as pl

    try:
        with aside(path.absolute()) as temporary:
            if path.suffix == ".parquet":
                frame.write_parquet(temporary)
            elif path.suffix == ".csv":
                lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
                frame.with_columns(pl.col(lists).list.join("; ")).write_csv(temporary)
            else:
                raise UsageError(f"{path}: give a name that ends in .csv or .parquet")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from error
