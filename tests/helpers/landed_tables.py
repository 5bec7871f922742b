"""Small tables on disk, in buckets, as ingest leaves them."""

from pathlib import Path

import numpy as np
import polars as pl

from schemas.artifacts import ArtifactRef, RunContext
from schemas.tables import ITEMS, Bucket
from tasks.disk.artifacts import write_parquet
from tasks.numerics.history import population
from tests.helpers.random_tables import AS_OF, random_bucket, slices

BUCKETS = 10


def buckets(seed: int = 5, users: int = 40, n: int = BUCKETS) -> list[Bucket]:
    """All five tables over `users`, split by user into n buckets."""
    whole = random_bucket(np.random.default_rng(seed), users, users * 8)
    ids = population(whole).to_list()
    return slices(whole, [ids[k::n] for k in range(n)])


def written(folder: Path, parts: list[Bucket]) -> dict[str, ArtifactRef]:
    """References to the tables, put into a folder; items have one bucket."""
    refs = {}
    for name in parts[0]:
        frames = [part[name] for part in (parts[:1] if name == ITEMS.name else parts)]
        for number, frame in enumerate(frames):
            write_parquet(folder / name / f"bucket-{number:04d}.parquet", frame)
        refs[name] = ArtifactRef(
            kind=name, fingerprint=f"{folder}/{name}", path=str(folder / name), rows=sum(map(len, frames)),
            buckets=len(frames), columns=tuple(frames[0].columns),
        )  # fmt: skip
    return refs


def a_run(home: Path, **changes: object) -> RunContext:
    """A run whose state folder is `home`."""
    facts = {"run_id": "r", "as_of": AS_OF, "now": AS_OF, "seed": 3, "code_version": "0" * 64, "home": str(home)}
    return RunContext(**{**facts, **changes})


def frames(ref: ArtifactRef) -> list[pl.DataFrame]:
    """Every bucket of an artifact."""
    return [pl.read_parquet(path) for path in sorted(Path(ref.path).glob("bucket-*.parquet"))]


def files(ref: ArtifactRef) -> dict[str, bytes]:
    """Every file of an artifact but its manifest, which names the artifact's own place."""
    return {p.name: p.read_bytes() for p in sorted(Path(ref.path).iterdir()) if p.name != "manifest.json"}
