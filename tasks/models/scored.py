"""Assigns users with a bundle: all of them, or only those of whom something else is known than the last time."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import TextsConfig
from schemas.errors import DataError, UsageError
from schemas.execution import ExecutionConfig
from schemas.runs import Scored
from schemas.tables import ASSIGNMENTS, BUCKETED, USER_ID, Bucket
from tasks.disk.artifacts import fingerprint
from tasks.models.assemble import segmenter
from tasks.models.keep import BUNDLE
from tasks.numerics.history import population
from tasks.segments import bundle as bundles
from tasks.segments.bundle import Bundle
from tasks.segments.segmenter import Segmenter
from tasks.stores import pointer
from tasks.stores import tables as published
from tasks.stores.book import Day
from tasks.stores.buckets import map_buckets, read_table
from tasks.stores.seen import SUM, seen_before, sums
from tasks.vectors.encoder import Lookup, cache_of, encode, recorded
from tasks.vectors.features import distinct_texts

if TYPE_CHECKING:
    import polars as pl


def champion(home: str, segmentation: str) -> tuple[pointer.Live, Bundle] | None:
    """What is live and its bundle; None where nothing was promoted yet.

    Raises:
        DataError: the pointer or the bundle is damaged.
    """
    live = pointer.read(home, segmentation).live
    if live is None:
        return None
    place = Path(home) / live.bundle / BUNDLE
    try:
        return live, bundles.load(place, live.sha256)
    except DataError as error:
        told = (
            f"{place}: the live model is damaged ({error}); run `fenqun doctor --repair`, which fetches it from MLflow"
        )
        raise DataError(told) from error


def cached_lookup(bundle: Bundle, home: str) -> Lookup | None:
    """Vectors of texts from the cache that was filled before; None for a bundle without texts."""
    encoder = bundle.manifest.encoder
    if encoder is None:
        return None
    return cache_of(recorded(encoder), home).get


def filled_lookup(
    bundle: Bundle,
    tables: Mapping[str, ArtifactRef],
    run: RunContext,
    execution: ExecutionConfig,
    also: Iterable[str] = (),
) -> Lookup | None:
    """The same, after what the cache lacks was encoded by the bundle's own encoder: what users need, and `also`."""
    manifest = bundle.manifest
    if manifest.encoder is None or manifest.texts is None:
        return None
    config, state = TextsConfig(**manifest.texts), bundle.states[bundles.TEXTS]
    texts = {*distinct_texts(tables, config, state, run, execution), *also}
    encoder = recorded(manifest.encoder, execution.device, bundle.tuned)
    encode(sorted(texts), encoder, run.home, execution)
    return cached_lookup(bundle, run.home)


def assign_all(
    bundle: Bundle,
    sha256: str,
    version: str,
    tables: Mapping[str, ArtifactRef],
    run: RunContext,
    execution: ExecutionConfig,
    lookup: Lookup | None,
) -> ArtifactRef:
    """Assigns every user of every bucket through the Segmenter: the code that serving runs.

    Args:
        bundle: The model.
        sha256: Its content, which names the result.
        version: The model version that the rows name.
        tables: Input tables by name.
        run: Gives as_of.
        execution: Where the work runs.
        lookup: Vectors of texts; None: the bundle's own encoder.
    """
    ready = segmenter(bundle, lookup=lookup, device=execution.device)
    digest = fingerprint("assignments", sha256, version, dict(tables), run.as_of, run.code_version)

    def assign(bucket: Bucket) -> "pl.DataFrame":
        return ready.assign(bucket, run.as_of, version)

    return map_buckets(tables, assign, execution, home=run.home, kind=ASSIGNMENTS.name, digest=digest)


def score(day: Day, only_touched: bool) -> Scored:
    """Assigns today's users with the champion.

    Args:
        day: The run.
        only_touched: Score only users of whom the tables say something else than when they were scored last; the others
            keep their rows. What changes with the clock alone (recency) is seen by the next full run.

    Raises:
        UsageError: nothing is live yet.
    """
    run, execution = day.context, day.settings.execution
    found = champion(run.home, day.name)
    if found is None:
        raise UsageError(f"{day.name}: nothing is live yet; run `fenqun retrain` first")
    live, bundle = found
    lookup = filled_lookup(bundle, day.tables, run, execution)
    before = seen_before(run.home, live) if only_touched else None
    if before is not None:
        ref = _assign_touched(day, live, bundle, lookup, before)
    else:
        ref = assign_all(bundle, live.sha256, live.model_version, day.tables, run, execution, lookup)
    return Scored(model_version=live.model_version, assignments=ref)


def _assign_touched(
    day: Day, live: pointer.Live, bundle: Bundle, lookup: Lookup | None, before: ArtifactRef
) -> ArtifactRef:
    version, run, execution = live.tables[ASSIGNMENTS.name], day.context, day.settings.execution
    published_ = published.read_live(run.home, day.name, ASSIGNMENTS.name, live)
    ready = segmenter(bundle, lookup=lookup, device=execution.device)
    digest = fingerprint(
        "touched",
        live.sha256,
        live.model_version,
        version,
        live.promoted_at,
        before,
        dict(day.tables),
        run.as_of,
        run.code_version,
    )
    same = published_.join(read_table(before), on=USER_ID)
    work = touched_only(ready, same, run.as_of, live.model_version)
    return map_buckets(day.tables, work, execution, home=run.home, kind=ASSIGNMENTS.name, digest=digest)


def touched_only(
    ready: Segmenter, before: "pl.DataFrame", as_of: datetime, version: str
) -> "Callable[[Bucket], pl.DataFrame]":
    """A function from one bucket to its assignments, of which only the touched users' are made anew.

    Args:
        ready: The model.
        before: Published assignments, with the sums of the rows that they were made from.
        as_of: UTC moment to look at.
        version: The model's version.
    """
    import polars as pl

    def assign(bucket: Bucket) -> pl.DataFrame:
        present = population(bucket, as_of)
        kept = before.join(sums(bucket, as_of), on=[USER_ID, SUM], how="semi").drop(SUM)
        kept = kept.filter(pl.col(USER_ID).is_in(present.implode()))
        asked = present.filter(~present.is_in(kept[USER_ID].implode())).implode()
        own = {
            name: frame.filter(pl.col(BUCKETED[name]).is_in(asked)) if name in BUCKETED else frame
            for name, frame in bucket.items()
        }
        fresh = ready.assign(own, as_of, version)
        return pl.concat([fresh, kept.select(fresh.columns).cast(fresh.schema)]).sort(USER_ID)

    return assign
