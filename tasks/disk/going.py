"""Which runs are still going: each holds the kernel lock of a file of its own, and the lock ends with its process."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from tasks.disk.lock import held


@contextmanager
def going(folder: Path) -> Iterator[str]:
    """Yields a token that counts as going until the block, or its process, ends; the block's end takes it back."""
    token = uuid4().hex
    file = folder / token
    with held(folder / ".lock"):
        lock = file.open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        yield token
        file.unlink(missing_ok=True)


def gone(folder: Path) -> list[Path]:
    """Files, named by their tokens, of runs whose process ended within the block."""
    found = []
    with held(folder / ".lock"):
        for file in sorted(folder.glob("[0-9a-f]*")):
            with file.open("w") as lock, suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found.append(file)
    return found
