"""What users did, one after the other: what encoders of behaviour learn from and read."""

from dataclasses import dataclass

import numpy as np

from schemas.errors import DataError


@dataclass(frozen=True)
class Sequences:
    """Histories of n users in order of time, ties by sequence number; e events in all.

    Attributes:
        starts: (n + 1,) int64: a user's events are those from `starts[u]` to before `starts[u + 1]`.
        items: (e,) int64 codes of items; −1: nothing is known of the item.
        kinds: (e,) int64 codes of event names; −1: not known.
        times: (e,) float64 days since 1970 UTC, never falling within a user.
    """

    starts: np.ndarray
    items: np.ndarray
    kinds: np.ndarray
    times: np.ndarray

    def __post_init__(self) -> None:
        """Refuses what does not align, and histories that are not in order."""
        sizes = {len(self.items), len(self.kinds), len(self.times), int(self.starts[-1])}
        if len(sizes) > 1:
            raise DataError(f"sequences: items, kinds, times and starts speak of {sorted(sizes)} events")
        falls = np.flatnonzero(np.diff(self.times) < 0) + 1
        if not np.isin(falls, self.starts).all():
            raise DataError("sequences: a user's events must be in order of time")

    def __len__(self) -> int:
        """Number of users."""
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(n,) events of each user."""
        return np.diff(self.starts)
