"""Fields of records as columns, and empty cells that mean the value above."""

import json
from datetime import UTC, datetime
from io import BytesIO

import pyarrow as pa
import pytest
from pyarrow import parquet

from flows.__main__ import main
from schemas.errors import DataError
from schemas.tables import ITEM_ID, LOCATOR, TIMESTAMP, USER_ID, VALUE
from tasks.sources import _csv, _jsonl, tables
from tests.helpers.exports import NOW, landed, take

MIXPANEL = """{"event": "buy", "properties": {"distinct_id": 17, "time": 1735689600, "sku": "s1", "paid": 2.5}}
{"event": "buy", "properties": {"distinct_id": 17.0, "time": 1735689601, "sku": "s2", "note": ["x"]}}
{"event": "buy", "properties": {"distinct_id": "v", "time": 1735689602}}
{"event": "buy", "properties": null}
"""
PROPERTIES = {
    "user_id": "properties.distinct_id", "item_id": "properties.sku", "timestamp": "properties.time",
    "value": "properties.paid",
}  # fmt: skip


@pytest.mark.parametrize("lines", [1, 2, 100])
def test_fields_of_records_of_json_lines(tmp_path, monkeypatch, lines):
    monkeypatch.setattr(_jsonl, "_LINES", lines)
    done = take(tmp_path, MIXPANEL, name="e.jsonl", columns=PROPERTIES)
    assert landed(tmp_path).select(USER_ID, ITEM_ID, VALUE).rows() == [("17", "s1", 2.5), ("17", "s2", None)]
    assert sorted(done.quarantine[LOCATOR]) == ["e.jsonl:3", "e.jsonl:4"]
    with pytest.raises(DataError, match=r"no column 'properties.skew' for events.item_id; did you mean 'properties'"):
        take(tmp_path, MIXPANEL, name="e.jsonl", columns={**PROPERTIES, "item_id": "properties.skew"})


def test_ids_and_times_of_mongo(tmp_path):
    text = '{"_id": {"$oid": "5f"}, "sku": "s", "at": {"$date": "2025-01-01T10:00:00Z"}}\n'
    take(tmp_path, text, name="e.jsonl", columns={"user_id": "_id.$oid", "item_id": "sku", "timestamp": "at.$date"})
    assert landed(tmp_path).select(USER_ID, TIMESTAMP).rows() == [("5f", datetime(2025, 1, 1, 10, tzinfo=UTC))]


def test_a_column_whose_name_has_a_point_is_that_column(tmp_path):
    text = '{"a.b": "u", "a": {"b": "v"}, "item_id": "i", "timestamp": 1735689600}\n'
    take(tmp_path, text, name="e.jsonl", columns={"user_id": "a.b"})
    assert landed(tmp_path)[USER_ID].to_list() == ["u"]


