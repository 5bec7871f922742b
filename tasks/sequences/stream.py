"""Histories as training reads them, and what a training that was killed goes on from."""

import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import State
from schemas.sequences import Sequences
from schemas.tables import EVENTS, TIMESTAMP, USER_ID
from tasks.disk.artifacts import find, fingerprint, folder, load_state, produce, save_state
from tasks.execution.scheduler import Progress
from tasks.numerics.history import until
from tasks.sequences.histories import sequences
from tasks.sequences.vocabulary import Known
from tasks.stores.buckets import Refs, read_frames

if TYPE_CHECKING:
    import polars as pl

_KIND = "training"


class Stream:
    """Histories, bucket by bucket, read from disk each time: memory is bounded by a bucket."""

    def __init__(self, tables: Refs, known: Known, as_of: datetime) -> None:
        self._events, self._known, self._as_of = tables[EVENTS.name], known, as_of

    def __iter__(self) -> Iterator[Sequences]:
        """Yields the buckets in order."""
        for frame in self.frames():
            yield sequences(frame, self._known.items, self._known.kinds)[1]

    def frames(self) -> "Iterator[pl.DataFrame]":
        """Yields the events of the buckets in order."""
        for frame in read_frames(self._events):
            yield until(frame, self._as_of)

    def unchanged(self, since: datetime) -> Iterator[Sequences]:
        """Yields the histories of those who did nothing after a moment."""
        import polars as pl

        for frame in self.frames():
            still = frame.filter(pl.col(TIMESTAMP).max().over(USER_ID) <= since)
            yield sequences(still, self._known.items, self._known.kinds)[1]


class Resumed:
    """Hears of a training's progress, and keeps the arrays of its last epoch under the state folder."""

    def __init__(self, home: str, digest: str, progress: Progress | None) -> None:
        """Of the training with a fingerprint; whoever trains the same goes on from there."""
        self._home, self._digest, self._progress = home, digest, progress
        self._number = 0

    def __call__(self, done: int, of: int) -> None:
        """Tells that `done` of `of` is done."""
        if self._progress is not None:
            self._progress(done, of)

    def load(self) -> dict[str, np.ndarray] | None:
        """The arrays that were kept last; None: nothing was."""
        places = [int(place.name) for place in self._folder.glob("[0-9]*")] if self._folder.exists() else []
        for number in sorted(places, reverse=True):
            found = find(self._home, self._kind, str(number))
            if found is not None:
                self._number = number
                return load_state(found).arrays
        return None

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Keeps arrays in place of those before."""

        def write(place: Path) -> dict[str, Any]:
            save_state(place, State(dict(arrays)))
            return {}

        produce(self._home, self._kind, str(self._number + 1), write)
        shutil.rmtree(self._folder / str(self._number), ignore_errors=True)
        self._number += 1

    def done(self) -> None:
        """Forgets what was kept: the training has ended."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _kind(self) -> str:
        return f"{_KIND}/{fingerprint(self._digest)[:24]}"

    @property
    def _folder(self) -> Path:
        return folder(self._home, self._kind, "0").parent
