"""Published tables: Delta, so that each change is atomic and the history of memberships stays readable."""

from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import DataError
from schemas.tables import PUBLISHED

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
    mode, schema = ("append", "merge") if append else ("overwrite", "overwrite")
    write_deltalake(str(path), frame.to_arrow(), mode=mode, schema_mode=schema)
    return DeltaTable(str(path)).version()


def read(home: str, segmentation: str, name: str, version: int | None = None) -> "pl.DataFrame":
    """A published table at a version (the newest where none is given); DataError where it was never published."""
    import polars as pl

    path = table_path(home, segmentation, name)
    if not (path / "_delta_log").exists():
        raise DataError(f"{segmentation} has no published table {name} yet; run `fenqun retrain` first")
    return pl.read_delta(str(path), version=version)
