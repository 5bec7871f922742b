"""Ids and other short names: one form however they were written, and what is none."""

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

from schemas.errors import DataError
from schemas.limits import MAX_ID_BYTES
from schemas.tables import NOBODY, TIMESTAMP, USER_ID
from tasks.cleaning.columns import as_text, normalise
from tasks.cleaning.reasons import Reason

if TYPE_CHECKING:
    import polars as pl

    from tasks.cleaning.columns import Problems

_EXPONENT = r"^[+-]?\d+([.,]\d+)?[eE]\+\d+$"  # what spreadsheets make of long numbers
_PLAIN = r"^[0-9A-Za-z_:./@#-]{1,256}$"  # no letter that any rule of ids is about
_QUOTED = r"""^(?:"[^"]+"|'[^']+')$"""
_WHOLE = r"^([+-]?\d{1,15})\.0+$"  # a whole number that was a float on its way


def identifier(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """Ids and other short names: NFC text, never empty, without NUL, on one line, at most 1024 bytes.

    Blanks and invisible signs at its ends, as of databases' fixed widths, are no part of an id. A whole number is one
    id however it was written: 7, "7" and 7.0.

    Ids repeat, so the rules look at the distinct ones first and at every row only where one of them is odd.
    """
    import polars as pl

    if series.dtype == pl.String:
        distinct = series.unique()
        if distinct.str.contains(_PLAIN).all() and not distinct.str.contains(_WHOLE).any():
            return series, []
        same, problems = _identifier(distinct)
        if not any(mask.any() for mask, _ in problems) and same.equals(distinct):
            return series, []
    return _identifier(series)


def _identifier(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """The rules of ids, row by row."""
    import polars as pl

    text, problems = as_text(series)
    if series.dtype.is_nested():
        return text, [(series.is_not_null(), Reason.NESTED)]
    length = text.str.len_bytes()
    if (length > MAX_ID_BYTES).any():
        problems.append((length > MAX_ID_BYTES, Reason.LONG_ID))
        text = text.set((length > MAX_ID_BYTES).fill_null(False), None)
    text = normalise(text)
    if series.dtype in (pl.String, pl.Binary):
        text = text.str.replace(_WHOLE, "$1")
    problems.append((text.str.contains("\0", literal=True), Reason.NUL))
    problems.append((text.str.contains("\n", literal=True), Reason.LINES))
    if series.dtype.is_numeric():
        return text, problems
    problems.append((text.str.contains(_EXPONENT), Reason.EXPONENT_ID))
    return text, [*problems, (text.str.contains(r"^\s*$"), Reason.EMPTY)]


def joined(parts: "pl.Series", words: Collection[str]) -> "tuple[pl.Series, Problems]":
    """One id of the several that a record holds, such as shop/customer; none where one of them is none.

    Each follows the rule of ids by itself, and a / within one is written %2F, so that no two records are one id.

    Args:
        parts: Records of the parts, in order.
        words: Those that mean there is no id.
    """
    import polars as pl

    problems: Problems = []
    texts = []
    for part in parts.struct.unnest().get_columns():
        text, found = identifier(part)
        problems += [*found, (no_id(text, words), Reason.NO_ID)]
        texts.append(text.str.replace_all("%", "%25", literal=True).str.replace_all("/", "%2F", literal=True))
    whole = pl.select(pl.concat_str([pl.lit(text) for text in texts], separator="/")).to_series()
    return whole, [*problems, (whole.str.len_bytes() > MAX_ID_BYTES, Reason.LONG_ID)]


def no_id(values: "pl.Series", words: Collection[str]) -> "pl.Series":
    """Mask of the ids that are words for nothing, in any case."""
    distinct = values.unique()
    lower = distinct.str.strip_chars().str.to_lowercase()
    return values.is_in(distinct.filter(lower.is_in([word.lower() for word in words])).implode())


def quoted(values: "pl.Series") -> "pl.Series":
    """Mask of the ids that stand in quotes of their own, as where a file was quoted twice."""
    distinct = values.unique()
    return values.is_in(distinct.filter(distinct.str.contains(_QUOTED).fill_null(False)).implode())


def one_id(text: str, what: str) -> str:
    """An id that somebody asks about, in the form that ingest gave it.

    Raises:
        DataError: ingest takes no such id; nobody can have it.
    """
    import polars as pl

    try:
        found, problems = identifier(pl.Series([text]))
    except UnicodeEncodeError:  # a lone surrogate: what a shell makes of bytes that are not UTF-8
        raise DataError(f"{what}: {Reason.NOT_UTF8}") from None
    if broken := [reason for mask, reason in problems if mask.fill_null(False).any()]:
        raise DataError(f"{what}: {broken[0]}")
    return str(found[0])


def nobody(frame: "pl.DataFrame") -> dict[str, int]:
    """Rows of users who may be nobody, the commonest first; of a table with a user in each row there are none."""
    import polars as pl

    if TIMESTAMP not in frame.columns or USER_ID not in frame.columns:
        return {}
    found = frame.filter(pl.col(USER_ID).str.to_lowercase().is_in(NOBODY))[USER_ID]
    return dict(Counter(found.sort()).most_common())
