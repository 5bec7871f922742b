"""Matches a candidate's clusters with the champion's segments, in the candidate's space."""

import numpy as np

from schemas.artifacts import ArtifactRef
from schemas.config import IdentityConfig
from schemas.reports import Lineage
from schemas.runs import Standing
from tasks.segments.identity import Clusters, first, match, warm_centroids
from tasks.serving.candidates import LABELS
from tasks.serving.fitting import matrix
from tasks.serving.revisiting import champion_labels
from tasks.stores.artifacts import load_state


def lineage_of(fitted: ArtifactRef, vectors: ArtifactRef, standing: Standing | None, config: IdentityConfig) -> Lineage:
    """The lineage of a candidate's clusters.

    Args:
        fitted: The candidate's artifact.
        vectors: The user vectors that it was fitted on.
        standing: The champion on the same users; None: every segment is born.
        config: Thresholds.
    """
    labels = load_state(fitted).arrays[LABELS]
    k = int(labels.max()) + 1
    if standing is None:
        return first(k)
    users, X = matrix(vectors)
    old_users, old = champion_labels(standing)
    # Users stand in the same buckets, sorted by id, on both sides: the champion's labels align with the rows of X.
    if not old_users.equals(users, check_names=False):
        old = _aligned(old_users.to_list(), old, users.to_list())
    before = Clusters(users, old, warm_centroids(X, old, len(standing.ids)))
    after = Clusters(users, labels, warm_centroids(X, labels, k))
    return match(before, standing.ids, after, config, standing.next_number)


def _aligned(known: list[str], labels: np.ndarray, users: list[str]) -> np.ndarray:
    """Labels in the order of `users`; −1 for a user that was not assigned."""
    of = dict(zip(known, labels.tolist(), strict=True))
    return np.array([of.get(user, -1) for user in users], np.int32)


def markdown(lineage: Lineage) -> str:
    """The changes as a Markdown table."""
    rows = [
        f"| {change.kind} | {', '.join(change.old) or '–'} | {', '.join(change.new) or '–'} | "
        f"{'–' if change.overlap is None else f'{change.overlap:.0%}'} | "
        f"{'–' if change.cosine is None else f'{change.cosine:.2f}'} |"
        for change in lineage.changes
    ]
    moved = "" if lineage.moved_share is None else f"{lineage.moved_share:.1%} of the known users change segment.\n\n"
    return moved + "\n".join(["| | before | now | members kept | cosine |", "|---|---|---|---|---|", *rows])
