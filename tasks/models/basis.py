"""How well a representation of another day covers today's data: what it does not know, sees less of, and keeps."""

from typing import Any

import numpy as np

from schemas.runs import Vectors
from schemas.tables import Bucket
from tasks.models.assemble import segmenter
from tasks.models.scored import cached_lookup
from tasks.plugins.contracts import offers
from tasks.plugins.find import block
from tasks.representation import from_state
from tasks.segments import bundle as bundles
from tasks.segments.bundle import Bundle
from tasks.selection.choose import SILENT, UNKNOWN, VARIANCE
from tasks.sequences.encoder import unknown
from tasks.stores.book import Day
from tasks.stores.buckets import count, parallel, read_bucket
from tasks.vectors.blocks import TEXT_BLOCK
from tasks.vectors.features import blocks_of


def coverage(day: Day, bundle: Bundle, fresh: Vectors) -> dict[str, float]:
    """Shares of today's data that a bundle's representation does not cover, by the names of `selection.choose`.

    Args:
        day: The run.
        bundle: The champion; the vectors of its texts are in the cache.
        fresh: Today's own vectors, whose blocks tell what could be seen.

    Returns:
        `basis.unknown.<family>.<what>`: share of today's rows that a family's state does not know (families that can
        tell have a function `unknown`); `basis.silent.<block>`: share of users of whom the kept block says nothing
        though a fresh one does; `basis.variance`: variance of today's scaled blocks that the kept axes keep, as a share
        of what as many fresh axes would.
    """
    lookup = cached_lookup(bundle, day.context.home)
    ready = segmenter(bundle, lookup=lookup, device=day.settings.execution.device)
    basis = from_state(bundle.states[bundles.REPRESENTATION])
    outputs = {kind: made.output for kind, made in fresh.features.items()}
    outputs |= {} if fresh.texts is None else {TEXT_BLOCK: fresh.texts.fitted.output}

    def one(number: int) -> "_Sums":
        bucket = read_bucket(day.tables, number)
        users, kept = ready.features(bucket, day.as_of)
        blocks = blocks_of(read_bucket(outputs, number))[1]
        scaled = np.concatenate([np.zeros((0, len(basis.mean))), *basis.scaled(kept)])
        return _Sums(
            len(users), _unknown(bundle, bucket, day), _silent(kept, blocks), scaled.sum(axis=0), scaled.T @ scaled
        )

    whole = _Sums.together(parallel(one, range(count(day.tables)), day.settings.execution))
    users = max(whole.users, 1)
    found = {f"{UNKNOWN}{name}": missing / max(of, 1.0) for name, (missing, of) in whole.unknown.items()}
    found |= {f"{SILENT}{name}": float(silent) / users for name, silent in whole.silent.items()}
    covariance = whole.products / users - np.outer(whole.total, whole.total) / users**2
    return found | {VARIANCE: basis.kept_share(covariance)}


class _Sums:
    """What one bucket, or several, add up to."""

    def __init__(
        self,
        users: int,
        unknown: dict[str, tuple[float, float]],
        silent: dict[str, int],
        total: np.ndarray,
        products: np.ndarray,
    ) -> None:
        self.users, self.unknown, self.silent, self.total, self.products = users, unknown, silent, total, products

    @classmethod
    def together(cls, parts: "list[_Sums]") -> "_Sums":
        """All parts as one."""
        first = parts[0]
        unknown: dict[str, Any] = {
            name: tuple(sum(part.unknown[name][i] for part in parts) for i in (0, 1)) for name in first.unknown
        }
        silent = {name: sum(part.silent[name] for part in parts) for name in first.silent}
        totals = (sum(part.total for part in parts), sum(part.products for part in parts))
        return cls(sum(part.users for part in parts), unknown, silent, *map(np.asarray, totals))


def _unknown(bundle: Bundle, bucket: Bucket, day: Day) -> dict[str, tuple[float, float]]:
    """Rows of the bucket that each family does not know, and how many it looked at."""
    found: dict[str, tuple[float, float]] = {}
    for family in bundle.manifest.families:
        folder, module = block(family.family)
        state, config = bundle.states[bundles.family_state(family.family)], module.Config(**family.config)
        if folder == "behaviour_encoders":
            found |= {f"{family.family}.{what}": pair for what, pair in unknown(bucket, state, day.as_of).items()}
        elif offers("features", module, "unknown") and all(name in bucket for name in module.REQUIRES):
            told = module.unknown(bucket, state, config, day.as_of)
            found |= {f"{family.family}.{what}": pair for what, pair in told.items()}
    return found


def _silent(kept: dict[str, np.ndarray], fresh: dict[str, np.ndarray]) -> dict[str, int]:
    """Block -> users of whom the kept block says nothing, though the fresh one says something."""
    return {
        name: int((np.isnan(kept[name]).all(axis=1) & ~np.isnan(fresh[name]).all(axis=1)).sum())
        for name in kept.keys() & fresh.keys()
        if len(kept[name]) == len(fresh[name]) and kept[name].shape[1] and fresh[name].shape[1]
    }
