"""How a source's record batches say where they come from and how to read them: metadata of the batch's schema."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
        key: Columns that the source declares unique together (within a user); empty: the table's own key.
    """

    origin: str = "memory"
    first_row: int = 1
    time_zone: str = "UTC"
    time_format: str | None = None
    numeric: tuple[str, ...] = ()
    key: tuple[str, ...] = ()

    def metadata(self) -> dict[bytes, bytes]:
        """The reading as metadata of an Arrow schema."""
        pairs = {
            b"origin": self.origin,
            b"first_row": str(self.first_row),
            b"time_zone": self.time_zone,
            b"numeric": json.dumps(self.numeric),
            b"key": json.dumps(self.key),
        }
        if self.time_format is not None:
            pairs[b"time_format"] = self.time_format
        return {name: text.encode("utf-8", "replace") for name, text in pairs.items()}

    @classmethod
    def of(cls, metadata: Mapping[bytes, bytes] | None) -> "Reading":
        """The reading that a schema's metadata tell of; defaults for what they leave out."""
        texts = {name: text.decode() for name, text in (metadata or {}).items()}
        get = {name.decode(): texts[name] for name in texts if name in _TEXTS}
        lists = {name.decode(): tuple(json.loads(texts[name])) for name in texts if name in (b"numeric", b"key")}
        return cls(first_row=int(texts.get(b"first_row", "1")), **get, **lists)  # type: ignore[arg-type]

    def mark(self, batch: "pa.RecordBatch") -> "pa.RecordBatch":
        """The batch with this reading in its schema's metadata."""
        return batch.replace_schema_metadata(self.metadata())


_TEXTS = (b"origin", b"time_zone", b"time_format")
