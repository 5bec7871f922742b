"""The tables as their users were known before the last part of everyone's history: what held-out figures learn from."""

from pathlib import Path
from typing import Any

from schemas.artifacts import RunContext
from schemas.execution import ExecutionConfig
from schemas.tables import EDGES, EVENTS, MOMENTS, TEXTS
from tasks.disk.artifacts import fingerprint, produce, write_parquet
from tasks.numerics import history
from tasks.stores.buckets import Refs, bucket_path, count, parallel, read_bucket
from tasks.stores.several import Shape, note, tables_of


def cut(tables: Refs, share: float, run: RunContext, execution: ExecutionConfig) -> Refs:
    """The tables with the first `share` of everyone's history, and each user's own moment in the table `moments`.

    They are written once, so that whatever is fitted on them depends on their bytes alone: what came after the cut can
    change nothing.

    Args:
        tables: Input tables.
        share: Of each user's own events; 1 is all of them, and the tables come back as they are.
        run: Gives as_of and the state folder.
        execution: Where the work runs.
    """
    if share >= 1 or not {EVENTS.name, TEXTS.name} & tables.keys():
        return tables
    digest = fingerprint("cut", dict(tables), share, run.as_of, run.code_version)

    def write(place: Path) -> dict[str, Any]:
        shapes = _write_own(place, tables, share, run, execution)
        if EDGES.name in tables:
            shapes |= {EDGES.name: _write_ties(place, tables, shapes[MOMENTS.name], execution)}
        return {"rows": note(place, shapes)}

    return {**tables, **tables_of(produce(run.home, "cut", digest, write))}


def _write_own(
    place: Path, tables: Refs, share: float, run: RunContext, execution: ExecutionConfig
) -> dict[str, Shape]:
    """Events, texts and moments, each bucket by itself."""
    own = {name: tables[name] for name in (EVENTS.name, TEXTS.name) if name in tables}

    def one(number: int) -> dict[str, Shape]:
        bucket = history.cut(read_bucket(own, number), history.share(share), run.as_of)
        for name, frame in bucket.items():
            write_parquet(bucket_path(place / name, number), frame)
        return {name: Shape(len(frame), 1, tuple(frame.columns)) for name, frame in bucket.items()}

    parts = parallel(one, range(count(own)), execution)
    return {
        name: Shape(sum(part[name].rows for part in parts), len(parts), shape.columns)
        for name, shape in parts[0].items()
    }


def _write_ties(place: Path, tables: Refs, moments: Shape, execution: ExecutionConfig) -> Shape:
    """Ties, each known once both ends are: the moments of all users are looked up."""
    import polars as pl

    everyone = pl.concat(
        [pl.read_parquet(bucket_path(place / MOMENTS.name, number)) for number in range(moments.buckets)]
    )
    edges = tables[EDGES.name]

    def one(number: int) -> int:
        known = history.ties(read_bucket({EDGES.name: edges}, number)[EDGES.name], everyone)
        write_parquet(bucket_path(place / EDGES.name, number), known)
        return len(known)

    rows = parallel(one, range(edges.buckets), execution)
    return Shape(sum(rows), edges.buckets, edges.columns)
