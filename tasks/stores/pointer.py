"""What is live: one small file per segmentation, replaced under a kernel lock.

The pointer names the model version and the versions of the published tables, so that readers see both change together
or not at all. MLflow's aliases only mirror it. A kernel lock (flock) ends
with its process, so a kill leaves no stale one.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import Field

from schemas.errors import FenqunError
from schemas.reports import Report
from tasks.stores.artifacts import write_text


class Live(Report):
    """One champion: the model version, its bundle and the versions of its published tables."""

    model_version: str
    bundle: str = Field(description="folder of the bundle, relative to the state folder")
    run_id: str = Field(description="the MLflow run that registered it")
    tables: dict[str, int] = Field(default_factory=dict, description="published table -> Delta version")
    users: int = Field(description="users of the data that it was fitted on")
    as_of: datetime
    promoted_at: datetime
    author: str = Field("schedule", description="who promoted it")
    reason: str = Field("passed every gate", description="why it was promoted")


class Pointer(Report):
    """The content of the pointer file."""

    revision: int = Field(0, description="grows by one at each change: what compare-and-set compares")
    live: Live | None = None
    previous: Live | None = None


class PointerMoved(FenqunError):
    """Another promotion won the race."""


def pointer_path(home: str, segmentation: str) -> Path:
    """Where the pointer of a segmentation lives."""
    return Path(home) / "segmentations" / segmentation / "live.json"


def read(home: str, segmentation: str) -> Pointer:
    """The pointer as it stands; an empty one where nothing was promoted yet."""
    try:
        return Pointer(**json.loads(pointer_path(home, segmentation).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Pointer()


@contextmanager
def locked(home: str, segmentation: str) -> Iterator[None]:
    """Holds the segmentation's kernel lock."""
    path = pointer_path(home, segmentation).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _swap(home: str, segmentation: str, expected: int, live: Live | None, previous: Live | None) -> Pointer:
    """Replaces the pointer if its revision is still the expected one."""
    with locked(home, segmentation):
        current = read(home, segmentation)
        if current.revision != expected:
            raise PointerMoved(
                f"{segmentation}: another promotion came first (revision {current.revision}, expected {expected}); "
                "look at the new champion and try again"
            )
        pointer = Pointer(revision=expected + 1, live=live, previous=previous)
        write_text(pointer_path(home, segmentation), pointer.model_dump_json(indent=1))
        return pointer


def promote(home: str, segmentation: str, expected: int, live: Live) -> Pointer:
    """Makes `live` the champion and keeps the old one as previous.

    Raises:
        PointerMoved: the pointer's revision is no longer `expected`.
    """
    current = read(home, segmentation)
    return _swap(home, segmentation, expected, live, current.live)


def rollback(home: str, segmentation: str, expected: int) -> Pointer:
    """Exchanges the champion with the previous one.

    Raises:
        FenqunError: there is no previous champion.
        PointerMoved: the pointer's revision is no longer `expected`.
    """
    current = read(home, segmentation)
    if current.previous is None:
        raise FenqunError(f"{segmentation}: there is no previous champion to roll back to")
    return _swap(home, segmentation, expected, current.previous, current.live)
