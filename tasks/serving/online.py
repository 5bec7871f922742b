"""Answers requests with one whole model: the registered one, or the champion of the moment."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.errors import DataError, FenqunError
from schemas.tables import AS_OF, ASSIGNMENTS, CONFIDENCE, MODEL_VERSION, REASONS, STATUS, USER_ID
from tasks.disk.artifacts import fingerprint
from tasks.disk.sums import folder_sha256
from tasks.models.assemble import segmenter
from tasks.models.catalogue import Catalogue, known_first, read
from tasks.models.keep import BUNDLE, CATALOGUE, check
from tasks.segments import bundle as bundles
from tasks.segments.segmenter import UNASSIGNED, Segmenter
from tasks.serving.recommending import Shelf, shelf, wanted
from tasks.serving.requests import asked, bucket_of
from tasks.stores import pointer
from tasks.stores.tables import check as check_table
from tasks.stores.tables import rows_of
from tasks.vectors.encoder import lazy_lookup

if TYPE_CHECKING:
    import polars as pl

_LOG = logging.getLogger("fenqun.serving")
REGISTERED = "registered"
KEPT_MODELS = 2
"""The champion and the one before stay in memory, so that a rollback answers at once."""
PUBLISHED = "as published: nothing was sent but the id"
UNKNOWN = "nothing was sent but the id, which is not among the published; send events, texts or attributes"
NOWHERE = (
    "nothing was sent but the id, and nothing is published where this server looks; send events, texts or attributes"
)
NO_LISTS = "request: nothing is recommended, for nothing is live where this server looks; run `fenqun recommend`"
OTHER = "request: nothing is recommended by the model that is served, for version {} is live; serve that one"
Lookup = Callable[[list[str]], "pl.DataFrame | None"]


def nowhere(ids: list[str]) -> None:
    """No table to look ids up in."""


def unlisted() -> Shelf:
    """No lists to recommend by."""
    raise DataError(NO_LISTS)


class Loaded(NamedTuple):
    """One model, whole: what a request is answered with.

    Attributes:
        version: What answers are signed with.
        segmenter: Assigns users of whom something was sent.
        catalogue: What it needs beside them.
        published: Ids -> those of the published assignments that are theirs; None where nothing is published.
        shelf: Gives what is recommended by this model; a DataError where nothing is.
        sha256: Content of the bundle.
    """

    version: str
    segmenter: Segmenter
    catalogue: Catalogue
    published: Lookup = nowhere
    shelf: Callable[[], Shelf] = unlisted
    sha256: str = ""


def load(folder: Path, sha256: str, version: str, catalogue_sha256: str | None = None) -> Loaded:
    """A model from a folder with `bundle` and `catalogue`.

    Args:
        folder: Holds both.
        sha256: The content that the bundle has to have.
        version: The model version that answers name.
        catalogue_sha256: The content that the catalogue has to have; None: the caller has checked it.
    """
    whole = bundles.load(folder / BUNDLE, sha256)
    if catalogue_sha256 is not None and folder_sha256(folder / CATALOGUE) != catalogue_sha256:
        raise DataError(f"{folder / CATALOGUE}: was changed after the model was registered; not loaded")
    catalogue, encoder = read(folder / CATALOGUE), whole.manifest.encoder
    lookup = None if encoder is None else known_first(catalogue.known, lazy_lookup(encoder, tuned=whole.tuned))
    return Loaded(version, segmenter(whole, lookup=lookup), catalogue, sha256=sha256)


class Follower:
    """The champion of the moment: looks at the pointer at each call and swaps whole models.

    What was served last goes on serving, and the log says so, while the pointer or what it names cannot be read.

    Args:
        home: The state folder.
        segmentation: Whose champion.
        fallback: Answers while nothing is live.
    """

    def __init__(self, home: str, segmentation: str, fallback: Loaded) -> None:
        self.home, self.segmentation = home, segmentation
        self._models: dict[tuple[str, str], Loaded] = {}
        self._loading = threading.Lock()
        self._shelves = Shelves(home, segmentation)
        self.fallback = fallback._replace(
            published=lambda ids: self._published(self._live(), ids),
            shelf=lambda: self._shelves.of(self._live(), fallback.sha256),
        )
        self._last: Loaded | None = None
        self._told = ""
        self._sound = frozenset[int]()  # versions of the published assignments that are as they were published

    def current(self) -> Loaded:
        """The model that the pointer names now; loaded at its first use, and kept for a rollback.

        Raises:
            FenqunError: the pointer or what it names cannot be read, and nothing was served before.
        """
        try:
            self._last, self._told = self._now(), ""
        except (FenqunError, OSError) as error:
            if self._last is None:
                raise
            self._tell(f"{error}; version {self._last.version} goes on serving")
        return self._last

    def _now(self) -> Loaded:
        live = self._live()
        if live is None:
            return self.fallback
        key = (live.model_version, live.sha256)
        found = self._models.get(key) or self._load(key, live.bundle)
        shelf = partial(self._shelves.of, live, live.sha256)
        return found._replace(published=partial(self._published, live), shelf=shelf)

    def _live(self) -> pointer.Live | None:
        return pointer.read(self.home, self.segmentation).live

    def _published(self, live: pointer.Live | None, ids: list[str]) -> "pl.DataFrame | None":
        if live is None or ASSIGNMENTS.name not in live.tables:
            return None
        version = live.tables[ASSIGNMENTS.name]
        if version not in self._sound:  # once: a request reads a few rows, a sum all of them
            check_table(self.home, self.segmentation, ASSIGNMENTS.name, live)
            self._sound |= {version}
        return rows_of(self.home, self.segmentation, ASSIGNMENTS.name, version, {USER_ID: ids})

    def _tell(self, words: str) -> None:
        """Logs what is wrong, once until it changes: there may be a thousand requests a second."""
        if words != self._told:
            _LOG.error("%s: %s", self.segmentation, words)
            self._told = words

    def _load(self, key: tuple[str, str], place: str) -> Loaded:
        with self._loading:
            if key not in self._models:
                check(self.home, place)
                fresh = load(Path(self.home) / place, key[1], key[0])
                kept = list(self._models.items())[-(KEPT_MODELS - 1) :]
                self._models = {**dict(kept), key: fresh}  # one assignment: other threads see the old or the new
            return self._models[key]


class Shelves:
    """What is recommended by the lists of the moment; fitted when first asked for, and kept for a rollback.

    Args:
        home: The state folder.
        segmentation: Whose lists.
    """

    def __init__(self, home: str, segmentation: str) -> None:
        self.home, self.segmentation = home, segmentation
        self._fitting, self._kept = threading.Lock(), dict[str, Shelf]()

    def of(self, live: pointer.Live | None, sha256: str) -> Shelf:
        """What is recommended by a champion.

        Raises:
            DataError: nothing is live or recommended, what is kept of it is damaged, or another model answers.
        """
        if live is None:
            raise DataError(NO_LISTS)
        if live.sha256 != sha256:
            raise DataError(OTHER.format(live.model_version))
        key = fingerprint(live.model_version, live.tables, live.sums, live.made)
        with self._fitting:
            if key not in self._kept:
                fresh = shelf(self.home, self.segmentation, live)
                self._kept = {**dict(list(self._kept.items())[-(KEPT_MODELS - 1) :]), key: fresh}
            return self._kept[key]


def answer(
    model: Loaded, users: Sequence[Mapping[str, Any]], as_of: str | None, recommend: int | None = None
) -> "pl.DataFrame":
    """Assignments of raw users, one row each, in the order asked for.

    A user of whom nothing but the id was sent gets what is published, signed with its own version and moment; where
    nothing is published of them they are unassigned, and the reasons say so.

    Args:
        model: What answers.
        users: As in `requests.asked`.
        as_of: ISO text of the moment to look at; None or empty: now.
        recommend: Items that each user is recommended beside the assignment; None or 0: none.

    Raises:
        DataError: the request cannot be read, or items are asked for where nothing is recommended.
    """
    import polars as pl

    when, told = moment(as_of), asked(users)
    n = wanted(recommend, len(told))
    lists = model.shelf() if n else None  # refused before anything is computed
    alone, sent = [one.user_id for one in told if one.alone], [one for one in told if not one.alone]
    parts, recommended = [], []
    if alone:
        parts.append(by_id(model, alone, when))
        recommended += [] if lists is None else [lists.by_id(parts[-1], n)]
    if sent or not alone:
        bucket = bucket_of(sent, model.catalogue.items, model.catalogue.users, model.catalogue.ingest)
        parts.append(model.segmenter.assign(bucket, when, model.version))
        recommended += [] if lists is None else [lists.of_sent(bucket, parts[-1], when, n)]
    order = pl.DataFrame({USER_ID: [one.user_id for one in told]}, schema={USER_ID: pl.String})
    joined = order.join(pl.concat(parts), on=USER_ID, how="left", maintain_order="left")
    signed = joined.with_columns(pl.col(MODEL_VERSION).fill_null(model.version))
    return signed.join(pl.concat(recommended), on=USER_ID, how="left", maintain_order="left") if n else signed


def by_id(model: Loaded, ids: list[str], when: datetime) -> "pl.DataFrame":
    """What is published of users, and who is not known: schemas.tables.ASSIGNMENTS, in no order."""
    import polars as pl

    schema = ASSIGNMENTS.polars_schema()
    published = model.published(ids)
    known = pl.DataFrame(schema=schema) if published is None else published.select([*schema]).cast(pl.Schema(schema))
    known = known.with_columns(pl.concat_list(pl.lit([PUBLISHED]), REASONS).alias(REASONS))
    facts = {CONFIDENCE: 0.0, STATUS: UNASSIGNED, MODEL_VERSION: model.version, AS_OF: when}
    why = NOWHERE if published is None else UNKNOWN
    rest = [{USER_ID: name, REASONS: [why], **facts} for name in ids if name not in set(known[USER_ID])]
    return pl.concat([known, pl.DataFrame(rest, schema=schema)])


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
