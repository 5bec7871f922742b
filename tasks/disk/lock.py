"""Locks among processes that end with the process which holds them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(file: Path, passing: bool = False) -> Iterator[None]:
    """Holds a file's kernel lock (flock), waiting for it first; a kill leaves no stale one.

    Args:
        file: What is locked; made where it is missing.
        passing: Whether it is removed afterwards, for locks of which there are as many as artifacts.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with file.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is(file, lock.fileno()):  # whoever held it removed it: others may hold a new one
                continue
            try:
                yield
            finally:
                if passing:
                    file.unlink(missing_ok=True)
            return


def _is(file: Path, handle: int) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(file.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
