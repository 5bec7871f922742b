"""Fits features, texts and the representation over buckets, on all data or on a slice of everyone's history.

Each step is two artifacts: the fitted state, and a table made of every bucket with it. Serving applies the same states.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef, Fitted, RunContext, State
from schemas.config import ExecutionConfig, MissingPolicy, OutlierPolicy, RepresentConfig, Section, TextsConfig
from schemas.runs import Embedded
from schemas.tables import EVENTS, SEQUENCE, TEXTS, TIMESTAMP, USER_ID, VECTOR, Bucket
from tasks.serving.blocks import TEXT_BLOCK, feature_block, text_block
from tasks.serving.plugins import module_of
from tasks.stores.artifacts import fingerprint, load_state, produce, save_state
from tasks.stores.buckets import Refs, map_buckets, read_frames, reduce_buckets

if TYPE_CHECKING:
    import polars as pl


def sliced(bucket: Bucket, high: float) -> Bucket:
    """The bucket with only the first `high` share of each user's own events and texts, by time."""
    from tasks.metrics._split import slice_events

    if high >= 1:
        return bucket
    cut = {name: slice_events(frame, 0.0, high) for name, frame in bucket.items() if name in (EVENTS.name, TEXTS.name)}
    if EVENTS.name in cut:  # the families count on this order, which ingest guarantees
        cut[EVENTS.name] = cut[EVENTS.name].sort(USER_ID, TIMESTAMP, SEQUENCE)
    return {**bucket, **cut}


def fit_family(tables: Refs, config: Section, run: RunContext, high: float, execution: ExecutionConfig) -> Fitted:
    """Fits one feature family and transforms every bucket.

    Args:
        tables: Input tables by name.
        config: The family's `Config`.
        run: Gives as_of, seed and code version.
        high: Share of each user's history to look at; 1 is all of it.
        execution: Where the work runs.
    """
    family, kind = module_of("features", config), str(config.kind)  # type: ignore[attr-defined]
    digest = fingerprint("features", dict(tables), config, run.as_of, run.seed, run.code_version, high)

    def partial(bucket: Bucket) -> Any:
        return family.partial(sliced(bucket, high), config, run.as_of)

    def fit() -> State:
        return family.finish(reduce_buckets(tables, partial, family.merge, execution), np.random.default_rng(run.seed))

    state_ref = _keep_state(run, f"state-{kind}", digest, fit)
    state = load_state(state_ref)

    def transform(bucket: Bucket) -> "pl.DataFrame":
        return family.transform(sliced(bucket, high), state, config, run.as_of)

    output = map_buckets(tables, transform, execution, home=run.home, kind=f"features-{kind}", digest=digest)
    return Fitted(state=state_ref, output=output)


def fit_texts(
    tables: Refs,
    config: TextsConfig,
    lookup: Callable[[list[str]], np.ndarray],
    encoder: str,
    run: RunContext,
    high: float,
    execution: ExecutionConfig,
) -> Fitted:
    """Fits the weights of texts and averages every user's texts; `lookup` gives the vectors of texts.

    Args:
        tables: Input tables by name.
        config: Which texts, and their weights.
        lookup: Texts -> (n, d) float32 vectors.
        encoder: Fingerprint of the encoder behind `lookup`.
        run: Gives as_of, seed and code version.
        high: Share of each user's history to look at; 1 is all of it.
        execution: Where the work runs.
    """
    from tasks.texts import pooling

    digest = fingerprint("texts", dict(tables), config, encoder, run.as_of, run.seed, run.code_version, high)
    state_ref = _keep_state(run, "state-text", digest, lambda: fit_text_weights(tables, config, run, high, execution))
    state = load_state(state_ref)

    def transform(bucket: Bucket) -> "pl.DataFrame":
        return pooling.transform(sliced(bucket, high), state, config, run.as_of, lookup)

    output = map_buckets(
        tables,
        transform,
        execution,
        home=run.home,
        kind="user_embeddings",
        digest=digest,
    )
    return Fitted(state=state_ref, output=output)


def fit_text_weights(
    tables: Refs, config: TextsConfig, run: RunContext, high: float, execution: ExecutionConfig
) -> State:
    """How much each text counts, learned over all buckets."""
    from tasks.texts import pooling

    def partial(bucket: Bucket) -> Any:
        return pooling.partial(sliced(bucket, high), config, run.as_of)

    whole = reduce_buckets(tables, partial, pooling.merge, execution)
    return pooling.finish(whole, np.random.default_rng(run.seed))


