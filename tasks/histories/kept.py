"""What recommenders were fitted on, kept beside the lists that they made: so that online, too, the same fit answers.

It holds users' histories, as arrays and JSON alone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef, State
from schemas.errors import DataError
from schemas.interactions import Chosen, Interactions, Items
from schemas.recommended import Basis, Terms
from tasks.disk.artifacts import at, fingerprint, load_state, produce, save_state
from tasks.stores import pointer

if TYPE_CHECKING:
    import scipy.sparse as sp

BASIS = "recommender_basis"
"""The artifact's kind, and its name among those that a champion's tables were published from."""
_USERS, _ITEMS, _TERMS, _KNOWN, _CATEGORIES = "users", "items", "terms", "known", "categories"
_LABELS, _MOMENT, _COUNTS, _NEWEST, _VECTORS = "labels", "moment", "counts", "newest", "vectors"
_PARTS = ("data", "indices", "indptr")


def keep(home: str, basis: Basis, digest: str) -> ArtifactRef:
    """The artifact of a basis.

    Args:
        home: The state folder.
        basis: What a recommender was fitted on.
        digest: Fingerprint of all that it was made from.
    """

    def write(place: Path) -> dict[str, Any]:
        save_state(place, _state(basis))
        return {"rows": len(basis.chosen.users)}

    return produce(home, BASIS, fingerprint(BASIS, digest), write)


def check(home: str, segmentation: str, live: pointer.Live) -> ArtifactRef:
    """The kept basis of a champion's lists.

    Raises:
        DataError: none is kept, or it is damaged.
    """
    if BASIS not in live.made:
        told = f"{segmentation}: of the lists of version {live.model_version} nothing is kept to recommend by online"
        raise DataError(f"{told}; run `fenqun recommend`")
    ref = at(home, live.made[BASIS])
    if ref is None:
        place = Path(home) / live.made[BASIS]
        raise DataError(f"{place}: is damaged and is not read; run `fenqun doctor --repair`, then `fenqun recommend`")
    return ref


def read_live(home: str, segmentation: str, live: pointer.Live) -> Basis:
    """The basis of a champion's lists, once it is what was kept.

    Raises:
        DataError: none is kept, it is damaged, or it is of another model.
    """
    basis = _basis(load_state(check(home, segmentation, live)))
    if (other := basis.terms.model_version) != live.model_version:
        whose = f"the recommender is of version {other}, but version {live.model_version} is live"
        raise DataError(f"{segmentation}: {whose}; run `fenqun recommend`")
    return basis


def _state(basis: Basis) -> State:
    chosen, items = basis.chosen, basis.items
    arrays = {_LABELS: chosen.labels, **_arrays(_COUNTS, chosen.interactions.counts)}
    arrays |= {_NEWEST: chosen.interactions.newest.data}
    meta: dict[str, Any] = {
        _USERS: chosen.users.to_list(),
        _ITEMS: chosen.items.to_list(),
        _MOMENT: chosen.interactions.moment,
        _TERMS: basis.terms.model_dump(mode="json"),
        _KNOWN: items is not None,
    }
    if items is not None and items.vectors is not None:
        arrays[_VECTORS] = items.vectors
    if items is not None and items.categories is not None:
        arrays |= _arrays(_CATEGORIES, items.categories)
        meta[_CATEGORIES] = items.categories.shape[1]
    return State(arrays, meta)


def _basis(state: State) -> Basis:
    import polars as pl

    arrays, meta = state.arrays, state.meta
    users, ids = (pl.Series(name, meta[name], dtype=pl.String) for name in (_USERS, _ITEMS))
    counts = _matrix(arrays, _COUNTS, len(ids))
    newest = _matrix({**arrays, f"{_COUNTS}.data": arrays[_NEWEST]}, _COUNTS, len(ids))
    categories = _matrix(arrays, _CATEGORIES, meta[_CATEGORIES]) if _CATEGORIES in meta else None
    return Basis(
        Chosen(users, ids, Interactions(counts, newest, meta[_MOMENT]), arrays[_LABELS]),
        Items(ids.to_numpy(), arrays.get(_VECTORS), categories) if meta[_KNOWN] else None,
        Terms.model_validate(meta[_TERMS]),
    )


def _arrays(name: str, matrix: "sp.csr_matrix") -> dict[str, np.ndarray]:
    return {f"{name}.{part}": getattr(matrix, part) for part in _PARTS}


def _matrix(arrays: Mapping[str, np.ndarray], name: str, width: int) -> "sp.csr_matrix":
    import scipy.sparse as sp

    data, indices, indptr = (arrays[f"{name}.{part}"] for part in _PARTS)
    return sp.csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, width))
