"""What each block of features is worth: its share of the vectors' variance, and what held-out lift loses without it."""

from schemas.config import RepresentConfig
from schemas.runs import Candidate, Vectors
from tasks.candidates.proof import prove
from tasks.disk.artifacts import load_state
from tasks.stores.book import Day
from tasks.vectors.blocks import TEXT_BLOCK
from tasks.vectors.features import fit_representation


def shares(vectors: Vectors) -> dict[str, float]:
    """Block -> its share of the variance of the vectors before they are brought to one length; they sum to 1."""
    return dict(load_state(vectors.represented.state).meta["facts"]["variance_shares"])


def contributions(day: Day, candidate: Candidate, vectors: Vectors) -> dict[str, float]:
    """Block -> held-out precision lift with it minus without it, 0.05 being five percentage points of lift.

    Without it, representation and clustering are fitted anew on the same slice, and measured on the same one. Families
    that know the same thing stand in for each other, so that contributions don't add up to the lift.

    Args:
        day: The run.
        candidate: Whose algorithm is used, from a start of its own.
        vectors: Of the slice that the proof trained on.

    Returns:
        Nothing for a single block, and none where a lift is not defined.
    """
    blocks, ingest = [*vectors.features, *((TEXT_BLOCK,) if vectors.texts else ())], day.settings.ingest
    policies, represent = (ingest.missing, ingest.outliers), RepresentConfig(**vectors.recipe.represent)
    fresh = candidate.model_copy(update={"start": "fresh"})
    whole = prove(day, fresh, vectors, None).recipe.metric.value
    found: dict[str, float] = {}
    for block in blocks if len(blocks) > 1 and whole is not None else ():
        rest = {kind: fitted for kind, fitted in vectors.features.items() if kind != block}
        texts = None if block == TEXT_BLOCK else vectors.texts
        made = fit_representation(rest, texts, represent, policies, day.context, day.settings.execution)
        without = prove(day, fresh, vectors.model_copy(update={"represented": made}), None).recipe.metric.value
        if without is not None and whole is not None:
            found[block] = whole - without
    return found
