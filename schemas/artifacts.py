"""References that verbs pass to one another, and the context of a run."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

if TYPE_CHECKING:
    import numpy as np


BY_CONTENT = "by content"
"""The context in which values are serialised for a fingerprint."""


class ArtifactRef(BaseModel):
    """Points at a complete artifact on disk: a folder with a manifest.

    What a fingerprint names never changes, so two references with one fingerprint are the same data.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(description="what it holds: a table's name, 'bundle', 'report', ...")
    fingerprint: str = Field(description="sha256 (hex) of inputs, parameters and code version")
    path: str = Field(description="folder that holds the artifact")
    rows: int = Field(default=0, description="rows over all buckets")
    buckets: int = Field(default=1, description="number of bucket files")
    columns: tuple[str, ...] = Field(default=(), description="column names, in order")
    meta: dict[str, Any] = Field(default_factory=dict, description="small JSON facts, such as the range of time")

    @model_serializer(mode="wrap")
    def _by_content(self, plain: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        """For a fingerprint, within whatever holds it: what it is, not where it lies."""
        return self.fingerprint if info.context == BY_CONTENT else plain(self)


class RunContext(BaseModel):
    """What every verb of one run shares. The clock, the seed and the code version are inputs, never module state."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str = Field(description="id of the run, as logged and as in the quarantine")
    as_of: datetime = Field(description="UTC moment the run looks at; nothing after it is used")
    now: datetime = Field(description="UTC moment by the clock when the run began: what the age of data counts from")
    seed: int = Field(description="seed of every random choice of the run")
    code_version: str = Field(description="sha256 (hex) of the sources, part of every fingerprint")
    home: str = Field(description="the state folder (FENQUN_HOME)")


@dataclass(frozen=True)
class State:
    """What a noun learned, as data: named arrays and JSON facts. Never code, so that a bundle needs no pickle.

    Attributes:
        arrays: Name -> numeric array (bool, integer or float dtypes only).
        meta: JSON-serialisable facts; feature families put their output columns, in order, under `columns`.
    """

    arrays: "dict[str, np.ndarray]" = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


class Fitted(BaseModel):
    """What a fit over buckets leaves behind: the learned state, and the table it makes of every bucket."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: ArtifactRef
    output: ArtifactRef
