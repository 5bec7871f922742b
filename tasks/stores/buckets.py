"""Work over buckets of users, scheduled by Dask: the only home of Dask.

A bucket is one Parquet file per table; a step is a pure function of one bucket. Threads on one machine by default, a
LocalCluster or any scheduler's address by config. What a step made of a bucket is kept under a key over all that it
depends on, so that a rerun, a crashed run and the next retrain make only what is not there yet. Only references and
what a fit merges come back to the client.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from schemas.artifacts import ArtifactRef
from schemas.errors import FenqunError
from schemas.execution import ExecutionConfig
from schemas.tables import EVENTS, TEXTS, TIMESTAMP, Bucket
from tasks.disk.artifacts import find, fingerprint, link, load_state, produce, save_state, write_parquet
from tasks.disk.codec import decode, encode
from tasks.disk.files import sum_of
from tasks.execution.scheduler import Progress, scheduler

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")
Refs = Mapping[str, ArtifactRef]
DIGESTS, NEWEST = "digests", "newest"
_ONE = "bucket.parquet"


def bucket_path(folder: str | Path, number: int) -> Path:
    """File of a bucket in a table's folder."""
    return Path(folder) / f"bucket-{number:04d}.parquet"


def bucket_file(ref: ArtifactRef, number: int) -> Path:
    """File of a bucket; a table of one bucket (items) is the same in every bucket."""
    return bucket_path(ref.path, number if ref.buckets > 1 else 0)


def read_bucket(refs: Refs, number: int) -> Bucket:
    """All tables of one bucket as frames."""
    import polars as pl

    return {name: pl.read_parquet(bucket_file(ref, number)) for name, ref in refs.items()}


def count(refs: Refs) -> int:
    """Number of buckets of the tables; DataError-free because ingest gives all user-keyed tables the same."""
    return max(ref.buckets for ref in refs.values())


def read_frames(ref: ArtifactRef, columns: Sequence[str] | None = None) -> "Iterator[pl.DataFrame]":
    """The bucket frames of one table, in order; all their columns, or only some."""
    import polars as pl

    for number in range(ref.buckets):
        yield pl.read_parquet(bucket_file(ref, number), columns=None if columns is None else list(columns))


def read_table(ref: ArtifactRef) -> "pl.DataFrame":
    """A whole table in memory: for small tables and for what a fit truly needs at once."""
    import polars as pl

    return pl.concat(list(read_frames(ref)), how="vertical")


def bucket_facts(folder: str | Path, buckets: int) -> dict[str, list[Any]]:
    """For `ArtifactRef.meta`: per bucket the sha256 of its file, and its newest timestamp in ISO, None without any."""
    import polars as pl

    facts: dict[str, list[Any]] = {DIGESTS: [], NEWEST: []}
    for number in range(buckets):
        path = bucket_path(folder, number)
        facts[DIGESTS].append(sum_of(path))
        stamps = pl.scan_parquet(path)
        timed = TIMESTAMP in stamps.collect_schema().names()
        newest = stamps.select(pl.col(TIMESTAMP).max()).collect().item() if timed else None
        facts[NEWEST].append(newest and newest.isoformat())
    return facts


def contents(refs: Refs, known_by: datetime | None = None) -> list[str]:
    """Per bucket a fingerprint of its rows in all tables.

    Args:
        refs: Tables by name.
        known_by: Also tells buckets apart by this moment where rows later than it stand in them.
    """
    facts = {
        name: ref.meta if DIGESTS in ref.meta else bucket_facts(ref.path, ref.buckets)
        for name, ref in sorted(refs.items())
    }

    def one(number: int) -> str:
        at = {name: number if len(kept[DIGESTS]) > 1 else 0 for name, kept in facts.items()}
        newest = [kept[NEWEST][at[name]] for name, kept in facts.items() if NEWEST in kept]
        cut = known_by if known_by and any(datetime.fromisoformat(t) > known_by for t in newest if t) else None
        return fingerprint({name: kept[DIGESTS][at[name]] for name, kept in facts.items()}, cut)

    return [one(number) for number in range(count(refs))]


def _one_blas_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Runs one bucket with one BLAS thread: the buckets already fill the cores."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return function(*arguments)


def parallel(
    function: Callable[[Any], T], items: Iterable[Any], execution: ExecutionConfig, progress: Progress | None = None
) -> list[T]:
    """`[function(item) for item in items]`, run by Dask; `progress` hears (done, of) in the calling thread."""
    import dask

    graph = [dask.delayed(_one_blas_thread, pure=False)(function, item) for item in items]
    with scheduler(execution) as compute:
        return compute(graph, progress)


