"""Encodes the texts that users need and pools them into the text block."""

import os
from collections.abc import Mapping

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import Section, TextsConfig
from schemas.execution import ExecutionConfig
from schemas.runs import Embedded
from tasks.execution.scheduler import Progress
from tasks.vectors.encoder import cache_of, encode, known
from tasks.vectors.features import distinct_texts, fit_text_weights, fit_texts


def embed_users(
    tables: Mapping[str, ArtifactRef],
    config: TextsConfig,
    encoder_config: Section,
    run: RunContext,
    execution: ExecutionConfig,
    encoding: Progress | None = None,
    pooling: Progress | None = None,
) -> Embedded:
    """Fills the cache with the texts that it lacks, then averages every user's texts.

    Args:
        tables: Input tables by name.
        config: Which texts speak for a user, and their weights.
        encoder_config: A `Config` of `tasks/encoders`.
        run: Gives as_of, seed, code version and the state folder.
        execution: Where the work runs.
        encoding: Hears (texts encoded, texts to encode).
        pooling: Hears (done, of) of averaging.
    """
    os.environ.setdefault("FENQUN_HOME", run.home)
    encoder = known(encoder_config, execution.device, run.home)
    facts = encoder.facts
    weights = fit_text_weights(tables, config, run, execution)
    texts = distinct_texts(tables, config, weights, run, execution)
    counts = encode(texts, encoder, run.home, execution, encoding)
    lookup = cache_of(encoder, run.home).get
    fitted = fit_texts(tables, config, lookup, facts["fingerprint"], run, execution, pooling)
    return Embedded(
        config=config.model_dump(mode="json"), fitted=fitted, encoder=facts, hits=counts.hits, misses=counts.misses
    )
