"""Lists that were written out as text, as pandas and databases write them.

['Drama', 'Comedy'], [{"name": "Drama"}], and of PostgreSQL {Drama,"Science Fiction"}.
"""

import ast
import csv
import json
from typing import TYPE_CHECKING, Any

from schemas.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_MOST = 100_000  # letters of a list that is read
_SIGNS, _SHARE = (";", " > "), 0.2
"""What parts lists beside the usual sign, and the share of the cells from which on it is believed to."""
_NAMES = ("name", "title", "label")
"""The field of a record that says what it is."""


def read_lists(texts: "pa.Array", separator: str, once: bool = True) -> "pa.Array":
    """Lists of texts: those that are written out as lists as they mean it, the others split at the separator.

    Args:
        texts: A column.
        separator: What stands between two elements of a text that is no written list.
        once: Whether a written list tells each element once.
    """
    import pyarrow as pa
    from pyarrow import compute

    split = compute.split_pattern(texts, separator)
    written = compute.fill_null(compute.match_substring_regex(texts, r"^\s*(\[.*\]|\{.*\})\s*$"), False)
    if not compute.any(written).as_py():
        return split
    meant = {text: _read(text, once) for text in compute.unique(texts.filter(written)).to_pylist()}
    lists = [
        meant[text] if text in meant and meant[text] is not None else parts
        for text, parts in zip(texts.to_pylist(), split.to_pylist(), strict=True)
    ]
    return pa.array(lists, pa.list_(pa.string()))


def _read(text: str, once: bool) -> list[str] | None:
    """What a written list means; None where it is none, or holds what has no name."""
    if len(text) > _MOST:
        return None
    for reader in (json.loads, ast.literal_eval):
        try:
            value = reader(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if value == {}:
            return []
        if not isinstance(value, set):
            return _texts(value, once) if isinstance(value, list) else None
    return _array(text.strip(), once) if text.lstrip().startswith("{") else None


def _array(text: str, once: bool) -> list[str] | None:
    """What an array of PostgreSQL's holds, or a set of Python's; None where it holds arrays."""
    inner = text[1:-1].strip()
    if "{" in inner:
        return None
    sign = "'" if inner.startswith("'") else '"'
    try:
        rows = list(csv.reader([inner], quotechar=sign, escapechar="\\", skipinitialspace=True, strict=True))
    except csv.Error:
        return None
    found = [cell.strip() for cell in (rows[0] if rows else []) if cell.strip() not in ("", "NULL")]
    return list(dict.fromkeys(found)) if once else found


def check_parted(texts: "pa.Array", separator: str, what: str) -> None:
    """Refuses a column whose lists are parted by another sign than the one that nobody set.

    Args:
        texts: The first rows of the column.
        separator: What would part them.
        what: Where they stand.

    Raises:
        DataError: it names the sign.
    """
    from pyarrow import compute

    said = texts.drop_null()
    if not len(said) or compute.any(compute.match_substring(said, separator)).as_py():
        return
    for sign in _SIGNS:
        held = said.filter(compute.match_substring(said, sign))
        if len(held) >= _SHARE * len(said):
            example = f"{held[0].as_py()[:40]!r}"
            raise DataError(
                f"{what}: {example} reads like a list parted by {sign!r}; set separator: {sign!r}, or separator: "
                f"{separator!r} if it is one value"
            )


def _texts(values: list[Any], once: bool) -> list[str] | None:
    """The texts in a list and in the lists within it."""
    found: list[str] = []
    for value in values:
        inner = [_named(value)] if not isinstance(value, list) else _texts(value, once)
        if inner is None or None in inner:
            return None
        found += map(str, inner)
    return list(dict.fromkeys(found)) if once else found


def _named(value: Any) -> str | None:
    """A text, a number, or the name of a record."""
    if isinstance(value, dict):
        return next((str(value[name]) for name in _NAMES if isinstance(value.get(name), str)), None)
    return str(value) if isinstance(value, str | int | float) else None
