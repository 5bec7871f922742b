"""Whom users know: measures of the graph of ties (edges) by `as_of`, looked up per user.

A tie src → dst counts once, with the sum of its weights; ties of a user with themselves don't count. Columns:
- `social_degree`, `_degree_in`, `_degree_out`: users tied in either direction, users who tie to one, whom one ties to;
- `social_weight_in`, `_weight_out`: sums of the ties' weights;
- `social_reciprocity`: 2 × mutual ties / (in + out), unknown without ties;
- `social_clustering`: share of pairs of neighbours who are tied; `social_core`: core number;
- `social_pagerank`: weighted PageRank × users, so 1 is the mean;
- `social_bridging`: share of a user's ties that lead to other communities, unknown without ties;
- `social_active`: 1 (active) if the user started a tie within `active_days` before `as_of`, else 0 (silent); a tie
  without a time always counts;
- `social_community_00 …`: 1 for members of the largest, second largest, … community;
- `social_axis_00 …`: regularised spectral embedding, a row of length 1.

Scope global: `finish` holds the graph, about 40 bytes per tie, and about 1 KB per tie while Louvain runs in networkx.
`State` keeps one row of numbers and the id of every user of the fit; who was not there is unknown until the next fit.
In vectors a column weighs what tied users share of it, by the root of how much other columns say the same.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.artifacts import State
from schemas.errors import DataError
from schemas.tables import DST, EDGES, SRC, TIMESTAMP, USER_ID, WEIGHT, Bucket
from tasks.features._common import FamilyConfig, answer, chosen, require
from tasks.features._graph import bridging, measures, spectral, weights
from tasks.features._matrix import Piece, pair_sums, sparse_matrix
from tasks.numerics.communities import communities
from tasks.numerics.history import MICROSECONDS_PER_DAY, clock, population, until
from tasks.numerics.keys import locate, pack_strings, unpack_strings

if TYPE_CHECKING:
    import polars as pl
    from scipy import sparse

REQUIRES: tuple[str, ...] = (EDGES.name,)


class Config(FamilyConfig):
    """Which measures of the graph, and how fine."""

    kind: Literal["social"] = "social"
    active_days: float = Field(90.0, gt=0, description="a user who started a tie within so many days is active")
    community: Literal["louvain", "leiden", "none"] = Field(
        "louvain", description="how communities are found; leiden needs the extra of that name"
    )
    communities: int = Field(16, ge=1, description="largest communities that get a column of their own")
    resolution: float = Field(1.0, gt=0, description="above 1: more and smaller communities")
    axes: int = Field(8, ge=0, description="dimensions of the spectral embedding; 0: none")


@dataclass(frozen=True)
class Partial:
    """Ties of some buckets; merging only lists them.

    Attributes:
        ties: Per bucket: who is tied to whom, and how strongly.
        users: Per bucket: its population, tied or not.
        active: Per bucket: who started a tie of late.
        config: The family's config.
    """

    ties: "tuple[Piece, ...]"
    users: "tuple[pl.Series, ...]"
    active: "tuple[pl.Series, ...]"
    config: Config


def partial(bucket: Bucket, config: Config, as_of: datetime) -> Partial:
    """The bucket's ties by `as_of`."""
    import polars as pl

    require(bucket, REQUIRES, "social")
    edges = until(bucket[EDGES.name], as_of).filter((pl.col(SRC) != pl.col(DST)) & (pl.col(WEIGHT) > 0))
    since = clock(bucket, edges[SRC], as_of) - round(config.active_days * MICROSECONDS_PER_DAY)
    late = pl.col(TIMESTAMP).is_null() | (pl.col(TIMESTAMP).to_physical() > pl.lit(pl.Series(since)))
    ties = pair_sums(edges[SRC], edges[DST], edges[WEIGHT].cast(pl.Float64).to_numpy())
    return Partial((ties,), (population(bucket, as_of),), (edges.filter(late)[SRC].unique(),), config)


def merge(a: Partial, b: Partial) -> Partial:
    """The ties of both."""
    return Partial(a.ties + b.ties, a.users + b.users, a.active + b.active, a.config)


def finish(partial: Partial, rng: np.random.Generator) -> State:
    """Measures of the whole graph; the order in which buckets came changes nothing."""
    import polars as pl

    config = partial.config
    ids = [*partial.users, *(ids for piece in partial.ties for ids in (piece.users, piece.items))]
    users = pl.concat([series.cast(pl.String).alias(USER_ID) for series in ids]).unique().sort()
    graph = assemble(partial.ties, users)
    if not graph.nnz:
        raise DataError("features.social: no tie by as_of between two users; check edges, or switch the family off")
    active = np.zeros(len(users))
    active[locate(users, pl.concat(partial.active).cast(pl.String))] = 1.0
    belonging, facts = groups(graph, config, int(rng.integers(2**31)))
    columns = {f"social_{name}": values for name, values in measures(graph).items()}
    columns |= {"social_active": active, **belonging}
    names = chosen(list(columns), config, "social")
    table = np.stack([columns[name] for name in names], axis=1).astype(np.float32)
    counted = weights((graph + graph.T).tocsr(), table.astype(np.float64))
    meta = {"columns": names, "users": len(users), "ties": int(graph.nnz), **facts}
    meta["weights"] = dict(zip(names, counted.tolist(), strict=True))
    return State({"values": table, **pack_strings(users.to_list(), "users")}, meta)


def unknown(bucket: Bucket, state: State, config: Config, as_of: datetime) -> dict[str, tuple[float, float]]:
    """Users who were not in the fit, and users in all."""
    users = population(bucket, as_of)
    strange = locate(unpack_strings(state.arrays, "users"), users) < 0
    return {"users": (float(strange.sum()), float(len(users)))}


def transform(bucket: Bucket, state: State, config: Config, as_of: datetime) -> "pl.DataFrame":
    """The fitted rows of the bucket's users; null for users who were not in the fit."""
    import polars as pl

    users = population(bucket, as_of)
    at = locate(unpack_strings(state.arrays, "users"), users)
    rows = state.arrays["values"][at[at >= 0]]
    values = {name: rows[:, j] for j, name in enumerate(state.meta["columns"])}
    return answer(users, users.filter(pl.Series(at >= 0)), values, state.meta["columns"])


def assemble(ties: "tuple[Piece, ...]", users: "pl.Series") -> "sparse.csr_matrix":
    """(n, n) weights, from row to column."""
    rows = np.concatenate([locate(users, piece.users)[piece.rows] for piece in ties])
    columns = np.concatenate([locate(users, piece.items)[piece.columns] for piece in ties])
    weights = np.concatenate([piece.weights for piece in ties])
    return sparse_matrix(weights, rows, columns, (len(users), len(users)))


def groups(graph: "sparse.csr_matrix", config: Config, seed: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Column -> (n,) numbers about who belongs together, and facts about the communities."""
    around, columns, facts = (graph + graph.T).tocsr(), {}, {}
    if config.community != "none":
        labels = communities(around, config.community, config.resolution, seed)
        sizes = np.bincount(labels)
        facts = {"communities": len(sizes), "largest_communities": sizes[: config.communities].tolist()}
        for label in range(min(config.communities, int((sizes > 1).sum()))):
            columns[f"social_community_{label:02d}"] = (labels == label).astype(np.float64)
        columns["social_bridging"] = bridging(around, labels)
    if config.axes:
        axes = spectral(around, config.axes, seed)
        columns |= {f"social_axis_{j:02d}": axes[:, j] for j in range(axes.shape[1])}
    return columns, facts
