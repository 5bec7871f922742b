"""What is live: one small file per segmentation, replaced under a kernel lock.

The pointer names the model version and the versions of the published tables, so that readers see both change together
or not at all. MLflow's aliases only mirror it. A kernel lock (flock) ends
with its process, so a kill leaves no stale one.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import Field, ValidationError

from schemas.config import SEGMENTATION
from schemas.errors import DataError, FenqunError, UsageError
from schemas.reports import Report
from tasks.stores._lock import held
from tasks.stores.artifacts import aside


class Live(Report):
    """One champion: the model version, its bundle and the versions of its published tables."""

    model_version: str
    bundle: str = Field(description="folder of the bundle, relative to the state folder")
    sha256: str = Field(description="content of the bundle: what is loaded has to have it")
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
    born: dict[str, str] = Field(
        default_factory=dict, description="segment id -> the first version that was live with it; kept for ever"
    )

    @property
    def next_number(self) -> int:
        """First number in no segment id that was ever live, also where a rollback took it back."""
        return 1 + max((int(name[1:]) for name in self.born), default=0)


class PointerMoved(FenqunError):
    """Another promotion won the race."""


def pointer_path(home: str, segmentation: str) -> Path:
    """Where the pointer of a segmentation lives.

    Raises:
        UsageError: the name is none that a config can have, so that no name leads out of the state folder.
    """
    if not re.fullmatch(SEGMENTATION, segmentation):
        raise UsageError(f"{segmentation[:80]!r} is no name of a segmentation: small letters, digits and dashes")
    return Path(home) / "segmentations" / segmentation / "live.json"


def read(home: str, segmentation: str) -> Pointer:
    """The pointer as it stands; an empty one where nothing was promoted yet.

    Raises:
        DataError: the file is damaged.
    """
    path = pointer_path(home, segmentation)
    try:
        return Pointer.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Pointer()
    except ValidationError as error:
        raise DataError(f"{path}: is damaged; restore it from a backup, or delete it and promote a version") from error


@contextmanager
def changing(home: str, segmentation: str, expected: int) -> Iterator[Pointer]:
    """Holds the segmentation's kernel lock round a change, and yields the pointer that it starts from.

    Whoever publishes tables does so within: of two changes that began at one revision only the first gets in, so the
    second writes nothing at all. The lock ends with its process.

    Args:
        home: The state folder.
        segmentation: Whose pointer.
        expected: The revision that the change was prepared against.

    Raises:
        PointerMoved: the revision is another by now.
    """
    with held(pointer_path(home, segmentation).with_suffix(".lock")):
        current = read(home, segmentation)
        if current.revision != expected:
            raise PointerMoved(
                f"{segmentation}: another change came first (revision {current.revision}, expected {expected}); "
                "look at what is live now and try again"
            )
        yield current


def replace(
    home: str, segmentation: str, current: Pointer, live: Live | None, previous: Live | None, ids: Iterable[str] = ()
) -> Pointer:
    """Writes the pointer in one rename; only within `changing`, which yielded `current`.

    Args:
        home: The state folder.
        segmentation: Whose pointer.
        current: The pointer as it stands.
        live: The champion from now on.
        previous: What a rollback brings back.
        ids: The champion's segments, which nobody else may ever be called.
    """
    born = dict.fromkeys(ids, live.model_version) if live else {}
    pointer = Pointer(revision=current.revision + 1, live=live, previous=previous, born={**born, **current.born})
    with aside(pointer_path(home, segmentation)) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(pointer.model_dump_json(indent=1))
        file.flush()
        os.fsync(file.fileno())
    return pointer


def promote(home: str, segmentation: str, expected: int, live: Live) -> Pointer:
    """Makes `live` the champion and keeps the old one as previous.

    Raises:
        PointerMoved: the pointer's revision is no longer `expected`.
    """
    with changing(home, segmentation, expected) as current:
        return replace(home, segmentation, current, live, current.live)


def rollback(home: str, segmentation: str, expected: int, at: datetime, author: str, reason: str) -> Pointer:
    """Exchanges the champion, model and tables, with the previous one.

    Args:
        home: The state folder.
        segmentation: Whose champion.
        expected: The revision that the decision was made at.
        at: UTC moment of the rollback.
        author: Who rolls back.
        reason: Why.

    Raises:
        FenqunError: there is no previous champion.
        PointerMoved: the pointer's revision is no longer `expected`.
    """
    nothing = f"{segmentation}: there is no previous champion to roll back to"
    if read(home, segmentation).live is None:  # before a folder is made for a name that nobody knows
        raise FenqunError(nothing)
    with changing(home, segmentation, expected) as current:
        if current.previous is None:
            raise FenqunError(nothing)
        told = {"promoted_at": at, "author": author, "reason": reason}
        return replace(home, segmentation, current, current.previous.model_copy(update=told), current.live)
