"""From raw users to segments: the one code path of training, batch and online assignment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import numpy as np

from schemas import tables
from schemas.config import CalibrationConfig
from schemas.errors import DataError
from schemas.evaluation import Assignment
from tasks.segments._decision import Decision, climb
from tasks.segments._memberships import column, weigh
from tasks.segments._rows import Block, Rows, aligned, complete, event_counts, union
from tasks.segments.calibration import Calibration
from tasks.segments.ladder import Ladder
from tasks.segments.reasons import Reasons

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from schemas.tables import Bucket

ASSIGNED = "assigned"
UNASSIGNED = "unassigned"


class Assigns(Protocol):
    """A fitted clusterer, as far as assignment needs it."""

    def assign(self, X: np.ndarray) -> Assignment:
        """Assign (n, d) rows."""
        ...


class Represents(Protocol):
    """A fitted representation: feature blocks to vectors, each row by itself."""

    def transform(self, blocks: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n, d) float32 from block name -> (n, d_b) float32 with NaN for unknown."""
        ...


@dataclass(frozen=True)
class Segmenter:
    """Everything fitted, ready to assign. Assembled in models/assemble.py, from a bundle or fresh from training.

    Attributes:
        ids: (k,) segment ids by label.
        names: (k,) names by label.
        dimension: Length of a vector.
        blocks: In the order of training.
        representation: Blocks to vectors.
        clusterer: Vectors to labels.
        calibration: Floors and confidence.
        config: The calibration's config.
        reasons: What pulls a user; none: assignments carry no reasons.
        ladder: What users with few events get; none: everybody gets what their vector says.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    dimension: int
    blocks: tuple[Block, ...]
    representation: Represents
    clusterer: Assigns
    calibration: Calibration
    config: CalibrationConfig
    reasons: Reasons | None = None
    ladder: Ladder | None = None

    def features(self, bucket: "Bucket", as_of: datetime) -> "tuple[pl.Series, dict[str, np.ndarray]]":
        """The blocks of a bucket's users.

        Args:
            bucket: Table name -> frame; a missing table makes what needs it unknown.
            as_of: Nothing later is looked at.

        Returns:
            Users, sorted; and block name -> (n, d_b) float32, NaN where unknown.

        Raises:
            DataError: a block answers with other columns than it was fitted with.
        """
        whole = complete(bucket)
        answers = {
            block.name: block.build(whole, as_of)
            for block in self.blocks
            if all(name in whole for name in block.requires)
        }
        users = union([rows.users for rows in answers.values()])
        return users, {block.name: aligned(block, answers.get(block.name), users) for block in self.blocks}

    def vectors(self, bucket: "Bucket", as_of: datetime) -> tuple[list[str], np.ndarray]:
        """User ids, sorted, and their (n, d) float32 vectors; see `features`."""
        users, blocks = self.features(bucket, as_of)
        return users.to_list(), self.represent(blocks, len(users))

    def represent(self, blocks: Mapping[str, np.ndarray], n: int) -> np.ndarray:
        """(n, d) float32 vectors of n users from their blocks."""
        if n == 0:
            return np.empty((0, self.dimension), np.float32)
        X = np.asarray(self.representation.transform(blocks), np.float32)
        if X.shape != (n, self.dimension):
            raise DataError(f"vectors: shape {X.shape} where ({n}, {self.dimension}) was fitted; the bundle is damaged")
        return X

    def assign_vectors(self, X: np.ndarray) -> Decision:
        """Assign (n, d) vectors; the same bits for one row as for a million.

        Raises:
            DataError: the vectors have another length than those of training.
        """
        X = np.asarray(X, np.float32)
        if X.ndim != 2 or X.shape[1] != self.dimension:
            raise DataError(f"vectors: shape {X.shape} where (n, {self.dimension}) is needed")
        if len(X) == 0:
            none = np.empty(0, np.int64)
            return Decision(none, none, none, np.empty(0), np.empty(0), {})
        finite = np.isfinite(X).all(axis=1)
        X = np.where(finite[:, None], X, np.float32(0))
        found = self.clusterer.assign(X)
        nearest = np.where(finite, found.labels, -1).astype(np.int64)
        second = np.where(finite, found.second, -1).astype(np.int64)
        distance = np.where(finite, np.asarray(found.distance, np.float64), np.nan)
        confidence = self.calibration.confidence(self.calibration.margin(X, nearest, second))
        decided = self._judge(nearest, second, distance, confidence, finite)
        soft = weigh(X, nearest, self.calibration.centroids, self.calibration.space)
        return decided._replace(memberships=soft)

    def _judge(
        self, nearest: np.ndarray, second: np.ndarray, distance: np.ndarray, sure: np.ndarray, finite: np.ndarray
    ) -> Decision:
        floor = np.where(nearest >= 0, self.calibration.floors[np.maximum(nearest, 0)], np.nan)
        far = (nearest >= 0) & ~(distance <= floor)
        unsure = (nearest >= 0) & ~far & (sure < self.config.min_confidence)
        out = (nearest < 0) | far | unsure
        why = {int(row): "no segment is dense enough here" for row in np.flatnonzero((nearest < 0) & finite)}
        why |= {int(row): "the vector is not finite" for row in np.flatnonzero(~finite)}
        why |= {
            int(row): f"too far from the nearest segment: distance {distance[row]:.3g}, floor {floor[row]:.3g}"
            for row in np.flatnonzero(far)
        }
        why |= {int(row): f"confidence {sure[row]:.2f} is below the bound" for row in np.flatnonzero(unsure)}
        return Decision(np.where(out, -1, nearest), nearest, second, distance, np.where(out, 0.0, sure), why)

    def assign(self, bucket: "Bucket", as_of: datetime, model_version: str) -> "pl.DataFrame":
        """Assignments of a bucket's users, one row each, sorted by user: schemas.tables.ASSIGNMENTS.

        An unassigned user's second segment is the nearest one, the one that did not fit.
        """
        users, blocks = self.features(bucket, as_of)
        decision = self.assign_vectors(self.represent(blocks, len(users)))
        if self.ladder is not None and len(users):
            decision = climb(self.ladder, decision, blocks, event_counts(bucket, users, as_of), self.config)
        return self.frame(users, decision, self.tell(blocks, decision), as_of, model_version)

    def tell(self, blocks: Mapping[str, np.ndarray], decision: Decision) -> list[list[str]]:
        """Reasons for each row: what pulls the user there, or why no segment fits."""
        if self.reasons is None or not len(decision.labels):
            told: list[list[str]] = [[] for _ in decision.labels]
        else:
            told = self.reasons.tell(stacked(blocks, self.blocks), decision.labels, self.config.max_reasons)
        for row, why in decision.why.items():
            told[row] = [why] if decision.labels[row] < 0 else [why, *told[row]]
        return told

    def frame(
        self,
        users: "Sequence[str] | pl.Series",
        decision: Decision,
        told: list[list[str]],
        as_of: datetime,
        version: str,
    ) -> "pl.DataFrame":
        """A decision as the table of assignments."""
        import polars as pl
        import pyarrow as pa

        second = np.where(decision.labels >= 0, decision.second, decision.nearest)
        names = pl.Series([*self.ids, None], dtype=pl.String)  # label -1 is the last: none
        columns = {
            tables.USER_ID: pl.Series(users),
            tables.SEGMENT_ID: names.gather(decision.labels % len(names)),
            tables.CONFIDENCE: pl.Series(decision.confidence),
            tables.DISTANCE: pl.Series(decision.distance).fill_nan(None),
            tables.SECOND_SEGMENT_ID: names.gather(second % len(names)),
            tables.STATUS: pl.Series([ASSIGNED, UNASSIGNED]).gather((decision.labels < 0).astype(np.int64)),
            tables.REASONS: pl.from_arrow(pa.array(told, pa.large_list(pa.large_string()))),
        }
        columns[tables.MEMBERSHIPS] = pl.Series(pl.from_arrow(_soft(decision, self.ids)))
        frame = pl.DataFrame([pl.Series(name, column) for name, column in columns.items()]).with_columns(
            pl.lit(version).alias(tables.MODEL_VERSION), pl.lit(as_of).alias(tables.AS_OF)
        )
        schema = tables.ASSIGNMENTS.polars_schema()
        return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _soft(decision: Decision, ids: tuple[str, ...]) -> "pa.Array":
    """Memberships of those whom their vector puts into a segment: on other rungs of the ladder it says nothing."""
    import pyarrow as pa

    if decision.memberships is None:
        return pa.nulls(len(decision.labels), tables.ASSIGNMENTS.arrow_schema().field(tables.MEMBERSHIPS).type)
    return column(decision.memberships, ids, (decision.labels >= 0) & np.isfinite(decision.distance))


def reason_columns(blocks: Sequence[Block]) -> tuple[str, ...]:
    """Names of the columns that reasons may cite: `family.column`; texts have no columns that mean something."""
    return tuple(f"{block.name}.{column}" for block in blocks for column in block.columns)


def stacked(blocks: Mapping[str, np.ndarray], order: Sequence[Block]) -> np.ndarray:
    """(n, F) the named columns of all blocks side by side, in the order of `reason_columns`."""
    named = [blocks[block.name] for block in order if block.columns]
    n = len(next(iter(blocks.values())))
    return np.concatenate(named, axis=1) if named else np.empty((n, 0), np.float32)


__all__ = [
    "ASSIGNED",
    "UNASSIGNED",
    "Assigns",
    "Block",
    "Decision",
    "Represents",
    "Rows",
    "Segmenter",
    "reason_columns",
    "stacked",
]
