"""Why rows are set aside: the words that the quarantine and the report show."""

from enum import StrEnum


class Reason(StrEnum):
    """Rule that a row broke."""

    EMPTY = "empty where a value is required"
    MISSING = "empty, and the column's policy is quarantine"
    NOT_NUMBER = "not a number"
    NOT_FINITE = "NaN or infinite"
    OVERFLOW = "beyond the range of float32"
    NOT_POSITIVE = "not above 0"
    NOT_TIME = "not a timestamp in the declared format"
    AMBIGUOUS_TIME = "a number that looks like a date; declare the timestamp's format"
    NO_SUCH_TIME = "a local time that the time zone's clock change skips"
    TOO_OLD = "earlier than the earliest year that is accepted"
    FUTURE = "in the future"
    AFTER_AS_OF = "after the moment the run looks at"
    BIG_FLOAT_ID = "id is a float above 2^53 and has lost digits; export ids as text"
    FRACTION_ID = "id is a number with a fraction"
    EXPONENT_ID = "id in scientific notation has lost digits; export ids as text"
    LONG_ID = "id longer than 1024 bytes"
    LINES = "runs over several lines; a quote may be left open"
    NUL = "holds a NUL character"
    NOT_UTF8 = "not valid UTF-8 (wrong encoding or lone surrogate)"
    TOO_LONG = "text longer than the configured limit"
    NOT_LIST = "not a list of texts"
    OTHER_VALUES = "same key as an earlier row, with other values"
    OUTLIER = "robust z-score above the configured bound"
