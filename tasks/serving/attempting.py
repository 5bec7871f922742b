"""Fits a candidate in its own space: freshly made vectors, or the champion's where it starts from the champion."""

from schemas.artifacts import RunContext
from schemas.config import IdentityConfig
from schemas.errors import DataError
from schemas.runs import Attempt, Candidate, Standing, Unfit, Vectors
from tasks.serving.candidates import fit_candidate
from tasks.serving.revisiting import warm_start
from tasks.stores.buckets import Refs


def attempt(
    candidate: Candidate,
    full: Vectors,
    train: Vectors,
    standing: Standing | None,
    tables: Refs,
    config: IdentityConfig,
    run: RunContext,
) -> Attempt | Unfit:
    """Fits one candidate, or says why it cannot be: the others compete without it.

    Args:
        candidate: Which algorithm; a warm one needs `standing`.
        full: Vectors of all data.
        train: Vectors of the train slice, for the held-out number: fitted fresh there, so that nothing leaks in from
            a champion that saw the test slice.
        standing: The champion on today's data.
        tables: Input tables, for algorithms that learn from known labels or ties.
        config: When a new centroid joins the champion's.
        run: Gives the seed.
    """
    vectors, init = full.represented.output, None
    if candidate.warm and standing is not None:
        vectors, init = standing.vectors, warm_start(standing, config, run.seed)
    try:
        fitted = fit_candidate(candidate, vectors, train.represented.output, tables, run, init)
    except DataError as error:
        return Unfit(candidate=candidate, why=str(error))
    return Attempt(candidate=candidate, fitted=fitted, vectors=vectors)
