"""What a table of assignments tells: whom it has, and the segment of each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from schemas.artifacts import ArtifactRef
from schemas.tables import SEGMENT_ID, USER_ID
from tasks.stores.buckets import read_frames

if TYPE_CHECKING:
    import polars as pl


def labels_of(assignments: ArtifactRef, ids: Sequence[str], users: "pl.Series") -> np.ndarray:
    """(n,) int32 label of each of `users` in a table of assignments, by place in `ids`; −1 without a segment or row."""
    import polars as pl

    frame = pl.concat(list(read_frames(assignments, (USER_ID, SEGMENT_ID)))).unique(USER_ID, keep="first")
    number = pl.DataFrame(
        {SEGMENT_ID: list(ids), "label": np.arange(len(ids), dtype=np.int32)}, schema_overrides={SEGMENT_ID: pl.String}
    )
    known = frame.join(number, on=SEGMENT_ID)
    asked = pl.DataFrame({USER_ID: users.cast(pl.String)})
    return asked.join(known, on=USER_ID, how="left", maintain_order="left")["label"].fill_null(-1).to_numpy()


def users_of(assignments: ArtifactRef) -> "pl.Series":
    """(n,) ids of a table of assignments, in bucket order."""
    import polars as pl

    return pl.concat(list(read_frames(assignments, (USER_ID,))))[USER_ID]
