"""Timestamps of any kind as UTC microseconds."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas.errors import UsageError
from tasks.cleaning.reasons import Reason

if TYPE_CHECKING:
    import polars as pl

    Problems = list[tuple[pl.Series, Reason]]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_LAST = 253_402_300_799  # the last second of the year 9999
_FIRST = -62_135_596_800  # the first second of the year 1
_FIRST_DAY, _LAST_DAY = _FIRST // 86_400, _LAST // 86_400
_EXCEL = "excel"
_EXCEL_DAY = 25_569  # 1970-01-01 in days since 1899-12-30
_UNITLESS = (
    (20_000, 80_000, Reason.SERIAL_DATE),  # the years 1954 to 2119
    (0, 10**7, Reason.RELATIVE_TIME),
    (10**11, 10**14, Reason.MILLISECONDS),
    (10**14, 10**17, Reason.MICROSECONDS),
    (10**17, 2**63, Reason.NANOSECONDS),
)
"""What numbers without a declared unit look like that cannot be seconds of our days: from, below, as."""
_OFFSET = r"\d[ T].*[+-]\d{2}(:?\d{2})?$"


def _years(per_second: int) -> tuple[int, int]:
    """The ends of the years 1 to 9999 in such parts of a second, as far as an int64 reaches."""
    return max(_FIRST * per_second, -(2**63)), min(_LAST * per_second, 2**63 - 1)


def _from_epoch(numbers: "pl.Series", unit: str) -> "pl.Series":
    """Numbers since 1970 as UTC microseconds; null where they leave the years 1 to 9999."""
    import polars as pl

    per_second = _PER_SECOND[unit]
    first, last = _years(per_second)
    inside = (numbers >= first) & (numbers <= last)
    numbers = numbers.set(~inside.fill_null(False), None)
    if numbers.dtype.is_integer() and per_second <= 10**6:
        micro = numbers.cast(pl.Int64) * (10**6 // per_second)
    elif numbers.dtype.is_integer():
        micro = numbers.cast(pl.Int64) // (per_second // 10**6)
    else:
        micro = (numbers.cast(pl.Float64) * (10**6 / per_second)).round().cast(pl.Int64)
    return micro.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _from_days(numbers: "pl.Series", zone: str) -> "tuple[pl.Series, Problems]":
    """A spreadsheet's local dates, days since 1899-12-30, as UTC."""
    import polars as pl

    seconds = ((numbers.cast(pl.Float64) - _EXCEL_DAY) * 86_400).round(3)
    local = _from_epoch(seconds, "s").dt.replace_time_zone(None)
    placed = _in_zone(local, zone)
    return placed, [(local.is_not_null() & placed.is_null(), Reason.NO_SUCH_TIME)]


def _in_doubt(numbers: "pl.Series") -> "Problems":
    """Numbers without a declared unit that are no seconds since 1970: the reasons say what they look like."""
    import polars as pl

    values = numbers.cast(pl.Float64)
    dated = values.is_between(19000101, 20991231)
    looks = [((values >= low) & (values < high), reason) for low, high, reason in _UNITLESS]
    return [(dated, Reason.AMBIGUOUS_TIME), *looks]


def _within_calendar(series: "pl.Series") -> "pl.Series":
    """Datetimes or dates, those beyond the years 1 to 9999 as their ends: Polars panics where a cast overflows."""
    import polars as pl

    ends = (_FIRST_DAY, _LAST_DAY)
    if isinstance(series.dtype, pl.Datetime):
        ends = _years(_PER_SECOND[series.dtype.time_unit])
    return series.to_physical().clip(*ends).cast(series.dtype)


def _in_zone(local: "pl.Series", zone: str) -> "pl.Series":
    """Local times as UTC. A time that occurs twice is its first occurrence; one that the clock skips is null."""
    if zone == "UTC":
        return local.dt.replace_time_zone("UTC")
    return local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")


def _by_pattern(texts: "pl.Series", pattern: str) -> "pl.Series":
    """Texts in one strptime pattern as naive or UTC datetimes; null where they do not follow it.

    Raises:
        UsageError: the pattern is none.
    """
    import polars as pl

    try:
        if not any(part in pattern for part in ("%H", "%I", "%T", "%R", "%X", "%s", "%r", "%c", "%+")):
            return texts.str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
        return texts.str.to_datetime(pattern, strict=False, time_unit="us")
    except pl.exceptions.ComputeError as error:
        words = str(error).splitlines()[0]
        raise UsageError(f"time_format {pattern!r}: {words}; give one such as %d.%m.%Y %H:%M") from None


def _iso(texts: "pl.Series", zone: str) -> tuple["pl.Series", "pl.Series"]:
    """ISO 8601 texts, with and without offsets mixed, as UTC; and a mask of local times that do not exist."""
    import polars as pl

    texts = (
        texts.str.strip_chars()
        .str.replace(r"^(\d{4}-\d\d-\d\d)[ t]", "${1}T")
        .str.replace(r" ?(?:[zZ]|UTC|GMT)$", "+00:00")
    )
    offset = texts.str.contains(_OFFSET).fill_null(False)
    aware = texts.set(~offset, None).str.replace(r"(T\d\d:\d\d)([+-])", "${1}:00${2}")
    utc = aware.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", strict=False, time_unit="us").dt.convert_time_zone("UTC")
    naive = texts.set(offset, None)
    local = naive.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False, time_unit="us")
    for pattern, cast in (("%Y-%m-%dT%H:%M", False), ("%Y-%m-%d", True)):
        rest = local.is_null() & naive.is_not_null()
        if not rest.any():
            break
        left = naive.set(~rest, None)
        found = left.str.to_date(pattern, strict=False) if cast else left.str.to_datetime(pattern, strict=False)
        local = local.zip_with(~rest, found.cast(pl.Datetime("us")))
    placed = _in_zone(local, zone)
    skipped = local.is_not_null() & placed.is_null()
    return placed.zip_with(~offset, utc), skipped


