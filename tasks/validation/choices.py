"""Names of events that a config calls a user's choice, held against those that there are."""

from collections.abc import Sequence

from schemas.errors import UsageError, listed
from schemas.tables import EVENT, EVENTS
from tasks.stores.buckets import Refs, read_frames


def check_choices(tables: Refs, choices: Sequence[str]) -> None:
    """Refuse the name of a choice that no event has.

    Raises:
        UsageError: evaluate.events names what is not there.
    """
    if not choices:
        return
    frames = read_frames(tables[EVENTS.name], (EVENT,)) if EVENTS.name in tables else iter(())
    known = sorted({str(name) for frame in frames for name in frame[EVENT].unique()})
    for name in choices:
        if name not in known:
            there = listed(name, known) if known else "the source gives no events"
            raise UsageError(f"evaluate.events: no event is named {name!r}; {there}")
