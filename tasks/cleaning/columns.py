"""One column at a time: raw values into the contract's dtype, and the rows that cannot follow."""

import json
import re
from typing import TYPE_CHECKING

from schemas.limits import MAX_NAME_BYTES, MAX_NAMES
from tasks.cleaning.reasons import Reason

if TYPE_CHECKING:
    import polars as pl

    Problems = list[tuple[pl.Series, Reason]]

_EXACT = 2**53  # every whole number up to here is a float64
_FLOAT32_MAX = 3.4028234663852886e38

_BLANKS = " \t\r\n\u00a0\u200b\u200c\u200d\u2009\u202f\u2060\u3000\ufeff"
_SIGNED = r"^\D{0,4}\d[\d.,'\s\u00a0\u202f]*\D{0,4}$"  # such as $5, 5 kg, 12% or (5)
_COMMA = r"^[+-]?[\d.]*\d,\d[\d.,]*$"


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


def as_text(series: "pl.Series") -> "tuple[pl.Series, Problems]":
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
    """NFC, without blanks and invisible signs at its ends, so that one id written in two forms is one id."""
    if (text.str.len_bytes() != text.str.len_chars()).any():
        text = text.str.normalize("NFC")
    return text.str.strip_chars(_BLANKS)


def free_text(series: "pl.Series", max_bytes: int) -> "tuple[pl.Series, Problems]":
    """Titles, descriptions, messages, attributes: any script, without NUL, at most `max_bytes` of UTF-8.

    Records and lists of lists are told as JSON.
    """
    text, problems = (_json(series), []) if series.dtype.is_nested() else as_text(series)
    long = text.str.len_bytes() > max_bytes
    return text, [*problems, (long, Reason.TOO_LONG), (text.str.contains("\0", literal=True), Reason.NUL)]


def number(series: "pl.Series", decimal: str = ".", thousands: str = "") -> "tuple[pl.Series, Problems]":
    """float64 that also fits float32: what is not a finite number is a problem. A span of time is its seconds.

    Args:
        series: Numbers, or texts of them.
        decimal: What stands between a number and its fraction in texts.
        thousands: What may stand between thousands in texts; empty: nothing does.
    """
    import polars as pl

    problems: Problems = []
    if series.dtype == pl.Duration:
        series = series.dt.total_microseconds() / 1e6
    if series.dtype == pl.Binary:
        series, problems = _decode(series)
    if series.dtype.is_nested() or series.dtype.is_temporal():
        values = pl.Series(series.name, [None] * len(series), dtype=pl.Float64)
    else:
        raw = _with_points(series, decimal, thousands) if series.dtype == pl.String else series
        values = raw.cast(pl.Float64, strict=False)
    failed = values.is_null() & series.is_not_null()
    if series.dtype == pl.String and failed.any():
        comma = failed & series.str.strip_chars().str.contains(_COMMA).fill_null(False)
        problems.append((comma, Reason.COMMA if decimal == "." else Reason.POINT))
        problems.append((failed & series.str.contains(_SIGNED).fill_null(False), Reason.WITH_SIGNS))
    problems.append((failed, Reason.NOT_NUMBER))
    finite = values.is_finite()
    problems.append((~finite, Reason.NOT_FINITE))
    return values, [*problems, (finite & (values.abs() > _FLOAT32_MAX), Reason.OVERFLOW)]


def _with_points(texts: "pl.Series", decimal: str, thousands: str) -> "pl.Series":
    """Texts of numbers as everyone reads them; one with a sign in the wrong place becomes a text without a number."""
    texts = texts.str.strip_chars()
    if thousands:
        parted = rf"^[+-]?\d{{1,3}}({re.escape(thousands)}\d{{3}})+({re.escape(decimal)}\d*)?$"
        whole = texts.str.contains(parted).fill_null(False)
        texts = texts.zip_with(~whole, texts.str.replace_all(thousands, "", literal=True))
    if decimal == ".":
        return texts
    pointed = texts.str.contains(".", literal=True).fill_null(False)
    return texts.set(pointed, "").str.replace(decimal, ".", literal=True)


def like_thousands(series: "pl.Series") -> int:
    """How many texts have their one point before exactly three digits, as those that part thousands with it have."""
    import polars as pl

    if series.dtype != pl.String:
        return 0
    return int(series.str.contains(r"^\s*[+-]?[1-9]\d{0,2}\.\d{3}\s*$").sum() or 0)


def whole_number(series: "pl.Series") -> "tuple[pl.Series, Problems]":
    """int64 without loss."""
    import polars as pl

    if series.dtype.is_integer():
        values = series.cast(pl.Int64, strict=False)
    else:
        text, _ = as_text(series)
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
    """Lists of short texts, such as categories; a single text is a list of one, empty texts are left out.

    Of lists of lists, such as paths of categories, every text is taken once; at most 1,000, each of at most 1024 bytes.
    """
    import polars as pl

    if isinstance(series.dtype, pl.Array):
        series = series.arr.to_list()
    if series.dtype == pl.List(pl.Null):
        series = series.cast(pl.List(pl.String))
    if not isinstance(series.dtype, pl.List):
        text, problems = as_text(series)
        lists = pl.select(pl.when(text.is_not_null()).then(pl.concat_list(text))).to_series()
        lists, more = _named(lists)
        return lists.alias(series.name), [*problems, *more]
    if isinstance(series.dtype.inner, pl.List | pl.Array) and not series.dtype.inner.inner.is_nested():
        return names(_flat(series))
    if series.dtype.inner.is_nested():
        nothing = pl.Series(series.name, [None] * len(series), dtype=pl.List(pl.String))
        return nothing, [(series.is_not_null(), Reason.NOT_LIST)]
    if series.dtype.inner == pl.Binary:
        return _decoded_lists(series)
    element = pl.element()
    return _named(series.cast(pl.List(pl.String)).list.eval(element.filter(element.str.len_bytes() > 0)))


def _flat(series: "pl.Series") -> "pl.Series":
    """Lists of lists, such as paths of categories, as lists of what is in them, each once."""
    import polars as pl

    kind, rows = series.dtype.inner.inner, series.to_list()  # type: ignore[attr-defined]
    flat = [None if row is None else list(dict.fromkeys(v for path in row if path for v in path)) for row in rows]
    return pl.Series(series.name, flat, dtype=pl.List(kind))


def _named(lists: "pl.Series") -> "tuple[pl.Series, Problems]":
    """Lists of texts in NFC, where they are neither too many nor too long; a row that is looks empty from then on."""
    import polars as pl

    element = pl.element()
    many = lists.list.len() > MAX_NAMES
    long = lists.list.eval(element.str.len_bytes().max()).list.first() > MAX_NAME_BYTES
    lists = lists.set((many | long).fill_null(False), None)  # before anything that takes time with their length
    nul = lists.list.eval(element.str.contains("\0", literal=True)).list.any()
    problems = [(many, Reason.MANY_NAMES), (long, Reason.LONG_NAME), (nul, Reason.NUL)]
    return lists.list.eval(element.str.normalize("NFC")), problems