def _from_text(texts: "pl.Series", zone: str, pattern: str | None) -> "tuple[pl.Series, Problems]":
    """Texts as UTC: by the declared pattern or unit, else numbers since 1970 or ISO 8601."""
    import polars as pl

    if pattern == _EXCEL:
        return _from_days(texts.str.strip_chars().cast(pl.Float64, strict=False), zone)
    if pattern is not None and pattern not in _PER_SECOND:
        parsed = _by_pattern(texts, pattern)
        aware = isinstance(parsed.dtype, pl.Datetime) and parsed.dtype.time_zone is not None
        placed = parsed.dt.convert_time_zone("UTC") if aware else _in_zone(parsed, zone)
        return placed, [(parsed.is_not_null() & placed.is_null(), Reason.NO_SUCH_TIME)]
    digits = texts.str.contains(r"^\s*[+-]?\d+(\.\d+)?\s*$").fill_null(False)
    if not digits.any():
        placed, skipped = _iso(texts, zone)
        return placed, [(skipped, Reason.NO_SUCH_TIME)]
    plain = texts.set(~digits, None).str.strip_chars()
    whole = plain.cast(pl.Int64, strict=False)
    epoch = _from_epoch(whole if not plain.str.contains(".", literal=True).any() else _floats(plain), pattern or "s")
    doubts = _in_doubt(_floats(plain)) if pattern is None else []
    if pattern is not None or digits.all():
        return epoch, doubts
    placed, skipped = _iso(texts.set(digits, None), zone)
    return placed.zip_with(~digits, epoch), [*doubts, (skipped, Reason.NO_SUCH_TIME)]


def _floats(texts: "pl.Series") -> "pl.Series":
    import polars as pl

    return texts.cast(pl.Float64, strict=False)


def _as_utc(series: "pl.Series", zone: str, pattern: str | None) -> "tuple[pl.Series, Problems]":
    """Any column as UTC microseconds (null where that fails), and problems that are known by name."""
    import polars as pl

    dtype = series.dtype
    if isinstance(dtype, pl.Datetime | pl.Date):
        series = _within_calendar(series)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return series.cast(pl.Datetime("us", dtype.time_zone)).dt.convert_time_zone("UTC"), []
    if isinstance(dtype, pl.Datetime | pl.Date):
        local = series.cast(pl.Datetime("us"))
        placed = _in_zone(local, zone)
        return placed, [(local.is_not_null() & placed.is_null(), Reason.NO_SUCH_TIME)]
    if dtype == pl.String:
        return _from_text(series, zone, pattern)
    if dtype.is_numeric() and (pattern is None or pattern in _PER_SECOND):
        return _from_epoch(series, pattern or "s"), [] if pattern else _in_doubt(series)
    if dtype.is_numeric() and pattern == _EXCEL:
        return _from_days(series, zone)
    if dtype.is_integer():
        return _from_text(series.cast(pl.String), zone, pattern)
    empty = pl.Series(series.name, [None] * len(series), dtype=pl.Datetime("us", "UTC"))
    return empty, [(series.is_not_null(), Reason.NESTED)] if dtype.is_nested() else []


def to_utc(
    series: "pl.Series",
    *,
    zone: str = "UTC",
    pattern: str | None = None,
    earliest_year: int,
    as_of: datetime | None,
    now: datetime,
) -> "tuple[pl.Series, Problems]":
    """A column as UTC microseconds and the rows to set aside.

    Args:
        series: Datetimes, dates, numbers since 1970, or texts.
        zone: IANA time zone of values that carry none. A local time that occurs twice (clocks set back) is its first
            occurrence; one that never occurs (clocks set forward) is set aside.
        pattern: `s`, `ms`, `us`, `ns`, `excel`, a strptime pattern, or None: ISO 8601, numbers are seconds.
        earliest_year: Timestamps before this year (UTC) are set aside.
        as_of: Nothing after it is accepted; None: nothing after `now`.
        now: The clock.

    Returns:
        The column, and pairs of a mask and a reason. Nulls of the input stay null and are no problem here.
    """
    utc, problems = _as_utc(series, zone, pattern)
    named = series.is_null()
    for mask, _ in problems:
        named = named | mask.fill_null(False)
    first = datetime(earliest_year, 1, 1, tzinfo=UTC)
    problems = [*problems, (utc.is_null() & ~named, Reason.NOT_TIME), (utc < first, Reason.TOO_OLD)]
    problems.append((utc > now, Reason.FUTURE))
    if as_of is not None:
        problems.append((utc > as_of, Reason.AFTER_AS_OF))
    return utc, problems
