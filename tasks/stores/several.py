"""Several tables in one artifact: a folder of bucket files for each, and one file that tells of them all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from schemas.artifacts import ArtifactRef
from tasks.disk.artifacts import fingerprint, write_text
from tasks.stores.buckets import bucket_facts

TABLES = "tables.json"


class Shape(NamedTuple):
    """What a table is like."""

    rows: int
    buckets: int
    columns: tuple[str, ...]


def note(place: Path, shapes: Mapping[str, Shape]) -> int:
    """Writes down the tables of an artifact that is being made; returns how many rows they have together."""
    told = {
        name: {**shape._asdict(), "meta": bucket_facts(place / name, shape.buckets)} for name, shape in shapes.items()
    }
    write_text(place / TABLES, json.dumps(told))
    return sum(shape.rows for shape in shapes.values())


def tables_of(ref: ArtifactRef) -> dict[str, ArtifactRef]:
    """The tables of an artifact, by name."""
    told = json.loads((Path(ref.path) / TABLES).read_text(encoding="utf-8"))
    return {
        name: ArtifactRef(kind=name, fingerprint=fingerprint(ref, name), path=f"{ref.path}/{name}", **facts)
        for name, facts in told.items()
    }
