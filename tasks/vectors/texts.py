"""Encodes the texts that users need and pools them into the text block."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import Section, TextsConfig
from schemas.execution import ExecutionConfig
from schemas.runs import Embedded
from tasks.execution.scheduler import Progress
from tasks.vectors.encoder import cache_of, encode
from tasks.vectors.features import distinct_texts, fit_text_weights, fit_texts
from tasks.vectors.tuning import reader


class Heard(NamedTuple):
    """Who hears of progress.

    Attributes:
        tuning: Hears (batches done, batches at most).
        encoding: Hears (texts encoded, texts to encode).
        pooling: Hears (done, of) of averaging.
    """

    tuning: Progress | None = None
    encoding: Progress | None = None
    pooling: Progress | None = None


def embed_users(
    tables: Mapping[str, ArtifactRef],
    config: TextsConfig,
    encoder_config: Section,
    run: RunContext,
    execution: ExecutionConfig,
    heard: Heard = Heard(),
) -> Embedded:
    """Tunes the encoder where its config says so, fills the cache with what it lacks, averages every user's texts.

    Args:
        tables: Input tables by name.
        config: Which texts speak for a user, and their weights.
        encoder_config: A `Config` of `tasks/encoders`.
        run: Gives as_of, seed, code version and the state folder.
        execution: Where the work runs.
        heard: Who hears of progress.
    """
    os.environ.setdefault("FENQUN_HOME", run.home)
    weights = fit_text_weights(tables, config, run, execution)
    encoder, tuned, tuning = reader(tables, (config, weights), encoder_config, run, execution, heard.tuning)
    texts = distinct_texts(tables, config, weights, run, execution)
    counts = encode(texts, encoder, run.home, execution, heard.encoding)
    lookup = cache_of(encoder, run.home).get
    fitted = fit_texts(tables, config, lookup, encoder.facts["fingerprint"], run, execution, heard.pooling)
    return Embedded(
        config=config.model_dump(mode="json"),
        fitted=fitted,
        encoder=encoder.facts,
        tuned=tuned,
        tuning=tuning,
        hits=counts.hits,
        misses=counts.misses,
    )
