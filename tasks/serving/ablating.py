"""What each block of features is worth: its share of the vectors' variance, and what held-out lift loses without it."""

from collections.abc import Mapping

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import EvaluateConfig, ExecutionConfig, IngestConfig, RepresentConfig
from schemas.runs import Candidate, Proof, Vectors
from tasks.serving.blocks import TEXT_BLOCK
from tasks.serving.fitting import fit_representation
from tasks.serving.proving import prove
from tasks.stores.artifacts import load_state


def shares(vectors: Vectors) -> dict[str, float]:
    """Block -> its share of the variance of the vectors before they are brought to one length; they sum to 1."""
    return dict(load_state(vectors.represented.state).meta["facts"]["variance_shares"])


def contributions(
    candidate: Candidate,
    vectors: Vectors,
    proof: Proof,
    tables: Mapping[str, ArtifactRef],
    config: EvaluateConfig,
    ingest: IngestConfig,
    run: RunContext,
    execution: ExecutionConfig,
) -> dict[str, float]:
    """Block -> held-out precision lift with it minus without it, 0.05 being five percentage points of lift.

    Without it, representation and clustering are fitted anew on the same slice, and measured on the same one. Families
    that know the same thing stand in for each other, so that contributions don't add up to the lift.

    Args:
        candidate: Whose algorithm is used.
        vectors: Of the slice that the proof trained on.
        proof: With all blocks.
        tables: Input tables.
        config: Of the held-out protocol.
        ingest: Its policies fill and clip.
        run: Gives seed and state folder.
        execution: Where the work runs.

    Returns:
        Nothing for a single block, and none where a lift is not defined.
    """
    blocks = [*vectors.features, *((TEXT_BLOCK,) if vectors.texts else ())]
    policies, represent = (ingest.missing, ingest.outliers), RepresentConfig(**vectors.recipe.represent)
    found: dict[str, float] = {}
    for block in blocks if len(blocks) > 1 and proof.heldout.value is not None else ():
        rest = {kind: fitted for kind, fitted in vectors.features.items() if kind != block}
        texts = None if block == TEXT_BLOCK else vectors.texts
        made = fit_representation(rest, texts, represent, policies, run, execution)
        without = prove(candidate, made.output, tables, config, (), run).heldout.value
        if without is not None and proof.heldout.value is not None:
            found[block] = proof.heldout.value - without
    return found