BASKETS = [
    {"user": {"id": "u"}, "at": NOW.replace(year=2025), "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]},
    {"user": {"id": "v"}, "at": NOW.replace(year=2025), "items": []},
    {"user": None, "at": NOW.replace(year=2025), "items": [{"sku": "c", "n": 1}]},
    {"user": {"id": "u"}, "at": NOW.replace(year=2025), "items": [{"sku": "a", "n": 1}, {"sku": None, "n": 3}]},
]
BASKET = {"columns": {"user_id": "user.id", "item_id": "items.sku", "timestamp": "at"}, "wide": "items.sku"}


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_field_of_lists_of_records_makes_a_row_of_each(tmp_path, form):
    lines = "".join(json.dumps({**basket, "at": "2025-01-01"}) + "\n" for basket in BASKETS).encode()
    parquet.write_table(pa.Table.from_pylist(BASKETS), sink := BytesIO())
    done = take(tmp_path, lines if form == "jsonl" else sink.getvalue(), name=f"e.{form}", **BASKET)
    assert landed(tmp_path).select(USER_ID, ITEM_ID).rows() == [("u", "a"), ("u", "b"), ("u", "a")]
    assert len(done.quarantine) == 3


def test_fields_of_records_of_parquet(tmp_path):
    records = [{"who": {"id": f"u{n % 3}"}, "sku": "s" * 200} if n % 4 else None for n in range(400)]
    table = pa.table({"p": records, "t": [NOW.replace(year=2025)] * 400, "unread": range(400)})
    parquet.write_table(table, sink := BytesIO())
    columns = {"user_id": "p.who.id", "item_id": "p.sku", "timestamp": "t"}
    done = take(tmp_path, sink.getvalue(), name="e.parquet", columns=columns)
    assert landed(tmp_path)[USER_ID].to_list() == [f"u{n % 3}" for n in range(400) if n % 4]
    assert len(done.quarantine) == 100
    with pytest.raises(DataError, match=r"no column 'p.who.name' for events.user_id"):
        take(tmp_path, sink.getvalue(), name="e.parquet", columns={**columns, "user_id": "p.who.name"})


REST = """features: [{kind: behaviour}]
search: {candidates: [{algorithm: {kind: kmeans}, grid: {k: [2]}}]}
validation: {max_quarantined_share: 1}
"""


def test_check_tells_which_field_is_meant(home, tmp_path, capsys):
    (tmp_path / "e.jsonl").write_text(MIXPANEL)
    named = ", ".join(f"{ours}: {theirs}" for ours, theirs in PROPERTIES.items())
    source = f"source: {{kind: tables, events: {{path: e.jsonl, columns: {{{named}}}}}}}"
    (tmp_path / "c.yaml").write_text(f"segmentation: shop\n{source}\n{REST}")
    assert main(["check", "--config", str(tmp_path / "c.yaml")]) == 0
    told = capsys.readouterr().out
    assert "user_id: text (your properties.distinct_id)" in told
    assert "not read" not in told


ORDERS = "Name,Email,Created at,Lineitem sku\n#1,a@x,2025-01-01,s1\n#1,,,s2\n#2,b@x,2025-01-02,s3\n#2,,,s4\n#2,,,s5\n"
SHOPIFY = {
    "columns": {"user_id": "Email", "item_id": "Lineitem sku", "timestamp": "Created at"},
    "fill_down": ["Email", "Created at"],
}


@pytest.mark.parametrize("block", [44, 64, 80, 2**20])
def test_further_lines_of_an_order_are_of_the_buyer_above(tmp_path, monkeypatch, block):
    monkeypatch.setattr(_csv, "_BLOCK", block)
    done = take(tmp_path, ORDERS, name="e.csv", **SHOPIFY)
    rows = [("a@x", "s1"), ("a@x", "s2"), ("b@x", "s3"), ("b@x", "s4"), ("b@x", "s5")]
    assert landed(tmp_path).select(USER_ID, ITEM_ID).rows() == rows
    assert done.quarantine.is_empty()
    with pytest.raises(DataError, match=r"no column 'E-mail', which fill_down names; did you mean 'Email'"):
        take(tmp_path, ORDERS, name="e.csv", **{**SHOPIFY, "fill_down": ["E-mail"]})


@pytest.mark.parametrize("block", [44, 64, 80, 2**20])
def test_nobody_knows_whose_lines_stand_below_one_that_cannot_be_read(tmp_path, monkeypatch, block):
    monkeypatch.setattr(_csv, "_BLOCK", block)
    text = ORDERS.replace("#2,b@x,2025-01-02,s3", "#2,b@x,2025-01-02,s3,torn") + "#3,c@x,2025-01-03,s6\n"
    done = take(tmp_path, text, name="e.csv", **SHOPIFY)
    assert landed(tmp_path)[USER_ID].to_list() == ["a@x", "a@x", "c@x"]
    assert sorted(done.quarantine[LOCATOR].unique()) == ["e.csv:3", "e.csv:4", "e.csv:5"]


def test_a_file_whose_cells_are_filled_is_read_whole_when_it_grew(tmp_path):
    (tmp_path / "e.csv").write_text(ORDERS)
    config = tables.Config(root=str(tmp_path), events={"path": "e.csv", **SHOPIFY})
    then = tables.snapshot(config)
    (tmp_path / "e.csv").write_text(ORDERS + "#2,,,s6\n")
    assert not tables.grown(config, then)
