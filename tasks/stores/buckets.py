"""Work over buckets of users, scheduled by Dask: the only home of Dask.

A bucket is one Parquet file per table; a step is a pure function of one bucket. Threads on one machine by default, a
LocalCluster or any scheduler's address by config.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from schemas.artifacts import ArtifactRef
from schemas.config import ExecutionConfig
from schemas.tables import Bucket
from tasks.stores.artifacts import produce, write_parquet

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")
Refs = Mapping[str, ArtifactRef]


def bucket_file(ref: ArtifactRef, number: int) -> Path:
    """File of a bucket; a table of one bucket (items) is the same in every bucket."""
    return Path(ref.path) / f"bucket-{number if ref.buckets > 1 else 0:04d}.parquet"


def read_bucket(refs: Refs, number: int) -> Bucket:
    """All tables of one bucket as frames."""
    import polars as pl

    return {name: pl.read_parquet(bucket_file(ref, number)) for name, ref in refs.items()}


def count(refs: Refs) -> int:
    """Number of buckets of the tables; DataError-free because ingest gives all user-keyed tables the same."""
    return max(ref.buckets for ref in refs.values())


def read_frames(ref: ArtifactRef) -> "Iterator[pl.DataFrame]":
    """The bucket frames of one table, in order."""
    import polars as pl

    for number in range(ref.buckets):
        yield pl.read_parquet(bucket_file(ref, number))


def read_table(ref: ArtifactRef) -> "pl.DataFrame":
    """A whole table in memory: for small tables and for what a fit truly needs at once."""
    import polars as pl

    return pl.concat(list(read_frames(ref)), how="vertical")


@contextmanager
def scheduler(execution: ExecutionConfig) -> Iterator[dict[str, Any]]:
    """Keyword arguments for `dask.compute`; a LocalCluster or client lives as long as the block."""
    if execution.scheduler == "threads":
        yield {"scheduler": "threads", "num_workers": execution.workers}
        return
    from distributed import Client, LocalCluster

    if execution.scheduler != "cluster":
        with Client(execution.scheduler, timeout="20s") as client:
            yield {"scheduler": client.get}
        return
    options = {"n_workers": execution.workers, "threads_per_worker": 1, "memory_limit": execution.memory_limit}
    with LocalCluster(dashboard_address=None, **options) as cluster, Client(cluster) as client:
        yield {"scheduler": client.get}


def _one_blas_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Runs one bucket with one BLAS thread: the buckets already fill the cores."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return function(*arguments)


def parallel(function: Callable[[Any], T], items: Iterable[Any], execution: ExecutionConfig) -> list[T]:
    """`[function(item) for item in items]`, run by Dask."""
    import dask

    graph = [dask.delayed(_one_blas_thread, pure=False)(function, item) for item in items]
    with scheduler(execution) as options:
        return list(dask.compute(*graph, **options))


def reduce_buckets(
    refs: Refs, partial: Callable[[Bucket], T], merge: Callable[[T, T], T], execution: ExecutionConfig
) -> T:
    """`partial` of every bucket, merged pairwise as a tree in bucket order."""
    import dask

    level = [
        dask.delayed(_one_blas_thread, pure=False)(lambda n: partial(read_bucket(refs, n)), number)
        for number in range(count(refs))
    ]
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [dask.delayed(merge, pure=False)(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    with scheduler(execution) as options:
        return dask.compute(level[0], **options)[0]


def _fill_bucket(refs: Refs, function: Callable[[Bucket], "pl.DataFrame"], place: Path, number: int) -> tuple[int, Any]:
    """Writes one bucket's result unless it is there already; returns its rows and columns."""
    import polars as pl

    path = place / f"bucket-{number:04d}.parquet"
    if not path.exists():
        write_parquet(path, function(read_bucket(refs, number)))
    lazy = pl.scan_parquet(path)
    return lazy.select(pl.len()).collect().item(), tuple(lazy.collect_schema().names())


def map_buckets(
    refs: Refs,
    function: Callable[[Bucket], "pl.DataFrame"],
    execution: ExecutionConfig,
    *,
    home: str,
    kind: str,
    digest: str,
    meta: Mapping[str, Any] | None = None,
) -> ArtifactRef:
    """The artifact whose every bucket is `function` of the same bucket of `refs`.

    Args:
        refs: Tables by name; user-keyed ones have the same number of buckets.
        function: Pure function of one bucket.
        execution: Where it runs.
        home: The state folder.
        kind: What the artifact holds.
        digest: Fingerprint over everything the function depends on.
        meta: Small facts to keep with the artifact.
    """

    def write(place: Path) -> dict[str, Any]:
        def fill(number: int) -> tuple[int, Any]:
            return _fill_bucket(refs, function, place, number)

        done: Sequence[tuple[int, Any]] = parallel(fill, range(count(refs)), execution)
        return {"rows": sum(n for n, _ in done), "buckets": len(done), "columns": done[0][1], "meta": dict(meta or {})}

    return produce(home, kind, digest, write)
