"""A registered version of another day, fetched from the ledger and put on today's data."""

from collections.abc import Mapping
from pathlib import Path

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import ExecutionConfig
from schemas.reports import SegmentProfile
from schemas.runs import Recalled, Registered, Standing
from schemas.tables import SEGMENT_ID
from tasks.segments import bundle as bundles
from tasks.serving.fetching import fetch, recorded_profiles
from tasks.serving.keeping import BUNDLE
from tasks.serving.revisiting import on_today
from tasks.stores.buckets import read_frames
from tasks.stores.ledger import BORN_TAG, Ledger


def recall(
    version: str, tables: Mapping[str, ArtifactRef], run: RunContext, execution: ExecutionConfig, ledger: Ledger
) -> Recalled:
    """A version, its assignments of today's users and its segments with today's sizes.

    Args:
        version: Number of the registered version.
        tables: Today's input tables.
        run: Gives as_of and the state folder.
        execution: Where the work runs.
        ledger: The segmentation's ledger.

    Raises:
        UsageError: there is no such version.
        DataError: it is not as it was registered.
    """
    kept, sha256 = fetch(version, run, ledger)
    bundle = bundles.load(Path(kept.path) / BUNDLE, sha256)
    folder = str(Path(kept.path).relative_to(run.home))
    standing = on_today(bundle, version, folder, 0, tables, run, execution)
    born = tuple(ledger.version(version).tags.get(BORN_TAG, "").split())
    model = Registered(
        version=version, bundle=kept, sha256=sha256, born=born, assignments=standing.assignments, new=False
    )
    return Recalled(model=model, standing=standing, profiles=sized(recorded_profiles(version, ledger), standing))


def sized(profiles: tuple[SegmentProfile, ...], standing: Standing) -> tuple[SegmentProfile, ...]:
    """Profiles as they were recorded, with the sizes of today."""
    sizes: dict[str, int] = {}
    for frame in read_frames(standing.assignments):
        for name, n in frame[SEGMENT_ID].drop_nulls().value_counts().iter_rows():
            sizes[name] = sizes.get(name, 0) + n
    users = max(standing.assignments.rows, 1)
    return tuple(
        p.model_copy(update={"size": sizes.get(p.segment_id, 0), "share": sizes.get(p.segment_id, 0) / users})
        for p in profiles
    )
