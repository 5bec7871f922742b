"""What a plugin of each kind must offer, and what it may: a plugin is a module, so these are protocols of modules.

`must` reads the names of a protocol; `find.plugin` refuses a module that lacks one. What a plugin may offer stands in a
protocol of its own, `May…`, and is asked for by `offers`.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from schemas.artifacts import State
from schemas.config import EvaluateConfig, Section
from schemas.evaluation import EvaluationContext, FittedClusterer
from schemas.interactions import Interactions, Items
from schemas.reports import Metric
from schemas.sequences import Sequences
from schemas.tables import Bucket
from schemas.tuning import Examples, Tuning

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    import pyarrow as pa
    import scipy.sparse as sp

Family = Literal["sources", "features", "encoders", "behaviour_encoders", "clusterers", "metrics", "recommenders"]


class Source(Protocol):
    """Where raw tables come from."""

    Config: type[Section]

    def snapshot(self, config: Any) -> dict[str, str]:
        """What identifies the data as it is now: a changed value is new data."""
        ...

    def read(self, config: Any, since: Mapping[str, str] | None = None) -> "dict[str, Iterator[pa.RecordBatch]]":
        """Table -> batches in the contract's columns, their schema marked by `Reading`."""
        ...


class MaySource(Protocol):
    """A source that can tell what is new."""

    INCREMENTAL: bool

    def grown(self, config: Any, since: Mapping[str, str]) -> bool:
        """Whether rows were only added since an earlier snapshot."""
        ...

    def look(self, config: Any) -> None:
        """Refuses, before anything runs, what cannot be read."""
        ...


@runtime_checkable
class Dated(Protocol):
    """What a source's `read` may return: batches that know of which moment they were, once they are read."""

    def snapshot(self) -> dict[str, str]:
        """What `Source.snapshot` would have said at that moment."""
        ...


class Feature(Protocol):
    """A family of features, learned over buckets and computed bucket by bucket, in training and online alike."""

    Config: type[Section]
    REQUIRES: tuple[str, ...]

    def partial(self, bucket: Bucket, config: Any, as_of: datetime) -> Any:
        """What one bucket says of the state."""
        ...

    def merge(self, a: Any, b: Any) -> Any:
        """What both say; in any order the same."""
        ...

    def finish(self, partial: Any, rng: "np.random.Generator") -> State:
        """The state of all buckets."""
        ...

    def transform(self, bucket: Bucket, state: State, config: Any, as_of: datetime) -> "pl.DataFrame":
        """The bucket's users with their features, sorted by user_id."""
        ...


class MayFeature(Protocol):
    """A family that says more of itself."""

    def clockless(self, config: Any) -> bool:
        """Whether a later `as_of` changes nothing where nothing new became known."""
        ...

    def unknown(self, bucket: Bucket, state: State, config: Any, as_of: datetime) -> dict[str, tuple[float, float]]:
        """What of the bucket the state does not know, by kind: (how much, of how much)."""
        ...


class Encoder(Protocol):
    """A model that turns texts into vectors."""

    Config: type[Section]

    def load(self, config: Any, device: str = "auto") -> Any:
        """The encoder: `encode`, `encode_batches`, `dim` and `fingerprint`."""
        ...


class MayEncoder(Protocol):
    """An encoder whose files can be recognised without loading it, or whose model can be tuned."""

    def stamp(self, config: Any, device: str) -> str:
        """Changes where anything that decides its vectors does."""
        ...

    def tune(
        self, config: Any, examples: Examples, seed: int, device: str = "auto", progress: Any = None
    ) -> "tuple[dict[str, np.ndarray], Tuning]":
        """Weights tuned as the config's `tune` says, none where they are not better; and what came of it."""
        ...

    def tuned(self, config: Any, device: str, arrays: "Mapping[str, np.ndarray] | None") -> Any:
        """The encoder with tuned weights; its fingerprint is `tuned_fingerprint` of theirs."""
        ...


