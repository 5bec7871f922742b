"""Answers requests with one whole model: the registered one, or the champion of the moment."""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.errors import DataError
from schemas.tables import AS_OF, MODEL_VERSION, USER_ID
from tasks.segments import bundle as bundles
from tasks.segments.segmenter import Segmenter
from tasks.serving.catalogue import Catalogue, known_first, read
from tasks.serving.compose import lazy_lookup, segmenter
from tasks.serving.keeping import BUNDLE, CATALOGUE
from tasks.serving.requests import bucket_of
from tasks.stores import pointer
from tasks.stores.sums import folder_sha256

if TYPE_CHECKING:
    import polars as pl

REGISTERED = "registered"
KEPT_MODELS = 2
"""The champion and the one before stay in memory, so that a rollback answers at once."""


class Loaded(NamedTuple):
    """One model, whole: what a request is answered with."""

    version: str
    segmenter: Segmenter
    catalogue: Catalogue


def load(folder: Path, sha256: str, version: str, catalogue_sha256: str | None = None) -> Loaded:
    """A model from a folder with `bundle` and `catalogue`.

    Args:
        folder: Holds both.
        sha256: The content that the bundle has to have.
        version: The model version that answers name.
        catalogue_sha256: The content that the catalogue has to have; None: it lies in our own state folder.
    """
    whole = bundles.load(folder / BUNDLE, sha256)
    if catalogue_sha256 is not None and folder_sha256(folder / CATALOGUE) != catalogue_sha256:
        raise DataError(f"{folder / CATALOGUE}: was changed after the model was registered; not loaded")
    catalogue, encoder = read(folder / CATALOGUE), whole.manifest.encoder
    lookup = None if encoder is None else known_first(catalogue.known, lazy_lookup(encoder))
    return Loaded(version, segmenter(whole, lookup=lookup), catalogue)


class Follower:
    """The champion of the moment: looks at the pointer at each call and swaps whole models.

    Args:
        home: The state folder.
        segmentation: Whose champion.
        fallback: Answers while nothing is live.
    """

    def __init__(self, home: str, segmentation: str, fallback: Loaded) -> None:
        self.home, self.segmentation, self.fallback = home, segmentation, fallback
        self._models: dict[tuple[str, str], Loaded] = {}
        self._loading = threading.Lock()

    def current(self) -> Loaded:
        """The model that the pointer names now; loaded at its first use, and kept for a rollback."""
        live = pointer.read(self.home, self.segmentation).live
        if live is None:
            return self.fallback
        key = (live.model_version, live.sha256)
        found = self._models.get(key)
        return found or self._load(key, Path(self.home) / live.bundle)

    def _load(self, key: tuple[str, str], folder: Path) -> Loaded:
        with self._loading:
            if key not in self._models:
                fresh = load(folder, key[1], key[0])
                kept = list(self._models.items())[-(KEPT_MODELS - 1) :]
                self._models = {**dict(kept), key: fresh}  # one assignment: other threads see the old or the new
            return self._models[key]


def answer(model: Loaded, users: Sequence[Mapping[str, Any]], as_of: str | None) -> "pl.DataFrame":
    """Assignments of raw users, one row each, in the order asked for.

    Args:
        model: What answers.
        users: As in `requests.bucket_of`.
        as_of: ISO text of the moment to look at; None or empty: now.

    Raises:
        DataError: the request cannot be read.
    """
    import polars as pl

    bucket = bucket_of(users, model.catalogue.items, model.catalogue.users)
    found = model.segmenter.assign(bucket, moment(as_of), model.version)
    order = pl.DataFrame({USER_ID: [user[USER_ID] for user in users]}, schema={USER_ID: pl.String})
    joined = order.join(found, on=USER_ID, how="left", maintain_order="left")
    return joined.with_columns(pl.col(MODEL_VERSION).fill_null(model.version))


def plain(answer: "pl.DataFrame") -> dict[str, list[Any]]:
    """Columns as plain values that JSON knows: times as ISO text."""
    import polars as pl

    return answer.with_columns(pl.col(AS_OF).dt.to_string("iso:strict")).to_dict(as_series=False)


def moment(text: str | None) -> datetime:
    """The moment of a request: ISO text, UTC where it names no zone; now where there is none."""
    if not text:
        return datetime.now(UTC)
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"request: as_of has to be ISO text, such as 2026-01-31T00:00Z, not {text[:40]!r}") from error
    return told if told.tzinfo else told.replace(tzinfo=UTC)
