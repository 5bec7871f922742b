"""Segments of who users are, not of what they do: what a team would have without any of this."""

import numpy as np

from schemas.config import RepresentConfig
from schemas.runs import Vectors
from tasks.plugins.find import plugin
from tasks.stores.book import Day
from tasks.vectors.features import fit_representation, matrix

BLOCK = "attributes"


def by_attributes(day: Day, made: Vectors, k: int) -> np.ndarray | None:
    """(n,) labels of K-Means on the attributes alone, with as many segments; None where users have none.

    Args:
        day: The run.
        made: Vectors of a slice, whose features are taken as they were fitted there.
        k: Segments.
    """
    if BLOCK not in made.features or k < 2:
        return None
    ingest, represent = day.settings.ingest, RepresentConfig(**made.recipe.represent)
    policies = (ingest.missing, ingest.outliers)
    alone = {BLOCK: made.features[BLOCK]}
    fitted = fit_representation(alone, None, represent, policies, day.context, day.settings.execution)
    kmeans, (_, X) = plugin("clusterers", "kmeans"), matrix(fitted.output)
    labels: np.ndarray = kmeans.fit(X, kmeans.Config(k=min(k, len(X))), np.random.default_rng(day.context.seed)).labels
    return labels
