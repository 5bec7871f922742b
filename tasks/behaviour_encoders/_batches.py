"""Histories as padded batches: windows of them, the time since the event before, and where each begins and ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from schemas.sequences import Sequences

if TYPE_CHECKING:
    import torch

GAPS = 24
"""Codes of gaps: 0 for a first event, 1 for the same minute, then one for each doubling, to 22 years."""
_MINUTES = 1440.0
_POOL = 32  # batches that are sorted by length together: little padding, and still shuffled


@dataclass(frozen=True)
class Batch:
    """B windows, padded at their ends to T events.

    Attributes:
        items: (B, T) int64 codes, −1 where nothing is known or nothing stands.
        kinds: (B, T) int64 codes of events plus 1, 0 likewise.
        gaps: (B, T) int64 codes of the time since the event before.
        lengths: (B,) int64 events of each.
    """

    items: np.ndarray
    kinds: np.ndarray
    gaps: np.ndarray
    lengths: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """(B, T) where an event stands."""
        return np.arange(self.items.shape[1]) < self.lengths[:, None]

    def at(self, places: np.ndarray, lengths: np.ndarray) -> "Batch":
        """Other events of the windows: of each those at `places` (B, W), or (1, W) of all, the first `lengths` (B,)."""
        places = np.minimum(places, self.items.shape[1] - 1)[:, : max(int(lengths.max(initial=0)), 1)]
        there = np.arange(places.shape[1]) < lengths[:, None]

        def part(values: np.ndarray, empty: int) -> np.ndarray:
            return np.where(there, np.take_along_axis(values, np.broadcast_to(places, there.shape), axis=1), empty)

        return Batch(part(self.items, -1), part(self.kinds, 0), part(self.gaps, 0), lengths)

    def tensors(self, device: "torch.device") -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        """Kinds, gaps and lengths on a device."""
        import torch

        kinds, gaps, lengths = (torch.from_numpy(part).to(device) for part in (self.kinds, self.gaps, self.lengths))
        return kinds, gaps, lengths


def gap_codes(sequences: Sequences) -> np.ndarray:
    """(e,) int64 codes of the time since the user's event before."""
    codes = np.zeros(len(sequences.times), np.int64)
    minutes = np.diff(sequences.times) * _MINUTES
    codes[1:] = np.clip(1 + np.floor(np.log2(1 + np.maximum(minutes, 0))), 1, GAPS - 1)
    firsts = sequences.starts[:-1]
    codes[firsts[firsts < len(codes)]] = 0
    return codes


def padded(sequences: Sequences, gaps: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> Batch:
    """The windows from `begins` (B,) to before `ends` (B,), event numbers, as a batch."""
    lengths = ends - begins
    at = begins[:, None] + np.arange(max(int(lengths.max(initial=0)), 1))
    there = at < ends[:, None]
    if not len(gaps):
        none = np.full(at.shape, -1, np.int64)
        return Batch(none, none + 1, none + 1, lengths)
    at = np.minimum(at, len(gaps) - 1)
    items, kinds = np.where(there, sequences.items[at], -1), np.where(there, sequences.kinds[at] + 1, 0)
    return Batch(items, kinds, np.where(there, gaps[at], 0), lengths)


def windows(starts: np.ndarray, ends: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Begins and ends of windows that cover histories, from their ends backwards; neighbours share one event.

    Args:
        starts: (n,) first event of each history.
        ends: (n,) event after its last.
        length: Events of a window at most, at least 2; windows of one event teach nothing and are left out.
    """
    step = length - 1
    pieces = np.maximum(-(-(ends - starts - 1) // step), 0)
    owner = np.repeat(np.arange(len(starts)), pieces)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    last = ends[owner] - rank * step
    return np.maximum(last - length, starts[owner]), last


def shuffled(begins: np.ndarray, ends: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yields the windows' numbers in batches of nearly equal lengths, in random order."""
    order = rng.permutation(len(begins))
    for low in range(0, len(order), size * _POOL):
        pool = order[low : low + size * _POOL]
        pool = pool[np.argsort((ends - begins)[pool], kind="stable")]
        batches = [pool[at : at + size] for at in range(0, len(pool), size)]
        for at in rng.permutation(len(batches)):
            yield batches[at]