def distinct_texts(
    tables: Refs, config: TextsConfig, state: State, run: RunContext, execution: ExecutionConfig, high: float = 1.0
) -> list[str]:
    """Every distinct text that some user's vector needs on this slice, sorted.

    The newest texts of a slice are not among the newest of all, so each slice asks for its own.
    """
    from tasks.texts import pooling

    def needed(bucket: Bucket) -> set[str]:
        return set(pooling.texts_of(sliced(bucket, high), state, config, run.as_of))

    return sorted(reduce_buckets(tables, needed, set.union, execution))


def fit_representation(
    features: Mapping[str, Fitted],
    texts: Embedded | None,
    config: RepresentConfig,
    policies: tuple[Mapping[str, MissingPolicy], Mapping[str, OutlierPolicy]],
    run: RunContext,
    execution: ExecutionConfig,
) -> Fitted:
    """Fits scaling, balance and reduction, and makes every user's vector.

    Args:
        features: Feature families by kind.
        texts: The text block; None without a language model.
        config: How blocks become one vector.
        policies: Missing-value and outlier policies by column.
        run: Gives seed and code version.
        execution: Where the work runs.
    """
    from tasks.representation import fit

    refs = {kind: fitted.output for kind, fitted in features.items()}
    columns = {kind: ref.columns[1:] for kind, ref in refs.items()}
    if texts is not None:
        refs[TEXT_BLOCK] = texts.fitted.output
        columns[TEXT_BLOCK] = tuple(map(str, range(texts.encoder["dimension"])))
    digest = fingerprint("represent", refs, config, *map(dict, policies), run.seed, run.code_version)
    missing, outliers = policies

    def learn() -> State:
        rng = np.random.default_rng(run.seed)
        return fit(lambda: stream_blocks(refs), columns, config, rng, missing, outliers).state()

    state_ref = _keep_state(run, "state-represent", digest, learn)
    output = map_buckets(
        refs, vectorizer(load_state(state_ref), config), execution, home=run.home, kind="user_vectors", digest=digest
    )
    return Fitted(state=state_ref, output=output)


def vectorizer(state: State, config: RepresentConfig) -> "Callable[[Bucket], pl.DataFrame]":
    """A function from one bucket's block frames to the frame of user vectors."""
    import polars as pl

    from tasks.representation import from_state

    representation = from_state(state, config)

    def transform(frames: Bucket) -> pl.DataFrame:
        users, blocks = blocks_of(frames)
        return pl.DataFrame({USER_ID: users}).with_columns(vector_column(representation.transform(blocks)))

    return transform


def vector_column(X: np.ndarray) -> "pl.Series":
    """(n, d) float32 as a column of lists."""
    import polars as pl

    return pl.Series(VECTOR, np.ascontiguousarray(X, dtype=np.float32), dtype=pl.Array(pl.Float32, X.shape[1])).cast(
        pl.List(pl.Float32)
    )


def blocks_of(frames: "Mapping[str, pl.DataFrame]") -> "tuple[pl.Series, dict[str, np.ndarray]]":
    """Users and block matrices of one bucket; every block has the same users in the same order."""
    users = next(iter(frames.values())).get_column(USER_ID)
    blocks = {name: text_block(frame) if name == TEXT_BLOCK else feature_block(frame) for name, frame in frames.items()}
    return users, blocks


def stream_blocks(refs: Refs) -> "Iterable[dict[str, np.ndarray]]":
    """Blocks bucket by bucket."""
    for frames in zip(*(read_frames(ref) for ref in refs.values()), strict=True):
        yield blocks_of(dict(zip(refs, frames, strict=True)))[1]


def matrix(vectors: ArtifactRef) -> "tuple[pl.Series, np.ndarray]":
    """All users and their vectors, (n, d) float32, in bucket order: what an in-memory clusterer needs at once."""
    import polars as pl

    frames = list(read_frames(vectors))
    users = pl.concat([frame.get_column(USER_ID) for frame in frames])
    return users, np.concatenate([text_block(frame) for frame in frames if len(frame)])


def _keep_state(run: RunContext, kind: str, digest: str, fit: Callable[[], State]) -> ArtifactRef:
    """The fitted state as an artifact, fitted only where it is not there yet."""

    def write(place: Path) -> dict[str, Any]:
        save_state(place, fit())
        return {}

    return produce(run.home, kind, digest, write)


def usable(features: Sequence[Section], tables: Refs) -> tuple[tuple[Section, ...], dict[str, str]]:
    """Which families have their tables, and why the others are switched off."""
    on, off = [], {}
    for config in features:
        missing = [name for name in module_of("features", config).REQUIRES if name not in tables]
        if missing:
            off[str(config.kind)] = f"no table {', '.join(missing)}"  # type: ignore[attr-defined]
        else:
            on.append(config)
    return tuple(on), off
