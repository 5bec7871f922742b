"""Feature blocks become one vector per user: the fit over a stream of buckets, and the fitted `Representation`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.artifacts import State
from schemas.config import MissingPolicy, OutlierPolicy, RepresentConfig
from schemas.errors import DataError
from tasks.representation.reduction import balance, delivered, kept_share, project, reducer, unit_rows
from tasks.representation.scaling import Scaling, fit_block, join, weighed

Blocks = Mapping[str, np.ndarray]
"""One bucket: block name -> (n, d_b) float32, NaN where a value is unknown; all blocks hold the same n users."""

SAMPLE_VALUES = 2**23  # numbers behind medians and quantiles, at most: 64 MiB of float64
ROWS = 8_192  # users scaled at a time
FORMAT = 1


@dataclass(frozen=True)
class Representation:
    """A fitted way from blocks to vectors. All of it is data: see `state`.

    Attributes:
        columns: Block -> its columns, in order; blocks in the order of the vector's parts.
        scaling: Fill, clip, log, centre and gain of every column.
        mean: (d,) mean of the scaled columns over all fitted users.
        projection: (d, m) balance and reduction as one matrix.
        unit_norm: Whether vectors are brought to length 1.
        facts: JSON facts of the fit: users, sampled users, variance shares, ...
    """

    columns: Mapping[str, tuple[str, ...]]
    scaling: Scaling
    mean: np.ndarray
    projection: np.ndarray
    unit_norm: bool
    facts: Mapping[str, Any]

    @property
    def dimension(self) -> int:
        """Numbers per user vector, m."""
        return self.projection.shape[1]

    @property
    def variance_shares(self) -> dict[str, float]:
        """Block -> its share of the variance of the delivered vectors, before they are brought to length 1."""
        return dict(self.facts["variance_shares"])

    def transform(self, blocks: Blocks) -> np.ndarray:
        """(n, m) float32 vectors of n users. A row's bits are the same alone and among others.

        Args:
            blocks: A block that is not there is missing for all its users and gets the fitted fills.

        Raises:
            DataError: a block has other columns than it was fitted on, or blocks differ in their users.
        """
        parts = [np.zeros((0, self.dimension), np.float32)]
        for rows in self.scaled(blocks):
            vectors = project(rows - self.mean, self.projection)
            parts.append((unit_rows(vectors) if self.unit_norm else vectors).astype(np.float32))
        return np.concatenate(parts)

    def scaled(self, blocks: Blocks) -> Iterator[np.ndarray]:
        """(≤ ROWS, d) float64 parts of the blocks side by side, filled and scaled."""
        return (self.scaling.apply(rows) for rows in chunks(blocks, self.columns))

    def kept_share(self, covariance: np.ndarray) -> float:
        """Variance that the vectors keep of today's users, as a share of what a fresh reduction would.

        Args:
            covariance: (d, d) of today's scaled columns.
        """
        widths, weights = [len(names) for names in self.columns.values()], self.facts["config"]["weights"]
        factors = balance(covariance, widths, [weights.get(name, 1.0) for name in self.columns])
        return kept_share(covariance, factors, self.projection)

    def state(self) -> State:
        """The representation as arrays and JSON facts."""
        arrays = {**self.scaling.arrays(), "mean": self.mean, "projection": self.projection}
        blocks = [[name, list(columns)] for name, columns in self.columns.items()]
        meta = {"format": FORMAT, "blocks": blocks, "unit_norm": self.unit_norm, "facts": dict(self.facts)}
        return State(arrays, meta)


def from_state(state: State, config: RepresentConfig | None = None) -> Representation:
    """The representation that `state` describes.

    Args:
        state: What `Representation.state` gave.
        config: Not needed, and it changes nothing: a frozen basis stays as it was fitted, whatever the config says now.
    """
    if state.meta.get("format") != FORMAT:
        raise DataError(f"representation: format {state.meta.get('format')!r} is not {FORMAT}; fit it again")
    fitted = {name: np.asarray(state.arrays[name], np.float64) for name in Scaling.__dataclass_fields__}
    return Representation(
        columns={name: tuple(columns) for name, columns in state.meta["blocks"]},
        scaling=Scaling(**fitted),
        mean=np.asarray(state.arrays["mean"], np.float64),
        projection=np.asarray(state.arrays["projection"], np.float64),
        unit_norm=bool(state.meta["unit_norm"]),
        facts=state.meta["facts"],
    )


def fit(
    stream: Callable[[], Iterable[Blocks]],
    columns: Mapping[str, tuple[str, ...]],
    config: RepresentConfig,
    rng: np.random.Generator,
    missing: Mapping[str, MissingPolicy] | None = None,
    outliers: Mapping[str, OutlierPolicy] | None = None,
    counted: Mapping[str, float] | None = None,
) -> Representation:
    """Fits scaling, balance and reduction in two passes over the buckets.

    Medians and quantiles come from a uniform sample (all users, where they are few enough); means, covariances and
    with them the balance and the axes come from every user. Memory: the sample, one bucket and a (d, d) matrix.

    Args:
        stream: Gives the buckets, the same ones in the same order each time.
        columns: Block -> column names, in order.
        config: Weights, reducer, dimension and so on.
        rng: Draws the sample and a random projection.
        missing: Policy per column, by `column` or `block.column`; the median where not named.
        outliers: Policy per column, likewise.
        counted: `block.column` -> how much it counts in its block, where a family says so; 1 where not named.

    Raises:
        DataError: no users, or a block whose width is not that of its columns.
    """
    if not any(columns.values()):
        raise DataError("represent: no feature columns; switch a feature family on that this data can feed")
    sample, users = draw(stream(), columns, rng)
    if not users:
        raise DataError("represent: there is no user to represent; check that events or texts are not empty")
    scaling = _fit_scaling(sample, columns, config, missing or {}, outliers or {})
    scaling = weighed(scaling, [(counted or {}).get(f"{b}.{name}", 1.0) for b, own in columns.items() for name in own])
    mean, covariance = moments(stream(), columns, scaling)
    widths = [len(names) for names in columns.values()]
    factors = balance(covariance, widths, [config.weights.get(name, 1.0) for name in columns])
    balanced = covariance * np.outer(factors, factors)
    axes = reducer(balanced, config, rng)
    kept = float(np.trace(axes.T @ balanced @ axes))
    facts = {
        "users": users,
        "sampled_users": len(sample),
        "variance_kept": kept,
        "variance_shares": delivered(balanced, axes, list(columns), widths),
        "config": config.model_dump(mode="json"),
    }
    return Representation(dict(columns), scaling, mean, factors[:, None] * axes, config.unit_norm, facts)


def chunks(blocks: Blocks, columns: Mapping[str, tuple[str, ...]]) -> Iterator[np.ndarray]:
    """(≤ ROWS, d) float64 parts of all blocks side by side in the order of `columns`; NaN for a block not there."""
    sizes = {len(blocks[name]) for name in columns if name in blocks}
    if len(sizes) > 1:
        raise DataError(f"represent: blocks speak of different numbers of users: {sorted(sizes)}")
    n = sizes.pop() if sizes else 0
    for name, names in columns.items():
        if name in blocks and blocks[name].shape != (n, len(names)):
            actual = blocks[name].shape
            raise DataError(f"represent: block {name} is {actual}, expected ({n}, {len(names)}) as fitted")
    for start in range(0, n, ROWS):
        end = min(n, start + ROWS)
        missing = {name: np.full((end - start, len(columns[name])), np.nan) for name in columns if name not in blocks}
        parts = [missing[name] if name in missing else blocks[name][start:end] for name in columns]
        yield np.concatenate(parts, axis=1, dtype=np.float64)


def draw(
    stream: Iterable[Blocks], columns: Mapping[str, tuple[str, ...]], rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """A uniform sample of users, (s, d), and how many there are: the s smallest of one random key per user."""
    width = sum(map(len, columns.values()))
    size = max(1_000, SAMPLE_VALUES // width)
    rows, keys, users = np.zeros((0, width)), np.zeros(0), 0
    for blocks in stream:
        for part in chunks(blocks, columns):
            users += len(part)
            rows, keys = np.concatenate([rows, part]), np.concatenate([keys, rng.random(len(part))])
            if len(keys) > size:
                kept = np.sort(np.argpartition(keys, size)[:size])
                rows, keys = rows[kept], keys[kept]
    return rows, users


def moments(
    stream: Iterable[Blocks], columns: Mapping[str, tuple[str, ...]], scaling: Scaling
) -> tuple[np.ndarray, np.ndarray]:
    """(d,) mean and (d, d) covariance (divided by n) of the scaled columns over every user."""
    d = len(scaling.fill)
    total, products, n = np.zeros(d), np.zeros((d, d)), 0
    for blocks in stream:
        for rows in chunks(blocks, columns):
            scaled = scaling.apply(rows)
            total += scaled.sum(axis=0)
            products += scaled.T @ scaled
            n += len(scaled)
    mean = total / n
    covariance = products / n - np.outer(mean, mean)
    noise = 1e-12 * (np.diag(products) / n)  # what is left of a constant column is rounding
    silent = np.diag(covariance) <= noise
    covariance[silent] = covariance[:, silent] = 0.0
    return mean, covariance


def _fit_scaling(
    sample: np.ndarray,
    columns: Mapping[str, tuple[str, ...]],
    config: RepresentConfig,
    missing: Mapping[str, MissingPolicy],
    outliers: Mapping[str, OutlierPolicy],
) -> Scaling:
    parts, at = [], 0
    for block, names in columns.items():
        part = sample[:, at : at + len(names)]
        isometric = block in config.isometric
        parts.append(fit_block(part, names, config, isometric, _of(block, missing), _of(block, outliers)))
        at += len(names)
    return join(parts)


def _of(block: str, policies: Mapping[str, Any]) -> dict[str, Any]:
    """Policies of a block's columns by their bare names; `block.column` is more telling than `column`."""
    prefix = f"{block}."
    return {**policies, **{key[len(prefix) :]: value for key, value in policies.items() if key.startswith(prefix)}}
