"""Learning over buckets: a noun that fits by `partial -> merge -> finish`, and all that is kept to serve again."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef, RunContext, State
from schemas.config import Section
from schemas.execution import ExecutionConfig
from schemas.tables import Bucket
from tasks.disk.artifacts import content_of, fingerprint, load_state, produce, save_state
from tasks.disk.codec import classes_of
from tasks.execution.scheduler import Progress
from tasks.plugins.contracts import offers
from tasks.stores.buckets import Keep, Refs, contents, map_buckets, reduce_buckets

if TYPE_CHECKING:
    import polars as pl

CONTENT = "content"


@dataclass(frozen=True)
class Learner:
    """A noun that fits by `partial -> merge -> finish` over buckets: a feature family, or texts.

    What it makes of a bucket is kept under a key over the bucket's rows and all else that it depends on. Where the noun
    is `clockless` (as_of only cuts off what was not known yet), a later as_of changes no key.
    """

    noun: ModuleType
    kind: str
    config: Section
    tables: Refs
    run: RunContext
    execution: ExecutionConfig

    def keys(self, *more: Any, clockless: bool = False) -> list[str]:
        """Per bucket a fingerprint of what a result of it depends on."""
        run, config = self.run, self.config
        known = contents(self.tables, run.as_of if clockless else None)
        now = None if clockless else run.as_of
        shared = fingerprint(self.kind, config, now, run.code_version, *more)
        return [fingerprint(shared, content) for content in known]

    def learn(self, progress: Progress | None = None) -> ArtifactRef:
        """The fitted state, from kept statistics where a bucket has not changed."""
        noun, config, run = self.noun, self.config, self.run
        keys = self.keys("partial", clockless=offers("features", noun, "clockless") and noun.clockless(config))

        def partial(bucket: Bucket) -> Any:
            return noun.partial(bucket, config, run.as_of)

        def fit() -> State:
            keep = Keep(run.home, f"partial-{self.kind}", keys, classes_of(noun))
            whole = reduce_buckets(self.tables, partial, noun.merge, self.execution, keep, progress)
            return noun.finish(whole, np.random.default_rng(run.seed))

        return keep_state(run, f"state-{self.kind}", fingerprint("state", keys, run.seed), fit)

    def apply(
        self,
        name: str,
        state: ArtifactRef,
        transform: "Callable[[Bucket, State], pl.DataFrame]",
        more: tuple[Any, ...],
        progress: Progress | None,
    ) -> ArtifactRef:
        """`transform` of every bucket whose rows, state or as_of changed; the others are taken as they are."""
        keys = self.keys("transform", state.meta[CONTENT], *more)
        learned = Learned(state)

        def one(bucket: Bucket) -> "pl.DataFrame":
            return transform(bucket, learned.state)

        return map_buckets(
            self.tables,
            one,
            self.execution,
            home=self.run.home,
            kind=name,
            digest=keys,
            progress=progress,
        )


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
