"""A run as one value: what it was asked for, where it writes, and, once ingest is done, what it looks at."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from schemas.artifacts import ArtifactRef, RunContext
from schemas.errors import DataError
from schemas.runs import Landed
from schemas.settings import Settings
from tasks.stores import pointer
from tasks.stores.ledger import Ledger


@dataclass(frozen=True)
class Book:
    """A run that was opened.

    Attributes:
        settings: Everything that it depends on.
        context: Its id, its moment, the clock, seed, code version and state folder.
        ledger: Where it is written down.
        revision: The pointer's revision when the run began; another change since then wins.
    """

    settings: Settings
    context: RunContext
    ledger: Ledger
    revision: int

    @property
    def name(self) -> str:
        """The segmentation."""
        return self.settings.segmentation


@dataclass(frozen=True)
class Day(Book):
    """A run with the tables that it looks at, as of one moment.

    Attributes:
        landed: Input tables, what was set aside, and the account of every row.
    """

    landed: Landed

    @property
    def tables(self) -> Mapping[str, ArtifactRef]:
        """Input tables by name."""
        return self.landed.tables

    @property
    def as_of(self) -> datetime:
        """UTC moment that is looked at."""
        return self.context.as_of


def at(day: Day, moment: datetime) -> Day:
    """The run as of an earlier moment: whatever comes later is nobody's history."""
    return replace(day, context=day.context.model_copy(update={"as_of": moment}))


def day(book: Book, landed: Landed) -> Day:
    """The run as it goes on once its tables have landed, which settles the moment that it looks at.

    Raises:
        DataError: the newest event is older than what readers have, and nobody asked for an earlier moment.
    """
    live = pointer.read(book.context.home, book.name).live
    if book.settings.as_of is None and live is not None and landed.as_of < live.as_of:
        raise DataError(
            f"{book.name}: the newest event is of {landed.as_of:%Y-%m-%d %H:%M:%S}, but what is live looked at "
            f"{live.as_of:%Y-%m-%d %H:%M:%S}: later events are gone from the source. Bring them back, or ask for an "
            "earlier moment with as_of"
        )
    context = book.context.model_copy(update={"as_of": landed.as_of})
    return Day(book.settings, context, book.ledger, book.revision, landed)
