"""Files that decode to thousands of times their size: read in slices, whatever trick made them small."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tasks.sources import _jsonl, _parquet, tables

ROWS, LONG, MEGABYTE = 4_000, "x" * 20_000, 2**20
USERS = pa.array(["u"] * ROWS)
CODES = pa.array([0] * ROWS, pa.int32())
WIDE = pa.binary(len(LONG))
REPEATED = pa.DictionaryArray.from_arrays(CODES, pa.array([LONG]))


def lists() -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(range(ROWS + 1), pa.int32()), REPEATED)


def numbers() -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.arange(ROWS + 1) * 2_500, pa.int32()), pa.array(np.zeros(ROWS * 2_500)))


def encoded(name: str) -> dict:
    return {"use_dictionary": False, "compression": "zstd", "column_encoding": {"user_id": "PLAIN", "t": name}}


BOMBS = {
    "dictionary": (lambda: REPEATED, {}),
    "lists of texts": (lists, {}),
    "lists of numbers": (numbers, {}),
    "bytes of one width": (
        lambda: pa.DictionaryArray.from_arrays(CODES, pa.array([b"x" * 20_000], pa.binary(20_000))),
        {},
    ),
    "plain and packed": (lambda: REPEATED.dictionary_decode(), {"use_dictionary": False, "compression": "zstd"}),
    "shared beginnings": (lambda: REPEATED.dictionary_decode(), encoded("DELTA_BYTE_ARRAY")),
    "lengths apart": (lambda: REPEATED.dictionary_decode(), encoded("DELTA_LENGTH_BYTE_ARRAY")),
}


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes of a slice, small enough for small bombs; batches of bytes that a row group's average missed are larger."""
    monkeypatch.setattr(_parquet, "_SLICE", 4 * MEGABYTE)
    return 5 * MEGABYTE


def sizes(root: Path, name: str) -> list[int]:
    (root / "e.csv").write_text("user_id,item_id,timestamp\nu,i,2024-01-01\n")
    config = tables.Config(root=str(root), events={"path": "e.csv"}, users={"path": name})
    return [batch.nbytes for batch in tables.read(config)["users"]]


@pytest.mark.parametrize("kind", BOMBS)
def test_a_parquet_bomb_is_decoded_in_slices(tmp_path, slices, kind):
    make, options = BOMBS[kind]
    table = pa.table({"user_id": USERS, "t": make()})
    parquet.write_table(table, tmp_path / "u.parquet", store_schema=False, **options)
    assert (tmp_path / "u.parquet").stat().st_size < MEGABYTE
    found = sizes(tmp_path, "u.parquet")
    assert sum(found) > 75 * MEGABYTE
    assert max(found) < slices


def test_a_bomb_in_a_later_row_group_is_seen(tmp_path, slices):
    schema = pa.schema([("user_id", pa.string()), ("t", pa.dictionary(pa.int32(), pa.string()))])
    with parquet.ParquetWriter(tmp_path / "u.parquet", schema, store_schema=False) as writer:
        writer.write_table(pa.table({"user_id": ["u"], "t": pa.array([None], pa.string()).dictionary_encode()}))
        writer.write_table(pa.table({"user_id": USERS, "t": REPEATED}))
    assert max(sizes(tmp_path, "u.parquet")) < slices


def test_sliced_lists_keep_their_texts_and_gaps(tmp_path, slices):
    said = [None if n % 7 == 0 else [] if n % 5 == 0 else [f"{n % 3}" * 9_000, None, "b"] for n in range(3_000)]
    parquet.write_table(
        pa.table({"item_id": [str(n) for n in range(3_000)], "categories": said}), tmp_path / "i.parquet"
    )
    (tmp_path / "e.csv").write_text("user_id,item_id,timestamp\nu,i,2024-01-01\n")
    config = tables.Config(root=str(tmp_path), events={"path": "e.csv"}, items={"path": "i.parquet"})
    batches = list(tables.read(config)["items"])
    assert len(batches) > 1
    assert [row for batch in batches for row in batch["categories"].to_pylist()] == said


def test_packed_json_lines_are_held_by_their_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(_jsonl, "_BYTES", MEGABYTE)
    line = json.dumps({"user_id": "u", "t": LONG}) + "\n"
    (tmp_path / "u.jsonl.gz").write_bytes(gzip.compress((line * ROWS).encode()))
    assert max(sizes(tmp_path, "u.jsonl.gz")) < 2 * MEGABYTE
