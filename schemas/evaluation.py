"""What clusterers return and metrics look at, as plain arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from schemas.interactions import Interactions

if TYPE_CHECKING:
    import numpy as np
    import scipy.sparse as sp


class Assignment(NamedTuple):
    """Where each of n rows belongs.

    Attributes:
        labels: (n,) int32, −1 where no segment fits.
        distance: (n,) float64 to the assigned segment (to the nearest one for noise), in the clusterer's space.
        second: (n,) int32, the next best label; −1 where there is none.
    """

    labels: "np.ndarray"
    distance: "np.ndarray"
    second: "np.ndarray"


class FittedClusterer(Protocol):
    """A fitted clusterer. `labels` align with the rows it was fitted on."""

    labels: "np.ndarray"
    extras: dict[str, Any]

    def assign(self, X: "np.ndarray") -> Assignment:
        """Assign (n, d) rows; training and serving both call this."""
        ...

    def arrays(self) -> "dict[str, np.ndarray]":
        """Everything `from_arrays` needs, as numeric arrays."""
        ...


@dataclass(frozen=True)
class HeldOut:
    """Train and test interactions of the users, aligned with the rows of the vectors.

    Attributes:
        train: Histories of the users over the items, up to the cut.
        test: (n, items) CSR, 1 where the user's test slice holds the item.
        items: (items,) ids of the columns; None: not told.
    """

    train: Interactions
    test: "sp.csr_matrix"
    items: "np.ndarray | None" = None


@dataclass(frozen=True)
class EvaluationContext:
    """What `compute` of a metric may look at.

    Attributes:
        X: (n, d) float32 user vectors.
        labels: (n,) int32, −1 for noise.
        space: "cosine" or "euclidean", the space the clusterer worked in.
        seed: seed of every random choice.
        refit: refits the candidate on the given rows with a seed and returns labels for all rows of X; None: no refits.
        heldout: interactions for held-out lift; None where there are no events.
        heldout_labels: Labels of the candidate fitted on the train slice only, (n,) or (seeds, n).
        truth: (n,) known labels, −1 unknown; None where none are given.
        fits: (s, n) labels of all fits that the algorithm made from other seeds; None: it makes one.
    """

    X: "np.ndarray"
    labels: "np.ndarray"
    space: str
    seed: int
    refit: "Callable[[np.ndarray, int], np.ndarray] | None" = None
    heldout: HeldOut | None = None
    heldout_labels: "np.ndarray | None" = None
    truth: "np.ndarray | None" = None
    fits: "np.ndarray | None" = None
