"""Files as a disk keeps them: told apart by content, flushed in order, and set aside by name where they are damaged.

What is reused is never trusted by its size. A sum is made once per process for a file that does not change, so that a
run which looks at the same file again and again reads it once.
"""

import hashlib
import json
import logging
import os
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

_LOG = logging.getLogger("prefect.task_runs.fenqun")  # a child of Prefect's: what is said here stands in the run's log
CONTENT, SUM = "content", "sha256"
_RUN = r"^([=+\-@\t\r\n'＝＋－＠])"  # what a spreadsheet takes for a formula, and the mark itself


def sum_of(path: Path) -> str:
    """sha256 (hex) of a file's content; read once per process while size, time and inode stay as they are."""
    facts = path.stat()
    return _sum_of(_Place(path), facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)


class _Place:
    """A path that is equal to every other: what a file is called does not count for its sum."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Place)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=100_000)
def _sum_of(place: _Place, *_facts: int) -> str:
    with place.path.open("rb") as stream:
        return hashlib.file_digest(stream, SUM).hexdigest()


def set_aside(path: Path, why: str) -> None:
    """Renames a damaged file or folder, so that it can be looked at and is never read again, and tells it by name."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    path.rename(aside)
    _LOG.warning("%s: is damaged (%s); set aside as %s and made again", path, why, aside.name)


def flush(path: Path) -> None:
    """Waits until a file's content, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_below(folder: Path) -> None:
    """Waits until all files of a folder, and the names that lead to them, are on the disk; files come first."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            flush(Path(place) / name)
        flush(Path(place))


def flush_names(folder: Path, home: Path) -> None:
    """Waits until the names in a folder, and in those that lead to it from the state folder, are on the disk."""
    for place in (folder, *folder.parents):
        if place.is_dir():
            flush(place)
        if place == home:
            return


def sealed(content: Any) -> str:
    """JSON with the sum of what it holds, which `unsealed` holds it against."""
    plain = json.loads(json.dumps(content))  # as it is read back: a number as a key has become text
    return json.dumps({CONTENT: plain, SUM: _sum(plain)}, indent=1, ensure_ascii=False)


def unsealed(text: str | bytes) -> Any:
    """What `sealed` was given; JSON without a sum, as earlier versions wrote it, is taken as it is.

    Raises:
        ValueError: it is no JSON, or its sum is another.
    """
    found = json.loads(text)
    if not isinstance(found, dict) or not {CONTENT, SUM} & found.keys():
        return found
    if found.keys() != {CONTENT, SUM} or found[SUM] != _sum(found[CONTENT]):
        raise ValueError("its sum is another")
    return found[CONTENT]


def recalled(path: Path) -> Any:
    """What a file holds that `sealed` was written to; None where there is none, or it was damaged and is set aside."""
    try:
        return unsealed(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        set_aside(path, str(error))
        return None


def _sum(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def guarded(frame: "pl.DataFrame") -> "pl.DataFrame":
    """The frame for a CSV file: lists joined by `; `, and no text that a spreadsheet would run as a formula.

    What has parts, such as a membership, is these parts with a blank between. A text that would run gets a single quote
    in front (OWASP, CSV injection), and so does one that begins with a single quote: whoever takes one leading quote
    off each text has the texts as they were. Numbers and times stay as they are.
    """
    import polars as pl
    import polars.selectors as cs

    lists = {name: dtype.inner for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)}
    flat = frame.with_columns(pl.col(name).list.eval(_entry(inner)).list.join("; ") for name, inner in lists.items())
    return flat.with_columns(cs.string().str.replace(_RUN, "'${1}"))


def _entry(dtype: object) -> "pl.Expr":
    """An entry of a list as text; numbers in it to four places."""
    import polars as pl

    if not isinstance(dtype, pl.Struct):
        return pl.element()
    parts = ((pl.element().struct.field(part.name), part.dtype == pl.Float64) for part in dtype.fields)
    return pl.concat_str([(part.round(4) if number else part).cast(pl.String) for part, number in parts], separator=" ")
