"""Learning over buckets: a noun that fits by `partial -> merge -> finish`, and all that is kept to serve again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef, RunContext, State
from schemas.config import ExecutionConfig, Section
from schemas.tables import EVENTS, SEQUENCE, TEXTS, TIMESTAMP, USER_ID, Bucket
from tasks.serving.progress import Progress
from tasks.stores.artifacts import content_of, fingerprint, load_state, produce, save_state
from tasks.stores.buckets import Keep, Refs, contents, map_buckets, reduce_buckets
from tasks.stores.codec import classes_of

if TYPE_CHECKING:
    import polars as pl

CONTENT = "content"


def sliced(bucket: Bucket, high: float, as_of: datetime) -> Bucket:
    """The bucket with only the first `high` share of each user's own events and texts up to `as_of`, by time."""
    from tasks.features._common import until
    from tasks.metrics._split import slice_events

    if high >= 1:
        return bucket
    names = [name for name in (EVENTS.name, TEXTS.name) if name in bucket]
    cut = {name: slice_events(until(bucket[name], as_of), 0.0, high) for name in names}
    if EVENTS.name in cut:  # the families count on this order, which ingest guarantees
        cut[EVENTS.name] = cut[EVENTS.name].sort(USER_ID, TIMESTAMP, SEQUENCE)
    return {**bucket, **cut}


@dataclass(frozen=True)
class Learner:
    """A noun that fits by `partial -> merge -> finish` over the buckets of one slice: a feature family, or texts.

    What it makes of a bucket is kept under a key over the bucket's rows and all else that it depends on. Where the noun
    is `clockless` (as_of only cuts off what was not known yet), a later as_of changes no key.
    """

    noun: ModuleType
    kind: str
    config: Section
    tables: Refs
    run: RunContext
    high: float
    execution: ExecutionConfig

    def keys(self, *more: Any, clockless: bool = False) -> list[str]:
        """Per bucket a fingerprint of what a result of it depends on."""
        run, config = self.run, self.config
        known = contents(self.tables, run.as_of if clockless else None)
        now = None if clockless else run.as_of
        shared = fingerprint(self.kind, config, self.high, now, run.code_version, *more)
        return [fingerprint(shared, content) for content in known]

    def learn(self, progress: Progress | None = None) -> ArtifactRef:
        """The fitted state, from kept statistics where a bucket has not changed."""
        noun, config, run, high = self.noun, self.config, self.run, self.high
        keys = self.keys("partial", clockless=noun.clockless(config) if hasattr(noun, "clockless") else False)

        def partial(bucket: Bucket) -> Any:
            return noun.partial(sliced(bucket, high, run.as_of), config, run.as_of)

        def fit() -> State:
            keep = Keep(run.home, f"partial-{self.kind}", keys, classes_of(noun))
            whole = reduce_buckets(self.tables, partial, noun.merge, self.execution, keep, progress)
            return noun.finish(whole, np.random.default_rng(run.seed))

        return keep_state(run, f"state-{self.kind}", fingerprint("state", keys, run.seed), fit)

    def apply(
        self, name: str, state: ArtifactRef, transform: "Callable[[Bucket, State], pl.DataFrame]",
        more: tuple[Any, ...],
        progress: Progress | None,
    ) -> ArtifactRef:  # fmt: skip
        """`transform` of every bucket whose rows, state or as_of changed; the others are taken as they are."""
        keys = self.keys("transform", state.meta[CONTENT], *more)
        learned, high, as_of = Learned(state), self.high, self.run.as_of

        def one(bucket: Bucket) -> "pl.DataFrame":
            return transform(sliced(bucket, high, as_of), learned.state)

        return map_buckets(
            self.tables, one, self.execution,
            home=self.run.home, kind=name, digest=fingerprint(name, keys), keys=keys, progress=progress,
        )  # fmt: skip


@dataclass(frozen=True)
class Learned:
    """A fitted state that travels to workers as its path and is read there."""

    ref: ArtifactRef

    @cached_property
    def state(self) -> State:
        """The state; read once here, and once in each place that it travels to."""
        return load_state(self.ref)

    def __reduce__(self) -> tuple[Any, ...]:
        return Learned, (self.ref,)


def keep_state(run: RunContext, kind: str, digest: str, fit: Callable[[], State]) -> ArtifactRef:
    """The fitted state as an artifact, fitted only where it is not there yet."""

    def write(place: Path) -> dict[str, Any]:
        save_state(place, fit())
        return {"meta": {CONTENT: content_of(place)}}

    return produce(run.home, kind, digest, write)
