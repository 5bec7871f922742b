"""Small registered models, made in a second from the real plugins: for the registry, the pointer and serving."""

from pathlib import Path

import numpy as np
import polars as pl

from schemas.artifacts import ArtifactRef, RunContext, State
from schemas.config import IngestConfig, LedgerConfig
from schemas.reports import SegmentProfile
from schemas.runs import Decided, Registered, Standing
from schemas.tables import PUBLISHED
from tasks.disk.artifacts import write_parquet
from tasks.models import assemble, today
from tasks.models.keep import keep, model_files
from tasks.registry import promotion, published
from tasks.segments.bundle import Bundle
from tasks.serving.requests import EXAMPLE
from tasks.stores import pointer, tables
from tasks.stores.ledger import Ledger
from tasks.vectors import encoder
from tests.helpers import fitted_bundles
from tests.helpers.days import a_day

AS_OF = fitted_bundles.AS_OF
NAME = "demo"


def fitted() -> tuple[Bundle, dict[str, pl.DataFrame]]:
    """A bundle of three planted kinds of users, and the users."""
    made, bucket, _ = fitted_bundles.fitted()
    return made, bucket


def renamed(bundle: Bundle, suffix: str) -> Bundle:
    """The same model under other segment names: other content, so another version."""
    segments = tuple(s.model_copy(update={"name": f"{s.name}{suffix}"}) for s in bundle.manifest.segments)
    return Bundle(bundle.manifest.model_copy(update={"segments": segments}), bundle.states)


def turned(bundle: Bundle) -> Bundle:
    """The same model whose segments have other ids, so that every answer differs."""
    names = [f"s{int(s.id[1:]) + 3:03d}" for s in bundle.manifest.segments]
    segments = tuple(s.model_copy(update={"id": name}) for s, name in zip(bundle.manifest.segments, names, strict=True))
    manifest = bundle.manifest.model_copy(update={"segments": segments, "next_number": 7})
    return Bundle(manifest, bundle.states)


def shifted(bundle: Bundle, by: float = 0.05) -> Bundle:
    """The same segments with their centroids moved a little: every distance differs, next to nobody moves."""
    state = bundle.states["clusterer"]
    moved = State({**state.arrays, "centroids": state.arrays["centroids"] + np.float32(by)}, state.meta)
    return Bundle(bundle.manifest, {**bundle.states, "clusterer": moved})


def context(home: Path, run_id: str = "run") -> RunContext:
    return RunContext(run_id=run_id, as_of=AS_OF, now=AS_OF, seed=1, code_version="0" * 64, home=str(home))


def table(home: Path, name: str, frame: pl.DataFrame) -> ArtifactRef:
    place = home / "artifacts" / "test" / name
    write_parquet(place / "bucket-0000.parquet", frame)
    return ArtifactRef(kind=name, fingerprint=name, path=str(place), rows=len(frame), columns=tuple(frame.columns))


def tables_of(home: Path, bucket: dict[str, pl.DataFrame]) -> dict[str, ArtifactRef]:
    """References to users' tables, put into a state folder."""
    return {name: table(home, name, frame) for name, frame in bucket.items()}


def lookup(bundle: Bundle):
    return encoder.lazy_lookup(bundle.manifest.encoder, "cpu")


def registered(
    home: Path, bundle: Bundle, bucket: dict[str, pl.DataFrame], born: tuple[str, ...] = ()
) -> tuple[Registered, Ledger]:
    """A registered version of a bundle, with its assignments, as `register` leaves it."""
    ledger = Ledger(LedgerConfig(), str(home), NAME)
    run_id = ledger.start("test", {}, {})
    kept, sha256 = keep(bundle, tables_of(home, bucket), lookup(bundle), context(home), IngestConfig())
    version = ledger.register(run_id, model_files(kept), sha256, "a test", EXAMPLE, born)
    told = assemble.segmenter(bundle, device="cpu").assign(bucket, AS_OF, version)
    ref = table(home, f"assignments-{version}", told)
    model = Registered(version=version, bundle=kept, sha256=sha256, assignments=ref, born=born, new=True)
    (home / f"registered-{version}.json").write_text(model.model_dump_json())
    return model, ledger


def two(home: Path) -> tuple[tuple[Registered, Registered], dict[str, pl.DataFrame], Ledger]:
    """Two registered versions, of which the second moves everybody; the users' tables, and the ledger."""
    bundle, bucket = fitted()
    first, ledger = registered(home, bundle, bucket)
    second, _ = registered(home, shifted(turned(bundle)), bucket)
    return (first, second), bucket, ledger


def recalled(home: Path, version: str) -> tuple[Registered, Ledger]:
    """What `registered` left behind, for another process."""
    model = Registered.model_validate_json((home / f"registered-{version}.json").read_text())
    return model, Ledger(LedgerConfig(), str(home), NAME)


def promoted(home: Path, version: str) -> pointer.Pointer:
    """Promotes what `registered` left behind."""
    return promote(home, recalled(home, version)[0])


def promote(home: Path, model: Registered, revision: int | None = None, aside: ArtifactRef | None = None):
    """Promotes a version as the flow does: the tables that would be published first, then the pointer."""
    now = pointer.read(str(home), NAME)
    day = a_day(home, {}, AS_OF, name=NAME, revision=now.revision if revision is None else revision, aside=aside)
    before = None if now.live is None else as_live(home, now.live)
    return promotion.promote(day, model, published.publication(day, model, profiles(model), before))


def as_live(home: Path, live: pointer.Live) -> Standing:
    """What is live, as far as the tables to be published depend on it."""
    known = today.as_published(a_day(home, {}, AS_OF, name=NAME), live)
    return Standing(
        version=live.model_version, bundle=live.bundle, users=live.users, as_of=live.as_of, algorithm={}, ids=(),
        names=(), next_number=1, published=known, placed={},
    )  # fmt: skip


def rolled_back(home: Path) -> Decided:
    now = pointer.read(str(home), NAME).revision
    return promotion.roll_back(now, "ann", "it was worse", str(home), Ledger(LedgerConfig(), str(home), NAME))


def profiles(model: Registered) -> tuple[SegmentProfile, ...]:
    sizes = pl.read_parquet(f"{model.assignments.path}/bucket-0000.parquet")["segment_id"].drop_nulls().value_counts()
    users = model.assignments.rows
    return tuple(
        SegmentProfile(segment_id=name, name=name, size=n, share=n / users)
        for name, n in sizes.sort("segment_id").rows()
    )


def make_live(shop, which: int) -> pointer.Pointer:
    """Promotes one of the two versions of the fixture `shop`."""
    home, versions, *_ = shop
    return promote(home, versions[which])


def seen(home: Path) -> dict[str, list]:
    """Everything that readers see of the published tables."""
    names = PUBLISHED.keys() & pointer.read(str(home), NAME).live.tables.keys()
    return {name: tables.published(str(home), NAME, name).to_dicts() for name in sorted(names)}
