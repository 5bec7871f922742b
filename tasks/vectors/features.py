"""Fits features, texts and the representation over buckets.

Each step is two artifacts: the fitted state, and a table made of every bucket with it. Serving applies the same states.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef, Fitted, RunContext, State
from schemas.config import MissingPolicy, OutlierPolicy, RepresentConfig, Section, TextsConfig
from schemas.execution import ExecutionConfig
from schemas.runs import Embedded
from schemas.tables import USER_ID, VECTOR, Bucket
from tasks.disk.artifacts import fingerprint, load_facts, load_state
from tasks.disk.codec import classes_of
from tasks.execution.scheduler import Progress, part
from tasks.plugins.find import module_of
from tasks.stores.buckets import Keep, Refs, contents, map_buckets, read_frames, reduce_buckets, scheduler
from tasks.vectors.blocks import TEXT_BLOCK, feature_block, text_block
from tasks.vectors.learner import CONTENT, Learned, Learner, keep_state
from tasks.vectors.policies import by_output, counted_by

if TYPE_CHECKING:
    import polars as pl

ISOMETRIC = "isometric"
"""In a state's meta: whether the columns of its block share one unit."""


def fit_family(
    tables: Refs,
    config: Section,
    run: RunContext,
    execution: ExecutionConfig,
    progress: Progress | None = None,
) -> Fitted:
    """Fits one feature family and transforms every bucket.

    Args:
        tables: Input tables by name.
        config: The family's `Config`.
        run: Gives as_of, seed and code version.
        execution: Where the work runs.
        progress: Hears (done, of).
    """
    family, kind = module_of("features", config), str(config.kind)  # type: ignore[attr-defined]
    learner, as_of = Learner(family, kind, config, tables, run, execution), run.as_of

    def transform(bucket: Bucket, state: State) -> "pl.DataFrame":
        return family.transform(bucket, state, config, as_of)

    with scheduler(execution):
        state = learner.learn(part(progress, 0, 2))
        output = learner.apply(f"features-{kind}", state, transform, (), part(progress, 1, 2))
    return Fitted(state=state, output=output)


def fit_texts(
    tables: Refs,
    config: TextsConfig,
    lookup: Callable[[list[str]], np.ndarray],
    encoder: str,
    run: RunContext,
    execution: ExecutionConfig,
    progress: Progress | None = None,
) -> Fitted:
    """Fits the weights of texts and averages every user's texts; `lookup` gives the vectors of texts.

    Args:
        tables: Input tables by name.
        config: Which texts, and their weights.
        lookup: Texts -> (n, d) float32 vectors.
        encoder: Fingerprint of the encoder behind `lookup`.
        run: Gives as_of, seed and code version.
        execution: Where the work runs.
        progress: Hears (done, of).
    """
    from tasks.texts import pooling

    learner, as_of = Learner(pooling, "text", config, tables, run, execution), run.as_of

    def transform(bucket: Bucket, state: State) -> "pl.DataFrame":
        return pooling.transform(bucket, state, config, as_of, lookup)

    with scheduler(execution):
        state = learner.learn()
        if config.fallback == "mean":
            state = _with_mean(learner, config, state, lookup, encoder, part(progress, 0, 2))
        output = learner.apply("user_embeddings", state, transform, (encoder,), part(progress, 1, 2))
    return Fitted(state=state, output=output)


def _with_mean(
    learner: Learner,
    config: TextsConfig,
    weights: ArtifactRef,
    lookup: Callable[[list[str]], np.ndarray],
    encoder: str,
    progress: Progress | None,
) -> ArtifactRef:
    """The state with the mean vector over users with text, which users without any get."""
    from tasks.texts import pooling

    run, learned = learner.run, Learned(weights)
    keys = learner.keys("mean", weights.meta[CONTENT], encoder)

    def partial(bucket: Bucket) -> Any:
        return pooling.mean_partial(bucket, learned.state, config, run.as_of, lookup)

    def fit() -> State:
        keep = Keep(run.home, "partial-text-mean", keys, classes_of(pooling))
        mean = reduce_buckets(learner.tables, partial, pooling.merge_means, learner.execution, keep, progress)
        return pooling.with_fallback(learned.state, mean)

    return keep_state(run, "state-text-mean", fingerprint("mean", keys), fit)


def fit_text_weights(tables: Refs, config: TextsConfig, run: RunContext, execution: ExecutionConfig) -> State:
    """How much each text counts, learned over all buckets."""
    from tasks.texts import pooling

    return load_state(Learner(pooling, "text", config, tables, run, execution).learn())


def distinct_texts(
    tables: Refs, config: TextsConfig, state: State, run: RunContext, execution: ExecutionConfig
) -> list[str]:
    """Every distinct text that some user's vector needs, sorted: all on the client, which encodes each once."""
    from tasks.texts import pooling

    def needed(bucket: Bucket) -> list[str]:
        return list(pooling.texts_of(bucket, state, config, run.as_of))

    return sorted(reduce_buckets(tables, needed, _both, execution))


def _both(a: Iterable[str], b: Iterable[str]) -> list[str]:
    return list({*a, *b})


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
        policies: Missing-value and outlier policies by input column or by output of a family.
        run: Gives seed and code version.
        execution: Where the work runs.
    """
    from tasks.representation import fit

    refs = {kind: fitted.output for kind, fitted in features.items()}
    columns = {kind: ref.columns[1:] for kind, ref in refs.items()}
    if texts is not None:
        refs[TEXT_BLOCK] = texts.fitted.output
        columns[TEXT_BLOCK] = tuple(map(str, range(texts.encoder["dimension"])))
    known = contents(refs)
    counted = counted_by(features)
    config = _one_unit(config, features)
    digest = fingerprint("represent", known, columns, config, *map(dict, policies), counted, run.seed, run.code_version)

    def learn() -> State:
        rng = np.random.default_rng(run.seed)
        missing, outliers = by_output(policies[0], features), by_output(policies[1], features)
        return fit(lambda: stream_blocks(refs), columns, config, rng, missing, outliers, counted).state()

    state = keep_state(run, "state-represent", digest, learn)
    keys = [fingerprint("vectors", state.meta[CONTENT], run.code_version, content) for content in known]
    output = map_buckets(
        refs,
        vectorizer(load_state(state), config),
        execution,
        home=run.home,
        kind="user_vectors",
        digest=keys,
    )
    return Fitted(state=state, output=output)


def _one_unit(config: RepresentConfig, features: Mapping[str, Fitted]) -> RepresentConfig:
    """The config with the blocks whose states say that their columns share one unit among the isometric ones."""
    told = (kind for kind, made in features.items() if load_facts(made.state).get(ISOMETRIC))
    more = tuple(kind for kind in told if kind not in config.isometric)
    return config.model_copy(update={"isometric": (*config.isometric, *more)}) if more else config


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
