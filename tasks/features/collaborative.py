"""What users with similar items have in common: factors of the user-item matrix, with fold-in of users not fitted on.

Columns `collaborative_00 ...`: coordinates in one space (scale them together). The matrix holds, per user and item,
log(1 + Σ weight(event) · 2^(−age / half-life)); rows are scaled to length 1.

`truncated_svd`: the user's row times V, the first right singular vectors of the matrix (equal to U·Σ for users of the
fit). `als`: implicit feedback ALS (Hu, Koren & Volinsky 2008); the user's factors solve
(YᵀY + λI + Σ_i (c_i − 1) y_i y_iᵀ) x = Σ_i c_i y_i with c = 1 + alpha · entry, the same way for every user.

Scope global: `finish` holds the whole sparse matrix, 12 bytes per distinct user-item pair (10M pairs: 120 MB), and the
item factors, items × dimensions float64. Nothing per user is kept.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.artifacts import State
from schemas.config import Word
from schemas.tables import EVENTS, ITEM_ID, Bucket
from tasks.features._common import FamilyConfig, answer, chosen, require
from tasks.features._factors import als, fold_in_als, truncated_svd, unit_rows
from tasks.features._matrix import Piece, assemble, event_weight, interactions, sparse_matrix
from tasks.numerics.history import population, until
from tasks.numerics.keys import locate, pack_strings, unpack_strings

if TYPE_CHECKING:
    import polars as pl

REQUIRES: tuple[str, ...] = (EVENTS.name,)


class Config(FamilyConfig):
    """How the user-item matrix is weighed and factorised."""

    kind: Literal["collaborative"] = "collaborative"
    method: Literal["truncated_svd", "als"] = Field("truncated_svd", description="how the matrix is factorised")
    dimensions: int = Field(32, ge=1, description="factors per user; fewer where the matrix has a lower rank")
    half_life_days: float | None = Field(
        None, gt=0, description="an event's weight halves every so many days; none: never"
    )
    event_weights: dict[Word, float] = Field(
        default_factory=dict, description="weight per event name; 0 leaves it out; a name not listed weighs 1"
    )
    use_value: bool = Field(
        False, description="multiply an event's weight by its value (rating, amount), where above 0"
    )
    min_item_users: int = Field(1, ge=1, description="items of fewer users are left out")
    als_alpha: float = Field(40.0, gt=0, description="als: confidence gained per unit of interaction")
    als_regularization: float = Field(0.01, ge=0, description="als: λ")
    als_iterations: int = Field(15, ge=1, description="als: sweeps over users and items")


@dataclass(frozen=True)
class Partial:
    """Interactions of some buckets; merging only lists them, so it costs nothing."""

    pieces: tuple[Piece, ...]
    config: Config


def clockless(config: Config) -> bool:
    """Whether `as_of` only cuts the fit off: a later one changes nothing where nothing new became known."""
    return config.half_life_days is None


def partial(bucket: Bucket, config: Config, as_of: datetime) -> Partial:
    """The bucket's interactions up to `as_of`."""
    return Partial((interactions(bucket, weight_of(config), as_of),), config)


def merge(a: Partial, b: Partial) -> Partial:
    """Both parts' interactions; their users are distinct."""
    return Partial(a.pieces + b.pieces, a.config)


def finish(partial: Partial, rng: np.random.Generator) -> State:
    """Item factors of the whole matrix; the order in which buckets came changes nothing."""
    config = partial.config
    matrix, items = assemble(partial.pieces, config.min_item_users)
    seed = int(rng.integers(2**31))
    if config.method == "als":
        factors = als(
            matrix, config.dimensions, config.als_alpha, config.als_regularization, config.als_iterations, seed
        )
    else:
        factors = truncated_svd(unit_rows(matrix), config.dimensions, seed)
    columns = [f"collaborative_{j:02d}" for j in range(factors.shape[1])]
    meta: dict[str, Any] = {
        "columns": chosen(columns, config, "collaborative"),
        "all_columns": columns,
        "method": config.method,
    }
    meta |= {"users": matrix.shape[0], "items": len(items), "pairs": int(matrix.nnz)}
    return State({"factors": factors, "gram": factors.T @ factors, **pack_strings(items.to_list(), "items")}, meta)


def unknown(bucket: Bucket, state: State, config: Config, as_of: datetime) -> dict[str, tuple[float, float]]:
    """Events on items without factors, and events in all."""
    events = until(bucket[EVENTS.name], as_of)[ITEM_ID]
    strange = ~events.is_in(unpack_strings(state.arrays, "items").implode())
    return {"items": (float(strange.sum()), float(len(events)))}


def transform(bucket: Bucket, state: State, config: Config, as_of: datetime) -> "pl.DataFrame":
    """Factors per user of the bucket; null for users without a known item by `as_of`."""
    require(bucket, REQUIRES, "collaborative")
    piece = interactions(bucket, weight_of(config), as_of)
    items = unpack_strings(state.arrays, "items")
    at = locate(items, piece.items)[piece.columns]
    kept = at >= 0
    matrix = sparse_matrix(piece.weights[kept], piece.rows[kept], at[kept], (len(piece.users), len(items)))
    factors = state.arrays["factors"]
    if config.method == "als":
        args = state.arrays["gram"], config.als_alpha, config.als_regularization
        folded = fold_in_als(matrix, factors, *args)
    else:
        folded = unit_rows(matrix) @ factors
    folded[np.diff(matrix.indptr) == 0] = np.nan
    values = {name: folded[:, j] for j, name in enumerate(state.meta["all_columns"])}
    return answer(population(bucket, as_of), piece.users, values, state.meta["columns"])


def weight_of(config: Config) -> "pl.Expr":
    """Weight of one event, as the config says."""
    return event_weight(config.event_weights, config.half_life_days, config.use_value)
