"""Assigns users with a bundle: all of them, or only those who did something since the last time."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import ExecutionConfig, TextsConfig
from schemas.errors import UsageError
from schemas.runs import Scored
from schemas.tables import ASSIGNMENTS, BUCKETED, EVENTS, TEXTS, TIMESTAMP, USER_ID, USERS, Bucket
from tasks.segments import bundle as bundles
from tasks.segments.bundle import Bundle
from tasks.segments.segmenter import Segmenter
from tasks.serving.compose import Lookup, load_encoder, segmenter
from tasks.serving.fitting import distinct_texts
from tasks.serving.keeping import BUNDLE
from tasks.stores import pointer
from tasks.stores import tables as published
from tasks.stores.artifacts import fingerprint
from tasks.stores.buckets import map_buckets
from tasks.stores.embeddings import EmbeddingCache, fill

if TYPE_CHECKING:
    import polars as pl


def champion(home: str, segmentation: str) -> tuple[pointer.Live, Bundle] | None:
    """What is live and its bundle; None where nothing was promoted yet."""
    live = pointer.read(home, segmentation).live
    return None if live is None else (live, bundles.load(Path(home) / live.bundle / BUNDLE, live.sha256))


def cached_lookup(bundle: Bundle, home: str) -> Lookup | None:
    """Vectors of texts from the cache that was filled before; None for a bundle without texts."""
    encoder = bundle.manifest.encoder
    if encoder is None:
        return None
    return EmbeddingCache(Path(home) / "embeddings", encoder.fingerprint, encoder.dimension).get


def filled_lookup(
    bundle: Bundle, tables: Mapping[str, ArtifactRef], run: RunContext, execution: ExecutionConfig
) -> Lookup | None:
    """The same, after the texts of these tables that the cache lacks were encoded by the bundle's own encoder."""
    manifest = bundle.manifest
    if manifest.encoder is None or manifest.texts is None:
        return None
    config, state = TextsConfig(**manifest.texts), bundle.states[bundles.TEXTS]
    cache = EmbeddingCache(Path(run.home) / "embeddings", manifest.encoder.fingerprint, manifest.encoder.dimension)
    missing = cache.missing(distinct_texts(tables, config, state, run, execution, 1.0))
    if missing:
        fill(cache, load_encoder(manifest.encoder, execution.device), missing)
    return cache.get


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


def score(
    segmentation: str, tables: Mapping[str, ArtifactRef], only_touched: bool, run: RunContext,
    execution: ExecutionConfig,
) -> Scored:  # fmt: skip
    """Assigns today's users with the champion.

    Args:
        segmentation: Whose champion.
        tables: Today's input tables.
        only_touched: Score only users with an event or text since the last assignment, and those not known then; the
            others keep their rows. What merely ages (recency) or changes in `users` is seen by the next full run.
        run: Gives as_of and the state folder.
        execution: Where the work runs.

    Raises:
        UsageError: nothing is live yet.
    """
    found = champion(run.home, segmentation)
    if found is None:
        raise UsageError(f"{segmentation}: nothing is live yet; run `fenqun retrain` first")
    live, bundle = found
    lookup = filled_lookup(bundle, tables, run, execution)
    if only_touched:
        ref = _assign_touched(segmentation, live, bundle, tables, run, execution, lookup)
    else:
        ref = assign_all(bundle, live.sha256, live.model_version, tables, run, execution, lookup)
    return Scored(model_version=live.model_version, assignments=ref)


def _assign_touched(
    segmentation: str, live: pointer.Live, bundle: Bundle, tables: Mapping[str, ArtifactRef], run: RunContext,
    execution: ExecutionConfig, lookup: Lookup | None,
) -> ArtifactRef:  # fmt: skip
    version = live.tables[ASSIGNMENTS.name]
    before = published.read(run.home, segmentation, ASSIGNMENTS.name, version)
    ready = segmenter(bundle, lookup=lookup, device=execution.device)
    digest = fingerprint(
        "touched", live.sha256, live.model_version, version, live.promoted_at, dict(tables), run.as_of,
        run.code_version,
    )  # fmt: skip
    work = touched_only(ready, before, live.as_of, run.as_of, live.model_version)
    return map_buckets(tables, work, execution, home=run.home, kind=ASSIGNMENTS.name, digest=digest)


def touched_only(
    ready: Segmenter, before: "pl.DataFrame", since: datetime, as_of: datetime, version: str
) -> "Callable[[Bucket], pl.DataFrame]":
    """A function from one bucket to its assignments, of which only the touched users' are made anew."""
    import polars as pl

    def assign(bucket: Bucket) -> pl.DataFrame:
        present = _present(bucket, None, as_of)
        touched = _present(bucket, since, as_of)
        new = present.filter(~present.is_in(before.get_column(USER_ID).implode()))
        asked = pl.concat([touched, new]).unique().implode()
        own = {
            name: frame.filter(pl.col(BUCKETED[name]).is_in(asked)) if name in BUCKETED else frame
            for name, frame in bucket.items()
        }
        kept = before.filter(pl.col(USER_ID).is_in(present.implode()) & ~pl.col(USER_ID).is_in(asked))
        fresh = ready.assign(own, as_of, version)
        return pl.concat([fresh, kept.select(fresh.columns).cast(fresh.schema)]).sort(USER_ID)

    return assign


def _present(bucket: Bucket, since: datetime | None, as_of: datetime) -> "pl.Series":
    """Users with an event or text up to `as_of` (and after `since`), and without `since` all users with a row."""
    import polars as pl

    known = [pl.Series(USER_ID, [], dtype=pl.String)]
    for name in (EVENTS.name, TEXTS.name):
        if name in bucket:
            rows = bucket[name].filter(pl.col(TIMESTAMP) <= as_of)
            known.append((rows if since is None else rows.filter(pl.col(TIMESTAMP) > since)).get_column(USER_ID))
    if since is None and USERS.name in bucket:
        known.append(bucket[USERS.name].get_column(USER_ID))
    return pl.concat(known).unique().sort()