@dataclass(frozen=True)
class Keep:
    """Where the partial statistics of buckets are kept.

    Attributes:
        home: The state folder.
        kind: What they are.
        keys: Per bucket a fingerprint of all that its partial depends on.
        classes: The classes that they consist of, by name: see `codec.classes_of`.
    """

    home: str
    kind: str
    keys: Sequence[str]
    classes: Mapping[str, type]


def reduce_buckets(
    refs: Refs,
    partial: Callable[[Bucket], T],
    merge: Callable[[T, T], T],
    execution: ExecutionConfig,
    keep: Keep | None = None,
    progress: Progress | None = None,
) -> T:
    """`partial` of every bucket, merged pairwise as a tree in bucket order, on the workers.

    Args:
        refs: Tables by name.
        partial: Statistics of one bucket.
        merge: Statistics of two sets of buckets, the earlier ones first.
        execution: Where the work runs.
        keep: Keeps partials, and takes those that are kept already; none: each is made.
        progress: Hears (buckets done, buckets); only with `keep`.
    """
    import dask

    def fresh(number: int) -> T:
        return partial(read_bucket(refs, number))

    with scheduler(execution) as compute:
        one: Callable[[int], T] = fresh
        if keep is not None:
            parallel(_keeper(keep, fresh), range(count(refs)), execution, progress)
            one = _reader(keep)
        level = [dask.delayed(_one_blas_thread, pure=False)(one, number) for number in range(count(refs))]
        while len(level) > 1:
            pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
            level = [dask.delayed(merge, pure=False)(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
        return compute(level, None)[0]


def _keeper(keep: Keep, one: Callable[[int], Any]) -> Callable[[int], None]:
    """Makes and keeps a bucket's partial, unless it is there."""

    def make(number: int) -> None:
        def write(place: Path) -> dict[str, Any]:
            save_state(place, encode(one(number)))
            return {}

        produce(keep.home, keep.kind, keep.keys[number], write)

    return make


def _reader(keep: Keep) -> Callable[[int], Any]:
    """Reads a bucket's partial that was kept."""

    def read(number: int) -> Any:
        found = find(keep.home, keep.kind, keep.keys[number])
        if found is None:
            raise FenqunError(f"{keep.kind} of bucket {number} was removed while it was needed; run again")
        return decode(load_state(found), keep.classes)

    return read


def _fill_bucket(
    refs: Refs, function: Callable[[Bucket], "pl.DataFrame"], home: str, kind: str, key: str, number: int
) -> ArtifactRef:
    """What `function` makes of one bucket, unless it is there already."""

    def write(place: Path) -> dict[str, Any]:
        frame = function(read_bucket(refs, number))
        write_parquet(place / _ONE, frame)
        return {"rows": len(frame), "columns": tuple(frame.columns)}

    return produce(home, f"{kind}-bucket", key, write)


def map_buckets(
    refs: Refs,
    function: Callable[[Bucket], "pl.DataFrame"],
    execution: ExecutionConfig,
    *,
    home: str,
    kind: str,
    digest: str | Sequence[str],
    progress: Progress | None = None,
) -> ArtifactRef:
    """The artifact whose every bucket is `function` of the same bucket of `refs`.

    Args:
        refs: Tables by name; user-keyed ones have the same number of buckets.
        function: Pure function of one bucket.
        execution: Where it runs.
        home: The state folder.
        kind: What the artifact holds.
        digest: Fingerprint over everything that the artifact depends on; or per bucket one of all that its result
            depends on: then a bucket that was made for another artifact under the same one is taken as it is.
        progress: Hears (buckets done, buckets).
    """
    if isinstance(digest, str):
        keys, whole = [fingerprint(digest, number) for number in range(count(refs))], digest
    else:
        keys, whole = list(digest), fingerprint(kind, list(digest))

    def write(place: Path) -> dict[str, Any]:
        def fill(number: int) -> tuple[int, tuple[str, ...]]:
            made = _fill_bucket(refs, function, home, kind, keys[number], number)
            link(Path(made.path) / _ONE, bucket_path(place, number))
            return made.rows, made.columns

        done = parallel(fill, range(len(keys)), execution, progress)
        facts = {DIGESTS: keys}
        return {"rows": sum(n for n, _ in done), "buckets": len(done), "columns": done[0][1], "meta": facts}

    return produce(home, kind, whole, write)


def newest(tables: Refs) -> datetime | None:
    """Timestamp of the newest event or text, as ingest wrote it down."""
    told = [tables[name].meta.get(NEWEST, ()) for name in (EVENTS.name, TEXTS.name) if name in tables]
    return max((datetime.fromisoformat(text) for texts in told for text in texts if text), default=None)
