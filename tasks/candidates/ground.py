"""Where a candidate is fitted on a slice: on which vectors, beside which tables, and from which centroids it starts."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.artifacts import ArtifactRef
from schemas.config import IdentityConfig
from schemas.runs import Candidate, SliceName, Standing, Vectors
from tasks.models.told import labels_of
from tasks.segments.identity import grow, warm_centroids
from tasks.stores.buckets import Refs
from tasks.vectors.features import matrix


@dataclass(frozen=True)
class Ground:
    """A place to fit a candidate.

    Attributes:
        vectors: User vectors of one slice.
        tables: What the slice's users were known by, for algorithms that learn from labels or ties.
        init: (k, d) centroids to start from; None: the algorithm finds its own.
    """

    vectors: ArtifactRef
    tables: Refs
    init: np.ndarray | None = None

    def known(self) -> tuple[Any, ...]:
        """What a fingerprint has to hold."""
        return self.vectors, dict(self.tables), None if self.init is None else self.init.tolist()


def ground(
    candidate: Candidate, made: Vectors, standing: Standing | None, name: SliceName, config: IdentityConfig, seed: int
) -> Ground:
    """The ground of a candidate on a slice: what goes live is fitted on `all`, what is measured on the others.

    A warm candidate starts there as it will start on all data: in the champion's representation where it keeps that,
    and from the means of the champion's members, who on a slice are those whom the champion would have named then.

    Args:
        candidate: A fresh one needs no `standing`.
        made: Today's fresh vectors of the slice.
        standing: The champion on the same slice.
        name: Which slice.
        config: When a new centroid joins the champion's.
        seed: Of the users that are tried as new centroids.
    """
    if not candidate.warm or standing is None:
        return Ground(made.represented.output, made.slice.tables)
    vectors = standing.placed[name].vectors if candidate.start == "kept" else made.represented.output
    return Ground(vectors, made.slice.tables, warm_start(standing, name, vectors, config, seed, grown=candidate.grown))


def warm_start(
    standing: Standing, name: SliceName, vectors: ArtifactRef, config: IdentityConfig, seed: int, *, grown: bool
) -> np.ndarray:
    """(k, d) centroids to start from: the champion's members' means, and what grows wherever nobody stood before."""
    users, X = matrix(vectors)
    labels = labels_of(standing.placed[name].assignments, standing.ids, users)
    if name == "all" and standing.published is not None:
        labels = members(standing, users, labels)
    means = warm_centroids(X, labels, len(standing.ids))
    means = means[np.isfinite(means).all(axis=1)]
    return grow(X, means, config, np.random.default_rng(seed)) if grown else means


def members(standing: Standing, users: Any, assigned: np.ndarray) -> np.ndarray:
    """(n,) labels of those whom readers were told; of a segment that none of today's users is told of, who is near it.

    Args:
        standing: The champion.
        users: (n,) ids.
        assigned: (n,) labels that the champion gives them today.
    """
    if standing.published is None:
        return assigned
    told = labels_of(standing.published, standing.ids, users)
    empty = np.bincount(told[told >= 0], minlength=len(standing.ids)) == 0
    return np.where((told < 0) & (assigned >= 0) & empty[assigned], assigned, told)
