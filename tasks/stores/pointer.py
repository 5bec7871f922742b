"""What is live: one small file per segmentation, replaced under a kernel lock.

The pointer names the model version and the versions of the published tables, so that readers see both change together
or not at all. MLflow's aliases only mirror it. A kernel lock (flock) ends with its process, so a kill leaves no stale
one. What the pointer names is on the disk before it is replaced, and each revision is kept beside it: a pointer that is
lost, damaged or older than its history is an error, never a first start.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import Field

from schemas.config import SEGMENTATION
from schemas.errors import DataError, FenqunError, UsageError
from schemas.reports import Report
from tasks.disk.artifacts import aside
from tasks.disk.files import flush, flush_below, flush_names, sealed, unsealed
from tasks.disk.lock import held

TABLES = "tables"
_KEPT = 100  # revisions that can be gone back to
_REPAIR = "run `fenqun doctor --repair`, which goes back to the newest revision that is whole, or restore a backup"


class Live(Report):
    """One champion: the model version, its bundle and the versions of its published tables."""

    model_version: str
    bundle: str = Field(description="folder of the bundle, relative to the state folder")
    sha256: str = Field(description="content of the bundle: what is loaded has to have it")
    run_id: str = Field(description="the MLflow run that registered it")
    tables: dict[str, int] = Field(default_factory=dict, description="published table -> Delta version")
    sums: dict[str, str] = Field(
        default_factory=dict, description="published table -> sum of its content; earlier versions recorded none"
    )
    made: dict[str, str] = Field(
        default_factory=dict,
        description="published table -> folder of what it was published from, where it is kept; "
        "seen -> sums of the rows by which each user was scored; recommender_basis -> what the lists were learned from",
    )
    users: int = Field(description="users of the data that it was fitted on")
    as_of: datetime
    promoted_at: datetime
    author: str = Field("schedule", description="who promoted it")
    reason: str = Field("passed every gate", description="why it was promoted")

    def without(self, *names: str) -> "Live":
        """The same champion without some of its tables, or of what they were made from."""
        kept = {name: version for name, version in self.tables.items() if name not in names}
        made = {name: place for name, place in self.made.items() if name not in names}
        sums = {name: one for name, one in self.sums.items() if name in kept}
        return self.model_copy(update={"tables": kept, "sums": sums, "made": made})


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


def revisions(home: str, segmentation: str) -> list[Path]:
    """The kept revisions of a pointer, oldest first."""
    return sorted((pointer_path(home, segmentation).parent / "history").glob("[0-9]*.json"))


def read(home: str, segmentation: str) -> Pointer:
    """The pointer as it stands; an empty one where nothing was promoted yet.

    Raises:
        DataError: the file is damaged, is missing although something was live, or is older than its history.
    """
    path, kept = pointer_path(home, segmentation), revisions(home, segmentation)
    try:
        found = parsed(path)
    except FileNotFoundError:
        if kept:
            raise DataError(f"{path}: is missing, although revision {int(kept[-1].stem)} was live; {_REPAIR}") from None
        return Pointer()
    if kept and found.revision < int(kept[-1].stem):
        older = f"{path}: is revision {found.revision}, older than revision {int(kept[-1].stem)} of its history"
        raise DataError(f"{older}; {_REPAIR}")
    return found


def parsed(path: Path) -> Pointer:
    """A pointer's file.

    Raises:
        DataError: it is damaged.
        FileNotFoundError: there is none.
    """
    try:
        found = Pointer.model_validate_json(json.dumps(unsealed(path.read_bytes())))
    except FileNotFoundError:
        raise
    except OSError as error:  # a folder, say, or one that another user owns
        raise DataError(f"{path}: cannot be read ({error.strerror}); {_REPAIR}") from error
    except ValueError as error:  # pydantic's errors are ValueErrors too
        raise DataError(f"{path}: is damaged; {_REPAIR}") from error
    if found.revision < 1 or found.live is None:  # whatever wrote the file made something live
        raise DataError(f"{path}: is damaged; {_REPAIR}")
    return found


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
        keep(home, segmentation, current)  # where the last change was killed in between
        yield current


def replace(
    home: str, segmentation: str, current: Pointer, live: Live | None, previous: Live | None, ids: Iterable[str] = ()
) -> Pointer:
    """Writes the pointer in one rename, once what it names is on the disk; only within `changing`.

    Args:
        home: The state folder.
        segmentation: Whose pointer.
        current: The pointer as it stands, which `changing` yielded.
        live: The champion from now on.
        previous: What a rollback brings back.
        ids: The champion's segments, which nobody else may ever be called.
    """
    born = dict.fromkeys(ids, live.model_version) if live else {}
    pointer = Pointer(revision=current.revision + 1, live=live, previous=previous, born={**born, **current.born})
    if live is not None:
        flush_below(Path(home) / live.bundle)
        for name in live.tables:
            flush_below(pointer_path(home, segmentation).parent / TABLES / name)
    write(home, segmentation, pointer)
    return pointer


def write(home: str, segmentation: str, pointer: Pointer) -> None:
    """Puts a pointer in the place of the one that stands there, and keeps it as a revision."""
    path = pointer_path(home, segmentation)
    if pointer.live is not None:
        flush_names((Path(home) / pointer.live.bundle).parent, Path(home))
    _put(path, pointer)
    flush_names(path.parent, Path(home))
    keep(home, segmentation, pointer)


def keep(home: str, segmentation: str, pointer: Pointer) -> None:
    """Keeps what is live now as a revision, for the day that the pointer is lost."""
    kept = pointer_path(home, segmentation).parent / "history" / f"{pointer.revision:08d}.json"
    if pointer.revision and not kept.exists():
        _put(kept, pointer)
        flush(kept.parent)
        for old in revisions(home, segmentation)[:-_KEPT]:
            old.unlink()


def _put(path: Path, pointer: Pointer) -> None:
    with aside(path) as temporary:
        temporary.write_text(sealed(pointer.model_dump(mode="json")), encoding="utf-8")
        flush(temporary)


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
