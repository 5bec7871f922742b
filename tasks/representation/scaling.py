"""Per-column fits: what replaces a missing value, what is clipped, logged, centred and scaled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from schemas.config import MissingPolicy, OutlierPolicy, RepresentConfig
from schemas.tables import MISSING
from tasks.numerics.robust import center_and_spread, is_skewed
from tasks.representation.interpolation import KNOTS, fit_guide


@dataclass(frozen=True)
class Scaling:
    """Fitted, element by element, for d columns; arrays are (d,) float64, those of the guides (d, KNOTS).

    A value x becomes clip((t(x) − center) · gain, ±bound), where t fills what is missing, clips into [lower, upper]
    and, where `logged` is 1, takes log(1 + x). A column without spread has gain 0, so it says nothing.
    A missing value is `fill`, or read off the column `guide` places further on (0: none) by the line through
    (`knots`, `levels`), where that one is known.
    """

    fill: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    logged: np.ndarray
    center: np.ndarray
    gain: np.ndarray
    bound: np.ndarray
    guide: np.ndarray
    knots: np.ndarray
    levels: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        """(n, d) scaled float64 of (n, d) numbers, NaN or infinite where missing; each element by itself."""
        x = np.asarray(x, np.float64)
        out = np.where(np.isfinite(x), x, self.fill)
        for j in np.flatnonzero(self.guide):
            guide = x[:, j + int(self.guide[j])]
            gaps = ~np.isfinite(x[:, j]) & np.isfinite(guide)
            out[gaps, j] = np.interp(guide[gaps], self.knots[j], self.levels[j])
        np.clip(out, self.lower, self.upper, out=out)
        logged = np.flatnonzero(self.logged)
        out[:, logged] = np.log1p(np.ascontiguousarray(np.maximum(out[:, logged], 0.0)))
        return np.clip((out - self.center) * self.gain, -self.bound, self.bound)

    def arrays(self) -> dict[str, np.ndarray]:
        """Field name -> array, as a State holds them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def join(parts: Sequence[Scaling]) -> Scaling:
    """The scalings of several blocks as one, in order."""
    named = [part.arrays() for part in parts]
    return Scaling(**{field.name: np.concatenate([part[field.name] for part in named]) for field in fields(Scaling)})


def weighed(scaling: Scaling, weights: Sequence[float]) -> Scaling:
    """The scaling with every scaled value, and its bound, times its column's weight."""
    factors = np.array(weights, np.float64)
    return replace(scaling, gain=scaling.gain * factors, bound=scaling.bound * factors)


def fit_block(
    sample: np.ndarray,
    names: Sequence[str],
    config: RepresentConfig,
    isometric: bool,
    missing: Mapping[str, MissingPolicy],
    outliers: Mapping[str, OutlierPolicy],
) -> Scaling:
    """The scaling of one block.

    Args:
        sample: (n, d) float64 rows, NaN where missing.
        names: d column names.
        config: `skew` and `clip` are read.
        isometric: The columns are coordinates of one space (text vectors, user factors): they share one gain, which
            keeps their angles, and none is logged.
        missing: Column name -> how it is filled. Where not named: the median; in an isometric block the mean, so that
            users of whom nothing is known stand in the middle of the others and not in a corner of their own.
        outliers: Column name -> clipping at quantiles where its action is `clip`.
    """
    columns = [_fit_column(sample[:, j], name, config, isometric, missing, outliers) for j, name in enumerate(names)]
    joined = join(columns) if columns else _empty()
    for j, name in enumerate(names):
        if name in missing and missing[name].fill == "interpolate":
            joined.guide[j], joined.knots[j], joined.levels[j] = fit_guide(sample, j)
    gain = joined.gain
    if isometric:
        spread = [1 / each for each in gain if each > 0]
        gain = np.full(len(columns), 1 / max(spread) if spread else 0.0)
    silent = np.array([name.endswith(MISSING) for name in names], bool)
    gain = gain / np.where(silent, max(1, silent.sum()), 1)  # all of them tend to say the same: who has no row at all
    return Scaling(**{**joined.arrays(), "gain": gain})


def _fit_column(
    values: np.ndarray,
    name: str,
    config: RepresentConfig,
    isometric: bool,
    missing: Mapping[str, MissingPolicy],
    outliers: Mapping[str, OutlierPolicy],
) -> Scaling:
    known = values[np.isfinite(values)]
    fill = fill_value(known, missing.get(name), "mean" if isometric else "median")
    lower, upper = _bounds(known, outliers.get(name))
    clipped = np.clip(np.where(np.isfinite(values), values, fill), lower, upper)
    logged = not isometric and is_skewed(clipped, config.skew)
    used = np.log1p(clipped) if logged else clipped
    center, spread = center_and_spread(used)
    gain = 1 / spread if spread > 0 else 0.0
    facts = {"fill": fill, "lower": lower, "upper": upper, "logged": logged, "center": center, "gain": gain}
    numbers = {name: np.array([value], np.float64) for name, value in (facts | {"bound": config.clip}).items()}
    return Scaling(**numbers, guide=np.zeros(1), knots=np.zeros((1, KNOTS)), levels=np.zeros((1, KNOTS)))


def _empty() -> Scaling:
    shapes = {field.name: (0, KNOTS) if field.name in ("knots", "levels") else (0,) for field in fields(Scaling)}
    return Scaling(**{name: np.zeros(shape) for name, shape in shapes.items()})


def fill_value(known: np.ndarray, policy: MissingPolicy | None, default: Literal["mean", "median"]) -> float:
    """What replaces a missing value, from the known ones; 0 where a column has none and no constant is declared."""
    how = policy.fill if policy else default
    if policy and how == "constant":
        return policy.constant
    if not len(known):
        return 0.0
    if how == "mode":
        distinct, counts = np.unique(known, return_counts=True)
        return float(distinct[np.argmax(counts)])
    return float(np.mean(known) if how == "mean" else np.median(known))


def _bounds(known: np.ndarray, policy: OutlierPolicy | None) -> tuple[float, float]:
    if policy is None or policy.action != "clip" or not len(known):
        return -np.inf, np.inf
    lower, upper = np.quantile(known, [policy.quantile, 1 - policy.quantile])
    return float(lower), float(upper)
