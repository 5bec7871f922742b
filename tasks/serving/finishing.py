"""What a bundle gets once it can assign: reasons where it has none yet, and the ladder for thin users."""

from collections.abc import Iterator, Mapping

import numpy as np

from schemas.artifacts import ArtifactRef, RunContext, State
from schemas.config import ExecutionConfig
from schemas.tables import BUCKETED, EVENTS, USER_ID, Bucket
from tasks.segments import _reasons as reasons
from tasks.segments import bundle as bundles
from tasks.segments.bundle import Bundle
from tasks.segments.segmenter import reason_columns, stacked
from tasks.serving.compose import Lookup, segmenter
from tasks.serving.learning import keep_state
from tasks.serving.thin import ladder_state
from tasks.stores.artifacts import fingerprint, load_state
from tasks.stores.buckets import contents, count, read_bucket

LADDER_USERS = 2_000


def finished(
    bundle: Bundle, tables: Mapping[str, ArtifactRef], lookup: Lookup | None, run: RunContext,
    execution: ExecutionConfig,
) -> Bundle:  # fmt: skip
    """The bundle with reasons (a warm one keeps the champion's features, so they are fitted here) and a ladder.

    Args:
        bundle: As built.
        tables: Input tables that it was fitted on.
        lookup: Vectors of texts; None: the bundle reads none.
        run: Gives as_of and the seed.
        execution: Where an encoder runs.
    """
    if bundles.REASONS not in bundle.states:
        bundle = _with_reasons(bundle, tables, lookup, run)
    if EVENTS.name not in tables:  # thin means few events
        return bundle
    known = contents(tables)
    digest = fingerprint("ladder", bundles.content_sha256(bundle), known, run.as_of, run.seed, run.code_version)

    def measured() -> State:
        return ladder_state(
            bundle, sample_of(tables, LADDER_USERS), run.as_of, run.seed, lookup=lookup, device=execution.device
        )

    ladder = load_state(keep_state(run, "state-ladder", digest, measured))
    return Bundle(bundle.manifest, {**bundle.states, bundles.LADDER: ladder})


def _with_reasons(bundle: Bundle, tables: Mapping[str, ArtifactRef], lookup: Lookup | None, run: RunContext) -> Bundle:
    ready = segmenter(bundle, lookup=lookup)

    def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for number in range(count(tables)):
            users, blocks = ready.features(read_bucket(tables, number), run.as_of)
            decision = ready.assign_vectors(ready.represent(blocks, len(users)))
            yield stacked(blocks, ready.blocks), decision.labels

    fitted = reasons.fit(parts(), reason_columns(ready.blocks), len(bundle.manifest.segments))
    return Bundle(bundle.manifest, {**bundle.states, bundles.REASONS: fitted.to_state()})


def sample_of(tables: Mapping[str, ArtifactRef], n: int) -> Bucket:
    """The whole histories of about `n` users, as many from each bucket."""
    import polars as pl

    share = -(-n // count(tables))
    parts = [first_users(read_bucket(tables, number), share) for number in range(count(tables))]
    return {
        name: pl.concat([part[name] for part in parts]) if name in BUCKETED else frame
        for name, frame in parts[0].items()
    }


def first_users(bucket: Bucket, n: int) -> Bucket:
    """The bucket with only its first `n` users, by id; ids are spread over buckets by hash, so they are any users."""
    import polars as pl

    keyed = {name: column for name, column in BUCKETED.items() if name in bucket}
    ids = [bucket[name].get_column(column).alias(USER_ID) for name, column in keyed.items()]
    kept = pl.concat(ids).unique().sort().head(n).implode() if ids else pl.Series([], dtype=pl.List(pl.String))
    return {
        name: frame.filter(pl.col(keyed[name]).is_in(kept)) if name in keyed else frame
        for name, frame in bucket.items()
    }
