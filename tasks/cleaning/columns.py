"""One column at a time: raw values into the contract's dtype, and the rows that cannot follow."""

import json
from typing import TYPE_CHECKING

from tasks.cleaning.reasons import Reason

if TYPE_CHECKING:
    import polars as pl

    Problems = list[tuple[pl.Series, Reason]]

MAX_ID_BYTES = 1024
_EXACT = 2**53  # every whole number up to here is a float64
_FLOAT32_MAX = 3.4028234663852886e38
_EXPONENT = r"^[+-]?\d+([.,]\d+)?[eE]\+\d+$"  # what spreadsheets make of long numbers


def _text_of_floats(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """Whole numbers without their `.0`; those that a float cannot hold exactly are problems."""
    import polars as pl

    finite = series.is_finite().fill_null(True)
    big = finite & (series.abs() >= _EXACT)
    fraction = finite & ~big & (series.round() != series)
    whole = series.set(~finite | big | fraction, None)
    problems = [(~finite, Reason.NOT_FINITE), (big, Reason.BIG_FLOAT_ID), (fraction, Reason.FRACTION_ID)]
    return whole.cast(pl.Int64).cast(pl.String), problems


def _text_of_decimals(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """Whole numbers without their `.00`; fractions are problems."""
    text = series.cast(str).str.replace(r"\.0+$", "")
    return text, [(text.str.contains(".", literal=True), Reason.FRACTION_ID)]


def _decode(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """Bytes as text; bytes that are not UTF-8 are problems."""
    import polars as pl

    try:
        return series.cast(pl.String), []
    except pl.exceptions.ComputeError:
        text = pl.Series(series.name, [_utf8(value) for value in series], dtype=pl.String)
    return text, [(text.is_null() & series.is_not_null(), Reason.NOT_UTF8)]


def _utf8(value: bytes | None) -> str | None:
    """Bytes as text; None where they are not UTF-8 (Polars refuses a whole column for one such value)."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _as_text(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """Anything scalar as text."""
    import polars as pl

    if series.dtype == pl.String:
        return series, []
    if series.dtype == pl.Binary:
        return _decode(series)
    if series.dtype.is_float():
        return _text_of_floats(series)
    if series.dtype.is_decimal():
        return _text_of_decimals(series)
    if series.dtype.is_nested():
        return pl.Series(series.name, [None] * len(series), dtype=pl.String), []
    return series.cast(pl.String), []


def _json(series: "pl.Series") -> "pl.Series":
    """Nested values as JSON texts."""
    import polars as pl

    texts = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in series.to_list()]
    return pl.Series(series.name, texts, dtype=pl.String)


def readable(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """Bytes as text; any other column as it is."""
    import polars as pl

    return _decode(series) if series.dtype == pl.Binary else (series, [])


def normalise(text: "pl.Series") -> "pl.Series":
    """NFC, so that one id written in two Unicode forms is one id; ASCII columns are left alone."""
    if (text.str.len_bytes() != text.str.len_chars()).any():
        return text.str.normalize("NFC")
    return text


def identifier(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """Ids and other short names: NFC text, never empty, without NUL, on one line, at most 1024 bytes.

    Ids repeat, so the rules look at the distinct ones first and at every row only where one of them is odd.
    """
    import polars as pl

    if series.dtype == pl.String:
        distinct = series.unique()
        same, problems = _identifier(distinct)
        if not any(mask.any() for mask, _ in problems) and same.equals(distinct):
            return series, []
    return _identifier(series)


def _identifier(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """The rules of ids, row by row."""
    text, problems = _as_text(series)
    length = text.str.len_bytes()
    if (length > MAX_ID_BYTES).any():
        problems.append((length > MAX_ID_BYTES, Reason.LONG_ID))
        text = text.set((length > MAX_ID_BYTES).fill_null(False), None)
    text = normalise(text)
    problems.append((text.str.contains("\0", literal=True), Reason.NUL))
    problems.append((text.str.contains("\n", literal=True), Reason.LINES))
    if series.dtype.is_numeric():
        return text, problems
    problems.append((text.str.contains(_EXPONENT), Reason.EXPONENT_ID))
    return text, [*problems, (text.str.contains(r"^\s*$"), Reason.EMPTY)]


def free_text(series: "pl.Series", max_bytes: int) -> "tuple[pl.Series, Problems]":
    """Titles, descriptions, messages, attributes: any script, without NUL, at most `max_bytes` of UTF-8.

    Records and lists of lists are told as JSON.
    """
    text, problems = (_json(series), []) if series.dtype.is_nested() else _as_text(series)
    long = text.str.len_bytes() > max_bytes
    return text, [*problems, (long, Reason.TOO_LONG), (text.str.contains("\0", literal=True), Reason.NUL)]


def number(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """float64 that also fits float32: what is not a finite number is a problem. A span of time is its seconds."""
    import polars as pl

    problems: Problems = []
    if series.dtype == pl.Duration:
        series = series.dt.total_microseconds() / 1e6
    if series.dtype == pl.Binary:
        series, problems = _decode(series)
    if series.dtype.is_nested() or series.dtype.is_temporal():
        values = pl.Series(series.name, [None] * len(series), dtype=pl.Float64)
    else:
        raw = series.str.strip_chars() if series.dtype == pl.String else series
        values = raw.cast(pl.Float64, strict=False)
    problems.append((values.is_null() & series.is_not_null(), Reason.NOT_NUMBER))
    finite = values.is_finite()
    problems.append((~finite, Reason.NOT_FINITE))
    return values, [*problems, (finite & (values.abs() > _FLOAT32_MAX), Reason.OVERFLOW)]


def whole_number(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """int64 without loss."""
    import polars as pl

    if series.dtype.is_integer():
        values = series.cast(pl.Int64, strict=False)
    else:
        text, _ = _as_text(series)
        values = text.str.strip_chars().cast(pl.Int64, strict=False)
    return values, [(values.is_null() & series.is_not_null(), Reason.NOT_NUMBER)]


def _decoded_lists(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """Lists of bytes as lists of texts, by the rules of those; one that holds other bytes is a problem."""
    import polars as pl

    raw = series.to_list()
    said = [None if row is None else [_utf8(value) for value in row] for row in raw]
    bad = [row is not None and any(value is not None and _utf8(value) is None for value in row) for row in raw]
    lists, problems = names(pl.Series(series.name, said, dtype=pl.List(pl.String)))
    return lists, [(pl.Series(bad, dtype=pl.Boolean), Reason.NOT_UTF8), *problems]


def names(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """Lists of short texts, such as categories; a single text is a list of one, empty texts are left out."""
    import polars as pl

    if isinstance(series.dtype, pl.Array):
        series = series.arr.to_list()
    if series.dtype == pl.List(pl.Null):
        series = series.cast(pl.List(pl.String))
    if not isinstance(series.dtype, pl.List):
        text, problems = _as_text(series)
        nul = text.str.contains("\0", literal=True)
        lists = pl.select(pl.when(text.is_not_null()).then(pl.concat_list(normalise(text)))).to_series()
        return lists.alias(series.name), [*problems, (nul, Reason.NUL)]
    if series.dtype.inner.is_nested():
        nothing = pl.Series(series.name, [None] * len(series), dtype=pl.List(pl.String))
        return nothing, [(series.is_not_null(), Reason.NOT_LIST)]
    if series.dtype.inner == pl.Binary:
        return _decoded_lists(series)
    element, series = pl.element(), series.cast(pl.List(pl.String))
    lists = series.list.eval(element.filter(element.str.len_bytes() > 0).str.normalize("NFC"))
    nul = lists.list.eval(element.str.contains("\0", literal=True)).list.any()
    return lists, [(nul, Reason.NUL)]
