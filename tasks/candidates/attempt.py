"""Fits a candidate where it stands: on all data, and on the slice that candidates are compared on."""

from schemas.errors import DataError
from schemas.runs import Attempt, Candidate, Slices, Standing, Unfit
from tasks.candidates.candidate import fit_candidate, train_candidate
from tasks.candidates.ground import ground, warm_start
from tasks.stores.book import Day


def attempt(day: Day, candidate: Candidate, slices: Slices, standing: Standing | None) -> Attempt | Unfit:
    """Fits one candidate, or says why it cannot be: the others compete without it.

    Args:
        day: The run.
        candidate: Which algorithm; a warm one needs `standing`.
        slices: Today's vectors, of all data and of the slices.
        standing: The champion on the same.
    """
    config, run = day.settings.identity, day.context
    try:
        here = ground(candidate, slices.all, standing, "all", config, run.seed)
        there = ground(candidate, slices.choosing, standing, "choosing", config, run.seed)
        fitted = fit_candidate(candidate, here, run)
        trained = train_candidate(candidate, there, day.settings.evaluate.seeds, run)
    except DataError as error:
        return Unfit(candidate=candidate, why=str(error))
    return Attempt(candidate=candidate, fitted=fitted, vectors=here.vectors, trained=trained, users=there.vectors)


def warm_candidates(day: Day, slices: Slices, standing: Standing) -> list[Candidate]:
    """The candidates that start from the champion: in its own representation and in today's, grown and as it was.

    None where the champion's algorithm starts from no centroids, or it finds a segment for nobody of today. Where
    nothing grows there is no grown one.
    """
    if standing.algorithm["kind"] != "kmeans":
        return []
    found: dict[str, Candidate] = {}
    spaces = (("kept", standing.placed["all"].vectors), ("rebased", slices.all.represented.output))
    for start, vectors in spaces:
        for grown in (False, True):
            k = len(warm_start(standing, "all", vectors, day.settings.identity, day.context.seed, grown=grown))
            name, algorithm = f"kmeans-k{k}-{start}", {**standing.algorithm, "k": k}
            if k:
                told = {"name": name, "algorithm": algorithm, "start": start, "grown": grown}
                found.setdefault(name, Candidate.model_validate(told))
    return list(found.values())
