"""What a bundle gets once it can assign: reasons where it has none yet, and the ladder for thin users."""

from collections.abc import Iterator, Mapping

import numpy as np

from schemas.artifacts import ArtifactRef, RunContext, State
from schemas.execution import ExecutionConfig
from schemas.tables import EVENTS
from tasks.disk.artifacts import fingerprint, load_state
from tasks.models.assemble import segmenter
from tasks.models.thin_users import ladder_state
from tasks.segments import bundle as bundles
from tasks.segments import reasons
from tasks.segments.bundle import Bundle
from tasks.segments.segmenter import reason_columns, stacked
from tasks.stores.buckets import contents, count, read_bucket
from tasks.stores.sample import sample_of
from tasks.vectors.encoder import Lookup
from tasks.vectors.learner import keep_state

LADDER_USERS = 2_000


def finished(
    bundle: Bundle,
    tables: Mapping[str, ArtifactRef],
    lookup: Lookup | None,
    run: RunContext,
    execution: ExecutionConfig,
) -> Bundle:
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
