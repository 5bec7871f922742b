"""Where vectors belong, and what the ladder makes of it for users with few events."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from schemas.config import CalibrationConfig
from tasks.segments._memberships import Memberships
from tasks.segments.ladder import NEAREST, PRIOR, Ladder


class Decision(NamedTuple):
    """Where n vectors belong.

    Attributes:
        labels: (n,) int64 label, −1 where unassigned.
        nearest: (n,) int64 the best label even where it is too far, −1 where there is none.
        second: (n,) int64 next best, −1 where there is none.
        distance: (n,) float64 to `nearest`; NaN where unknown.
        confidence: (n,) float64 in [0, 1]; 0 where unassigned.
        why: Row -> why no segment fits, or by which rung of the ladder a user got it.
        memberships: Of the vectors, to be read where a segment fits and the distance is known; None: none were weighed.
    """

    labels: np.ndarray
    nearest: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    confidence: np.ndarray
    why: dict[int, str]
    memberships: Memberships | None = None


def climb(
    ladder: Ladder, decision: Decision, blocks: Mapping[str, np.ndarray], counts: np.ndarray, config: CalibrationConfig
) -> Decision:
    """The decision with users of few events on the rung that was right most often at that many events.

    On a lower rung the confidence is the rung's measured accuracy, and the distance is unknown unless the rung is the
    nearest segment; on the fullest rung a thin user's confidence is never above the accuracy measured for such users.

    Args:
        ladder: Measured rungs.
        decision: What the vectors say.
        blocks: The users' blocks.
        counts: (n,) events of each user.
        config: `min_confidence`, which a lower rung must reach too.
    """
    rung, accuracy = ladder.choose(counts, blocks, decision.nearest >= 0)
    labels, nearest, second = (np.array(part) for part in (decision.labels, decision.nearest, decision.second))
    distance, confidence, why = decision.distance.copy(), np.minimum(decision.confidence, accuracy), dict(decision.why)
    for number in np.unique(rung[rung > 0]).tolist():
        rows = np.flatnonzero(rung == number)
        if ladder.rungs[number] != NEAREST:
            own = {name: part[rows] for name, part in blocks.items()}
            nearest[rows], second[rows] = ladder.labels(number, own, len(rows))
            distance[rows] = np.nan
        sure = accuracy[rows] >= config.min_confidence
        labels[rows] = np.where(sure, nearest[rows], -1)
        confidence[rows] = np.where(sure, accuracy[rows], 0.0)
        why |= {int(row): _words(ladder.rungs[number], int(counts[row]), float(accuracy[row])) for row in rows}
    return Decision(labels, nearest, second, distance, confidence, why, decision.memberships)


def _words(rung: str, events: int, accuracy: float) -> str:
    source = {PRIOR: "the commonest segment", NEAREST: "the nearest segment"}.get(rung, f"from {rung}")
    return f"{events} event{'' if events == 1 else 's'}: {source}, right for {accuracy:.0%} of such users"
