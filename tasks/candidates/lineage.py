"""Matches clusters of today's users with the segments that readers know, in the space of the clusters."""

from typing import TYPE_CHECKING

import numpy as np

from schemas.config import IdentityConfig
from schemas.reports import Lineage, Metric
from schemas.runs import Attempt, Built, Standing
from tasks.candidates.candidate import LABELS
from tasks.candidates.ground import members
from tasks.disk.artifacts import load_state
from tasks.models.keep import provisional
from tasks.models.told import labels_of
from tasks.segments.identity import Clusters, first, match, warm_centroids
from tasks.selection.choose import CHURN
from tasks.stores.book import Day
from tasks.vectors.features import matrix

if TYPE_CHECKING:
    import polars as pl


def lineage_of(day: Day, attempt: Attempt, built: Built, standing: Standing | None) -> Lineage:
    """The lineage of the segments as they would be published.

    Args:
        day: The run.
        attempt: The chosen candidate, in whose vectors centroids are compared.
        built: The model, and everybody assigned by it.
        standing: The champion on today's data; None: every segment is born.
    """
    ids = provisional(built)
    if standing is None:
        return first(len(ids))
    users, X = matrix(attempt.vectors)
    return matched(users, X, labels_of(built.assignments, ids, users), standing, day.settings.identity, len(ids))


def moved_share(day: Day, attempt: Attempt, standing: Standing) -> Metric:
    """Share of the users with a published segment who would change it, if a candidate's clusters were published."""
    users, X = matrix(attempt.vectors)
    labels = load_state(attempt.fitted).arrays[LABELS]
    found = matched(users, X, labels, standing, day.settings.identity, int(labels.max(initial=-1)) + 1)
    n = int((told(standing, users) >= 0).sum())
    return Metric.of(CHURN, float("nan") if found.moved_share is None else found.moved_share, n)


def matched(
    users: "pl.Series", X: np.ndarray, labels: np.ndarray, standing: Standing, config: IdentityConfig, k: int
) -> Lineage:
    """The lineage of k clusters of users; only those whom readers were told a segment for count as its members."""
    before = told(standing, users)
    known = before >= 0
    assigned = labels_of(standing.placed["all"].assignments, standing.ids, users)
    old = Clusters(
        users.filter(known), before[known], warm_centroids(X, members(standing, users, assigned), len(standing.ids))
    )
    ours, theirs = warm_centroids(X, np.where(known, labels, -1), k), warm_centroids(X, labels, k)
    new = Clusters(users, labels, np.where(np.isfinite(ours), ours, theirs))
    return match(old, standing.ids, new, config, standing.next_number)


def told(standing: Standing, users: "pl.Series") -> np.ndarray:
    """(n,) label of the segment that readers were told for each user, −1 for none."""
    assert standing.published is not None  # of a champion
    return labels_of(standing.published, standing.ids, users)
