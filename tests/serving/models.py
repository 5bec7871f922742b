"""Small registered models, made in a second from the real plugins: for the registry, the pointer and serving."""

from pathlib import Path

import numpy as np
import polars as pl

from schemas.artifacts import ArtifactRef, RunContext, State
from schemas.config import LedgerConfig
from schemas.reports import SegmentProfile
from schemas.runs import Decided, Registered
from tasks.segments.bundle import Bundle
from tasks.serving import compose, promoting
from tasks.serving.keeping import keep, model_files
from tasks.serving.requests import EXAMPLE
from tasks.stores import pointer
from tasks.stores.artifacts import write_parquet
from tasks.stores.ledger import Ledger
from tests.serving import test_compose as small

AS_OF = small.AS_OF
NAME = "demo"


def fitted() -> tuple[Bundle, dict[str, pl.DataFrame]]:
    """A bundle of three planted kinds of users, and the users."""
    made, bucket, _ = small.fitted.__wrapped__()
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
    return RunContext(run_id=run_id, as_of=AS_OF, seed=1, code_version="0" * 64, home=str(home))


def table(home: Path, name: str, frame: pl.DataFrame) -> ArtifactRef:
    place = home / "artifacts" / "test" / name
    write_parquet(place / "bucket-0000.parquet", frame)
    return ArtifactRef(kind=name, fingerprint=name, path=str(place), rows=len(frame), columns=tuple(frame.columns))


def lookup(bundle: Bundle):
    return compose.lazy_lookup(bundle.manifest.encoder, "cpu")


def registered(
    home: Path, bundle: Bundle, bucket: dict[str, pl.DataFrame], born: tuple[str, ...] = ()
) -> tuple[Registered, Ledger]:
    """A registered version of a bundle, with its assignments, as `register` leaves it."""
    ledger = Ledger(LedgerConfig(), str(home), NAME)
    run_id = ledger.start("test", {}, {})
    tables = {name: table(home, name, frame) for name, frame in bucket.items()}
    kept, sha256 = keep(bundle, tables, lookup(bundle), context(home))
    version = ledger.register(run_id, model_files(kept), sha256, "a test", EXAMPLE, born)
    told = compose.segmenter(bundle, device="cpu").assign(bucket, AS_OF, version)
    ref = table(home, f"assignments-{version}", told)
    model = Registered(version=version, bundle=kept, sha256=sha256, assignments=ref, born=born, new=True)
    (home / f"registered-{version}.json").write_text(model.model_dump_json())
    return model, ledger


def recalled(home: Path, version: str) -> tuple[Registered, Ledger]:
    """What `registered` left behind, for another process."""
    model = Registered.model_validate_json((home / f"registered-{version}.json").read_text())
    return model, Ledger(LedgerConfig(), str(home), NAME)


def promoted(home: Path, version: str) -> pointer.Pointer:
    """Promotes what `registered` left behind."""
    model, ledger = recalled(home, version)
    now = pointer.read(str(home), NAME).revision
    return promoting.promote(model, profiles(model), quarantine(home), now, context(home), ledger)


def rolled_back(home: Path) -> Decided:
    now = pointer.read(str(home), NAME).revision
    return promoting.roll_back(now, "ann", "it was worse", str(home), Ledger(LedgerConfig(), str(home), NAME))


def profiles(model: Registered) -> tuple[SegmentProfile, ...]:
    sizes = pl.read_parquet(f"{model.assignments.path}/bucket-0000.parquet")["segment_id"].drop_nulls().value_counts()
    users = model.assignments.rows
    return tuple(
        SegmentProfile(segment_id=name, name=name, size=n, share=n / users)
        for name, n in sizes.sort("segment_id").rows()
    )


def quarantine(home: Path) -> ArtifactRef:
    from schemas.tables import QUARANTINE

    return table(home, "quarantine", pl.DataFrame(schema=QUARANTINE.polars_schema()))