class BehaviourEncoder(Protocol):
    """A model that learns from what users did, in order, and turns each user into a vector."""

    Config: type[Section]

    def fit(
        self,
        sequences: Iterable[Sequences],
        items: Items,
        config: Any,
        rng: "np.random.Generator",
        device: str = "cpu",
        *,
        init: "Mapping[str, np.ndarray] | None" = None,
        progress: Any = None,
    ) -> Any:
        """Trains on streamed buckets of users; init are the arrays of another, whose items are the first of these, or
        which is left aside where it does not fit (`warm` tells).

        What comes back has `encode(sequences, new=None) -> (n, d) float32` and `arrays()`; `progress` hears
        (done, of), and where it also has `load` and `save`, keeps what a training that was killed goes on from.
        """
        ...

    def from_arrays(self, arrays: "Mapping[str, np.ndarray]", config: Any) -> Any:
        """What `arrays()` of a fitted one gave, as a fitted one that can encode."""
        ...


class Clusterer(Protocol):
    """An algorithm that finds groups of vectors."""

    Config: type[Section]

    def fit(
        self,
        X: "np.ndarray",
        config: Any,
        rng: "np.random.Generator",
        *,
        init: "np.ndarray | None" = None,
        y: "np.ndarray | None" = None,
        graph: "sp.csr_matrix | None" = None,
    ) -> FittedClusterer:
        """Fits (n, d) float32 vectors; init are centroids to start from, y labels, graph ties."""
        ...

    def from_arrays(self, arrays: "dict[str, np.ndarray]", config: Any) -> FittedClusterer:
        """What `arrays()` of a fitted one gave, as a fitted one that can assign."""
        ...


class MetricOf(Protocol):
    """A figure of a candidate."""

    def compute(self, context: EvaluationContext, config: EvaluateConfig) -> Metric:
        """The figure, or why it is missing."""
        ...


class Recommender(Protocol):
    """A way to recommend items to users."""

    Config: type[Section]

    def fit(
        self,
        interactions: Interactions,
        items: Items | None,
        assignments: "np.ndarray",
        config: Any,
        rng: "np.random.Generator",
    ) -> Any:
        """Fits histories, what is known of the items, and (n,) segments.

        What comes back recommends to the same users, and by `of` to others: see `tasks/recommenders/_fitted.py`.
        """
        ...


class MayRecommender(Protocol):
    """A recommender that knows items by what they are."""

    def unchosen(self, items: Items, config: Any) -> "np.ndarray":
        """(items,) bool: what it ranks though nobody has chosen it."""
        ...


MUST: dict[Family, type] = {
    "sources": Source,
    "features": Feature,
    "encoders": Encoder,
    "behaviour_encoders": BehaviourEncoder,
    "clusterers": Clusterer,
    "metrics": MetricOf,
    "recommenders": Recommender,
}
MAY: dict[Family, type] = {
    "sources": MaySource,
    "features": MayFeature,
    "encoders": MayEncoder,
    "recommenders": MayRecommender,
}


def names(protocol: type) -> frozenset[str]:
    """What a protocol names, without what Python adds."""
    said = {*protocol.__annotations__, *(name for name, value in vars(protocol).items() if callable(value))}
    return frozenset(name for name in said if not name.startswith("_"))


def lacking(family: Family, kind: str, module: ModuleType) -> list[str]:
    """What a plugin's module must offer and does not, sorted; a `Config` whose kind is another one counts too."""
    wanted = names(MUST[family])
    missing = sorted(name for name in wanted if not hasattr(module, name))
    if "Config" in wanted - {*missing}:
        field = module.Config.model_fields.get("kind")
        missing += [] if field is not None and field.default == kind else [f"Config.kind = {kind!r}"]
    return missing


def offers(family: Family, module: ModuleType, name: str) -> bool:
    """Whether a plugin offers something that it may; a name that no plugin of the family may offer is a mistake."""
    assert name in names(MAY[family]), f"{name} stands in no contract of {family}"
    return bool(getattr(module, name, False))
