"""A registered version of another day, fetched from the ledger and put on today's data."""

from pathlib import Path

from schemas.reports import SegmentProfile
from schemas.runs import Recalled, Registered, Standing
from schemas.tables import SEGMENT_ID
from tasks.models.fetch import fetch, recorded_profiles
from tasks.models.keep import BUNDLE
from tasks.models.today import colours_of, on_today
from tasks.segments import bundle as bundles
from tasks.segments.colours import colours
from tasks.stores import pointer
from tasks.stores.book import Day
from tasks.stores.buckets import read_frames
from tasks.stores.ledger import BORN_TAG


def recall(day: Day, version: str) -> Recalled:
    """A version, its assignments of today's users and its segments with today's sizes.

    Args:
        day: The run.
        version: Number of the registered version.

    Raises:
        UsageError: there is no such version.
        DataError: it is not as it was registered.
    """
    run, ledger = day.context, day.ledger
    kept, sha256 = fetch(version, run, ledger)
    bundle = bundles.load(Path(kept.path) / BUNDLE, sha256)
    standing = on_today(day, bundle, version, str(Path(kept.path).relative_to(run.home)))
    born = tuple(ledger.version(version).tags.get(BORN_TAG, "").split())
    assignments = standing.placed["all"].assignments
    model = Registered(version=version, bundle=kept, sha256=sha256, born=born, assignments=assignments, new=False)
    profiles = coloured(day, sized(recorded_profiles(version, ledger), standing))
    return Recalled(model=model, standing=standing, profiles=profiles)


def coloured(day: Day, profiles: tuple[SegmentProfile, ...]) -> tuple[SegmentProfile, ...]:
    """Profiles with the colours that readers know their segments by, or that were recorded with them."""
    live = pointer.read(day.context.home, day.name).live
    known = {p.segment_id: p.colour for p in profiles if p.colour} | ({} if live is None else colours_of(day, live))
    own = colours([p.segment_id for p in profiles], known)
    return tuple(p.model_copy(update={"colour": own[p.segment_id]}) for p in profiles)


def sized(profiles: tuple[SegmentProfile, ...], standing: Standing) -> tuple[SegmentProfile, ...]:
    """Profiles as they were recorded, with the sizes of today."""
    assignments = standing.placed["all"].assignments
    sizes: dict[str, int] = {}
    for frame in read_frames(assignments):
        for name, n in frame[SEGMENT_ID].drop_nulls().value_counts().iter_rows():
            sizes[name] = sizes.get(name, 0) + n
    users = max(assignments.rows, 1)
    return tuple(
        p.model_copy(update={"size": sizes.get(p.segment_id, 0), "share": sizes.get(p.segment_id, 0) / users})
        for p in profiles
    )
