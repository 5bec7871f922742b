"""The table of all ways to recommend under one protocol, from everything that was measured."""

import numpy as np

from schemas.config import EvaluateConfig
from schemas.yardsticks import SEGMENTS, Protocol, Yardsticks
from tasks.yardsticks import figures
from tasks.yardsticks.split import Split
from tasks.yardsticks.ways import by_segment, one_by_one, yardsticks

BANDS = (0, 1, 3, 5, 10)
"""Events by which users are told apart: 0, 1-2, 3-4, 5-9, and 10 or more."""


def measured(
    protocol: Protocol,
    split: Split,
    groups: dict[str, np.ndarray],
    segments: dict[str, np.ndarray],
    config: EvaluateConfig,
    seed: int,
) -> Yardsticks:
    """All ways measured, and compared with the strongest popularity.

    Args:
        protocol: How the split was cut.
        split: What was known and what was held out.
        groups: Way -> (draws, n) labels of everything that groups users; the candidate's own are `SEGMENTS`.
        segments: Segment id -> (m,) bool of its members among the asked users.
        config: Which recommenders, and how often chance is drawn.
        seed: Of every fit and draw.
    """
    found = one_by_one(split, yardsticks(config, split.repeats), groups[SEGMENTS][0], seed)
    lists = {**by_segment(split, groups, config.prior_weight, seed), **found.lists}
    values = {name: figures.per_user(split, one) for name, one in lists.items()}
    rng, draws, base = np.random.default_rng(seed), config.resamples, figures.baseline(values)
    ways, each = figures.against(values, base, segments, split.top_n, draws, rng)
    bands, ends = bands_of(split), figures.ends(values, draws, rng)
    return Yardsticks(
        protocol=protocol,
        top_n=split.top_n,
        users=int((np.diff(split.wanted.indptr) > 0).sum()),
        items=split.catalogue,
        repeats=split.repeats,
        baseline=base,
        ways=tuple(
            figures.way(name, split, one, values[name], bands).model_copy(
                update={"intervals": ends[name], "against": ways.get(name)}
            )
            for name, one in lists.items()
        ),
        segments=each,
        champion=figures.over_champion(values, draws, rng),
        counts=split.counts(),
        skipped=found.skipped,
    )


def bands_of(split: Split) -> dict[int, np.ndarray]:
    """Events of a user, at least and below the next band -> (m,) bool."""
    known = split.known()
    above = (*BANDS[1:], np.inf)
    return {low: (known >= low) & (known < high) for low, high in zip(BANDS, above, strict=True)}
