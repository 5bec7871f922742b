"""What libraries raise where a disk is full or a file of the state folder is locked or damaged, in one line of ours."""

import errno
from collections.abc import Iterator
from pathlib import Path

from schemas.errors import DataError, FenqunError

_FULL = ("no space left", "disk is full", "disk quota exceeded", "os error 28")
_BROKEN = ("disk image is malformed", "is not a database", "database corruption")
_LISTS_RUNS = "only the list of past runs is in it"
_REPAIR = "run `fenqun doctor --repair`, or restore a backup"
_DELTA = ("DeltaError", "DeltaProtocolError", "TableNotFoundError", "SchemaMismatchError")


def explained(error: BaseException, home: str) -> FenqunError | None:
    """The error as one that says what to do; None where it is not about the disk or a file of the state folder.

    Args:
        error: What was raised; what it was raised from is looked at too.
        home: The state folder.
    """
    for one in _chain(error):
        words = " ".join(str(one).split())
        if found := _of(one, words, home):
            return found
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _of(one: BaseException, words: str, home: str) -> FenqunError | None:
    low, number = words.lower(), one.errno if isinstance(one, OSError) else None
    where = str(getattr(one, "filename", None) or home)
    if number in (errno.ENOSPC, errno.EDQUOT) or any(word in low for word in _FULL):
        return FenqunError(f"{where}: the disk is full; free some space and run again: what is finished is taken up")
    if number == errno.EROFS:
        return FenqunError(f"{where}: the disk is mounted read-only; mount it for writing, or name another FENQUN_HOME")
    if "database is locked" in low:
        return FenqunError(f"{_database(one, low, home)}: another process holds it; end that, and run again")
    if any(word in low for word in _BROKEN):
        place = _database(one, low, home)
        return DataError(f"{place}: the database is damaged; {_mended_by(place)}")
    if "ephemeral prefect api server" in low:
        place = Path(home) / "prefect"
        return FenqunError(f"Prefect's temporary server did not start; is {place} damaged? Rename it: {_LISTS_RUNS}")
    if type(one).__name__ in _DELTA:
        return DataError(f"{home}: the log of a published table is damaged ({words[:200]}); {_REPAIR}")
    return None


def _database(one: BaseException, low: str, home: str) -> Path:
    """Prefect's database where the words are its own; else MLflow's."""
    prefect = "prefect" in type(one).__module__ or "flow_run" in low or "task_run" in low or "prefect" in low
    return Path(home) / ("prefect/prefect.db" if prefect else "mlflow/mlflow.db")


def _mended_by(database: Path) -> str:
    if database.name == "prefect.db":
        return f"rename it: {_LISTS_RUNS}"
    return _REPAIR
