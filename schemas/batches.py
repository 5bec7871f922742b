"""How a source's record batches say where they come from and how to read them, and how Python values become columns."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ROW = "__row"
"""Optional column of a batch: the source's row numbers, where they do not simply count up from `first_row`."""
PROBLEM = "__problem"
"""Optional column of a batch: why the source could not read the row at all; null where it could."""


@dataclass(frozen=True)
class Reading:
    """Where a batch stands in its source, and how its raw values are meant.

    Attributes:
        origin: File or query, by a relative name without secrets.
        first_row: Row number, from 1, of the batch's first row.
        time_zone: IANA zone of timestamps that carry none.
        time_format: `s`, `ms`, `us` or `ns` since 1970, a strptime pattern, or None: ISO 8601 and seconds.
        numeric: Extra columns that are numbers, though they may arrive as text.
        decimal: What stands between a number and its fraction, where numbers arrive as text.
        thousands: What may stand between thousands there; empty: nothing does.
        key: Columns that the source declares unique together (within a user); empty: the table's own key.
        joined: Ids that come as records of their parts.
        named: Contract's column and what the source calls it.
        unread: What else the source has.
    """

    origin: str = "memory"
    first_row: int = 1
    time_zone: str = "UTC"
    time_format: str | None = None
    numeric: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str = ""
    key: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    named: tuple[tuple[str, str], ...] = ()
    unread: tuple[str, ...] = ()

    def metadata(self) -> dict[bytes, bytes]:
        """The reading as metadata of an Arrow schema."""
        pairs = {
            b"origin": self.origin,
            b"first_row": str(self.first_row),
            b"time_zone": self.time_zone,
            b"decimal": self.decimal,
            b"thousands": self.thousands,
            b"numeric": json.dumps(self.numeric),
            b"key": json.dumps(self.key),
            b"joined": json.dumps(self.joined),
            b"named": json.dumps(self.named),
            b"unread": json.dumps(self.unread),
        }
        if self.time_format is not None:
            pairs[b"time_format"] = self.time_format
        return {name: text.encode("utf-8", "replace") for name, text in pairs.items()}

    @classmethod
    def of(cls, metadata: Mapping[bytes, bytes] | None) -> "Reading":
        """The reading that a schema's metadata tell of; defaults for what they leave out."""
        texts = {name: text.decode() for name, text in (metadata or {}).items()}
        get = {name.decode(): texts[name] for name in texts if name in _TEXTS}
        lists = {name.decode(): tuple(json.loads(texts[name])) for name in _LISTS if name in texts}
        return cls(first_row=int(texts.get(b"first_row", "1")), **get, **lists)  # type: ignore[arg-type]

    def mark(self, batch: "pa.RecordBatch") -> "pa.RecordBatch":
        """The batch with this reading in its schema's metadata."""
        return batch.replace_schema_metadata(self.metadata())


_LISTS = (b"numeric", b"key", b"joined", b"named", b"unread")
_TEXTS = (b"origin", b"time_zone", b"time_format", b"decimal", b"thousands")


def column(values: list[Any], ids: bool = False) -> "pa.Array":
    """Python values, as JSON and databases bring them, as one Arrow column: of their own type where they share one.

    Else as text, which the row rules judge as they would judge the value by itself: a whole number reads the same
    whether it came as 7 or 7.0. Texts that UTF-8 cannot hold (lone surrogates) make a column of bytes, for those rules.

    Args:
        values: None where a row has none.
        ids: They are ids: a number that is none keeps an exponent, and lists and objects are no values.
    """
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        texts = [_text(value, ids) for value in values]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([None if t is None else t.encode("utf-8", "surrogatepass") for t in texts], pa.binary())


def _text(value: Any, ids: bool) -> str | None:
    """A value as text: texts as they are, lists and objects as JSON; bytes that are no text keep lone surrogates."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return _text_of_float(value, ids)
    if isinstance(value, list | dict):
        return None if ids else json.dumps(value, ensure_ascii=False)
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _text_of_float(value: float, ids: bool) -> str | None:
    if value != value:
        return None
    if not isfinite(value):
        return "1e+999" if value > 0 else "-1e+999"
    if abs(value) >= 2**53 or (ids and not value.is_integer()):
        return f"{value:.17e}"
    return str(int(value)) if value.is_integer() else str(value)
