"""Odd exports of shops, tools and databases: read as they are meant, or refused with the option that is missing."""

import gzip
import zipfile
from io import BytesIO

import pyarrow as pa
import pytest
from pyarrow import parquet

from schemas.errors import DataError, UsageError
from schemas.tables import DST, ITEM_ID, LOCATOR, REASON, SRC, USER_ID
from tasks.cleaning.reasons import Reason
from tasks.sources import _wide, tables
from tasks.sources._delimiters import WholeLines, with_one, without_comments
from tests.helpers.exports import ingested, landed, take

ONE_DAY = {"timestamp": "2025-01-31"}
USER = {"user_id": "user"}


SNAP = "# Undirected graph: friends.txt\n# Nodes: 3 Edges: 2\n# FromNodeId\tToNodeId\n0\t1\n 1   2 \r\n2 \t 0\n"


def test_columns_apart_by_blanks_and_lines_that_are_comments(tmp_path):
    done = take(tmp_path, SNAP, "edges", delimiter="blanks", comment="#", header=[SRC, DST])
    assert landed(tmp_path, "edges").select(SRC, DST).rows() == [("0", "1"), ("1", "2"), ("2", "0")]
    assert done.quarantine.is_empty()
    with pytest.raises(DataError, match=r"e\.csv: the first line begins with #; if it is a comment, set comment$"):
        take(tmp_path, SNAP, "edges")
    with pytest.raises(DataError, match=r"blanks part its words: set delimiter: blanks$"):
        take(tmp_path, "user_id item_id  timestamp\nu i 2025-01-01\n")


def test_blanks_within_quotes_part_nothing(tmp_path):
    text = 'user_id  item_id\n"u 1"   a\nu2\t"b  c" d\n u3 e\n'
    done = take(tmp_path, text, delimiter="blanks", defaults=ONE_DAY)
    assert landed(tmp_path).select(USER_ID, ITEM_ID).rows() == [("u 1", "a"), ("u3", "e")]
    assert done.quarantine.rows()[0][1:4] == ("e.csv:2", "", "3 cells where the header has 2")


@pytest.mark.parametrize("size", range(1, 12))
def test_lines_are_changed_whole_wherever_a_block_ends(size):
    stream = WholeLines(WholeLines(BytesIO(b"# a b\n a \t b\n#\nc  d \r\n # x\ne f"), without_comments("#")), with_one)
    seen = b""
    while block := stream.read(size):
        seen += block
    assert seen == b"a\x1fb\nc\x1fd\r\ne\x1ff"


def test_an_id_of_several_columns(tmp_path):
    rows = ["a,b,i,N", "a/b,,i,N", "a,b/c,i,N", "a/b,c,i,N", "a,null,i,N", "7.0,01,i,N", "a%2Fb,c,j,N", "1e+20,c,i,N"]
    text = "shop,customer,sku,town\n" + "\n".join(rows) + "\n"
    both = {"user_id": ["shop", "customer"], "item_id": ["shop", "sku"]}
    done = take(tmp_path, text, columns=both, defaults=ONE_DAY)
    users = ["a/b", "a/b%2Fc", "a%2Fb/c", "7/01", "a%252Fb/c"]
    assert landed(tmp_path)[USER_ID].to_list() == users
    assert landed(tmp_path)[ITEM_ID].to_list() == ["a/i", "a/i", "a%2Fb/i", "7/i", "a%252Fb/j"]
    aside = [("e.csv:2", Reason.EMPTY), ("e.csv:5", Reason.NO_ID), ("e.csv:8", Reason.EXPONENT_ID)]
    assert done.quarantine.select(LOCATOR, REASON).rows() == aside
    take(tmp_path, "shop,customer,town\na,b,Bonn\n", "users", columns={"user_id": ["shop", "customer"]})
    assert landed(tmp_path, "users").rows(named=True) == [{USER_ID: "a/b", "town": "Bonn"}]
    own = {"columns": {"user_id": ["shop", "customer"]}, "attributes": ["shop"]}
    take(tmp_path, "shop,customer,town\na,b,Bonn\n", "users", **own)
    assert landed(tmp_path, "users").rows(named=True) == [{USER_ID: "a/b", "shop": "a"}]
    with pytest.raises(DataError, match=r"no column 'costumer' for events.user_id; did you mean 'customer'"):
        take(tmp_path, text, columns={"user_id": ["shop", "costumer"]}, defaults=ONE_DAY)
    with pytest.raises(ValueError, match="timestamp is no id; only an id may be several"):
        take(tmp_path, text, columns={"timestamp": ["shop", "customer"]})


def test_an_id_of_several_fields_of_json_lines(tmp_path):
    lines = '{"s": 1, "c": 7, "item_id": "i"}\n{"s": "1", "c": 7.0, "item_id": "i"}\n{"s": 1, "item_id": "i"}\n'
    done = take(tmp_path, lines, name="e.jsonl", columns={"user_id": ["s", "c"]}, defaults=ONE_DAY)
    assert landed(tmp_path)[USER_ID].to_list() == ["1/7", "1/7"]
    assert done.quarantine[LOCATOR].to_list() == ["e.jsonl:3"]


WIDE = "u1 9 8 9\nu2\n\nu3  7 \nu1 6\n"


@pytest.mark.parametrize("lines", [1, 2, 100])
def test_lines_of_a_user_and_as_many_items_as_there_are(tmp_path, monkeypatch, lines):
    monkeypatch.setattr(_wide, "_LINES", lines)
    done = take(tmp_path, WIDE, delimiter="blanks", header=["user"], columns=USER, wide="item_id", defaults=ONE_DAY)
    rows = [("u1", "9"), ("u1", "8"), ("u1", "9"), ("u3", "7"), ("u1", "6")]
    assert landed(tmp_path).select(USER_ID, ITEM_ID).rows() == rows
    assert done.quarantine.select(LOCATOR, REASON).rows() == [("e.csv:2", Reason.EMPTY)]
    account = done.tables["events"].accounting
    assert (account.read, account.accepted, account.quarantined) == (6, 5, 1)


def test_wide_lines_that_are_filled_up_quoted_broken_and_below_a_title(tmp_path):
    text = b'\xef\xbb\xbfuser,item 1,item 2\r\n# made by hand\r\nu,"a, b",,c,,,\r\nv,"torn\r\nw,\xff\r\nx,-\r\n'
    form = {"header": ["user"], "columns": USER, "wide": "item_id", "skip_lines": 1, "comment": "#", "nulls": ["-"]}
    done = take(tmp_path, text, defaults=ONE_DAY, **form)
    assert landed(tmp_path).select(USER_ID, ITEM_ID).rows() == [("u", "a, b"), ("u", "c")]
    told = done.quarantine.sort(LOCATOR).select(LOCATOR, REASON).rows()
    places = [("e.csv:1", Reason.EMPTY), ("e.csv:2", _wide._BROKEN), ("e.csv:3", _wide._BROKEN)]
    assert told == [*places, ("e.csv:4", Reason.EMPTY)]


def test_a_column_of_lists_makes_a_row_of_each_value(tmp_path):
    lines = '{"user": "u", "seen": [3, 1, 3]}\n{"user": "v", "seen": []}\n{"user": "w", "seen": ["x", 2]}\n'
    form = {"columns": {**USER, "item_id": "seen"}, "wide": "seen", "defaults": ONE_DAY}
    done = take(tmp_path, lines, name="e.jsonl", **form)
    rows = [("u", "3"), ("u", "1"), ("u", "3"), ("w", "x"), ("w", "2")]
    assert landed(tmp_path).select(USER_ID, ITEM_ID).rows() == rows
    assert done.quarantine[LOCATOR].to_list() == ["e.jsonl:2"]
    take(tmp_path, "user\tseen\tn\nu\tN1 N2 N1\t1\nv\t\t2\n", delimiter="\t", separator=" ", **form)
    assert landed(tmp_path)[ITEM_ID].to_list() == ["N1", "N2", "N1"]
    take(tmp_path, "user\tseen\nu\t['a', 'b', 'a']\n", delimiter="\t", **form)
    assert landed(tmp_path)[ITEM_ID].to_list() == ["a", "b", "a"]
    table = pa.table({"user": ["u", "v"], "seen": [["p", "q"], None]})
    parquet.write_table(table, sink := BytesIO())
    done = take(tmp_path, sink.getvalue(), name="e.parquet", **form)
    assert landed(tmp_path)[ITEM_ID].to_list() == ["p", "q"]
    assert done.quarantine[LOCATOR].to_list() == ["e.parquet:2"]
    with pytest.raises(DataError, match=r"no column 'sen', which is declared wide; did you mean 'seen'\?"):
        take(tmp_path, lines, name="e.jsonl", **{**form, "wide": "sen"})


def test_lines_that_came_to_a_wide_file_are_read_alone(tmp_path):
    (tmp_path / "e.csv").write_text("u a b\nv c\n")
    own = {"delimiter": "blanks", "header": ["user_id"], "wide": "item_id", "defaults": ONE_DAY, "path": "e.csv"}
    config = tables.Config(root=str(tmp_path), events=own)
    then = tables.snapshot(config)
    (tmp_path / "e.csv").write_text("u a b\nv c\nw d e\n")
    assert tables.grown(config, then)
    (batch,) = tables.read(config, then)["events"]
    assert batch.to_pydict()["item_id"] == ["d", "e"]


HEAD = "user_id,item_id,timestamp,value\n"
ROW = "u,i,2025-01-01 10:00,5\n"
TIMED = "user_id,item_id,timestamp\n"
SHOPIFY = {"columns": {"user_id": "Email", "item_id": "Lineitem sku", "timestamp": "Created at"}}
ORDERS = "Name,Email,Created at,Lineitem sku\n#1,a@x,2025-01-01 10:00:00 +0100,s1\n#1,,,s2\n#2,b@x,2025-01-02,s3\n"
ANALYTICS = f"# ------\n# Views\n# 20250101\n\n{HEAD}u,i,20250101,3\n,,,3\n"
TWELVE = {"time_format": "%m/%d/%Y %I:%M %p"}
COPY = "1\t\\N\t2025-01-01 10:00:00+00\t5\n2\ti\t2025-01-01 10:00:00.5+00\t\\N\n\\.\n"
COPIED = {"delimiter": "\t", "quote": "", "header": ["user_id", "item_id", "timestamp", "value"], "nulls": ["\\N"]}
MYSQL = "user_id\titem_id\ttimestamp\tvalue\n1\ti\t2025-01-01\tNULL\n2\tNULL\t2025-01-01\t3\n"
MATOMO = '{"visitorId": "ab", "serverTimestamp": 1735689600, "goals": ["x", "y"]}\n'
MATOMO_MAP = {"user_id": "visitorId", "timestamp": "serverTimestamp", "item_id": "goals"}


def zipped(text: str) -> bytes:
    with zipfile.ZipFile(packed := BytesIO(), "w") as archive:
        archive.writestr("orders.csv", text)
    return packed.getvalue()


READ = {
    "Shopify's rows that continue an order": ("e.csv", ORDERS, SHOPIFY, ["a@x", "b@x"], ["e.csv:2"]),
    "Analytics' title and totals": (
        "e.csv", ANALYTICS, {"comment": "#", "skip_lines": 1, "time_format": "%Y%m%d"}, ["u"], ["e.csv:2"],
    ),
    "Excel's sep=;": ("e.csv", ("sep=;\n" + HEAD + ROW).replace(",", ";"), {}, ["u"], []),
    "Matomo's visits": ("e.jsonl", MATOMO, {"columns": MATOMO_MAP, "wide": "goals"}, ["ab", "ab"], []),
    "Postgres' COPY": ("e.csv", COPY, COPIED, ["2"], ["e.csv:1", "e.csv:3"]),
    "MySQL's batch": ("e.tsv", MYSQL, {"delimiter": "\t", "nulls": ["NULL"]}, ["1"], ["e.tsv:2"]),
    "BOM and CRLF": ("e.csv", "\ufeff" + (HEAD + ROW).replace("\n", "\r\n"), {}, ["u"], []),
    "thousands": ("e.csv", HEAD + 'u,i,2025-01-01,"1,234.50"\n', {"thousands": ","}, ["u"], []),
    "the day first": ("e.csv", TIMED + "u,i,03/04/2025\nv,i,31/12/2024\n", {"time_format": "%d/%m/%Y"}, ["u", "v"], []),
    "a clock of twelve hours": ("e.csv", TIMED + "u,i,1/5/2025 3:04 PM\n", TWELVE, ["u"], []),
    "microseconds": ("e.csv", TIMED + "u,i,1735689600000000\n", {"time_format": "us"}, ["u"], []),
    "a cell over lines": ("e.csv", 'user_id,item_id,note,timestamp\nu,i,"a\nb",2025-01-01\n', {}, ["u"], []),
    "a delimiter at the end": ("e.csv", (HEAD + ROW).replace("\n", ",\n"), {}, ["u"], []),
    "a total below": ("e.csv", HEAD + ROW + "Total,,,5\n", {}, ["u"], ["e.csv:2"]),
    "a total with an id and a date": ("e.csv", HEAD + ROW + "Grand Total,i,2025-01-31,5\n", {}, ["u"], ["e.csv:2"]),
    "sqlcmd's line below the header": ("e.csv", TIMED + "--- ,----,--------\nu,i,2025-01-01\n", {}, ["u"], ["e.csv:1"]),
    "BigQuery's times": ("e.csv", TIMED + "u,i,2025-01-01 10:00:00.5 UTC\n", {}, ["u"], []),
    "ids of a fixed width": ("e.csv", TIMED + "u    ,i,2025-01-01\n\u00a0u\u200b,i,2025-01-01\n", {}, ["u", "u"], []),
    "gz": ("e.csv.gz", gzip.compress((HEAD + ROW).encode()), {}, ["u"], []),
    "zip": ("e.zip", zipped(HEAD + ROW), {"format": "csv"}, ["u"], []),
    "Latin-1": ("e.csv", (HEAD + "Jörg,i,2025-01-01,5\n").encode("latin-1"), {"encoding": "latin-1"}, ["Jörg"], []),
    "zeros before a number": ("e.csv", HEAD + "007,042,2025-01-01,5\n", {}, ["007"], []),
    "MovieLens with blanks": (
        "e.csv", "1 2  3\n1\t3 4\n",
        {"delimiter": "blanks", "header": ["user_id", "item_id", "value"], "defaults": ONE_DAY}, ["1", "1"], [],
    ),
    "a declared header that stands there too": (
        "e.csv", TIMED + "u,i,2025-01-01\n", {"header": TIMED.strip().split(",")}, ["u"], ["e.csv:1"],
    ),
}  # fmt: skip
"""What exported it -> file, content, options; the users whose rows are taken, and the rows that are set aside."""


@pytest.mark.parametrize("what", READ)
def test_exports_that_are_read(tmp_path, what):
    name, content, options, users, aside = READ[what]
    done = take(tmp_path, content, name=name, **options)
    assert landed(tmp_path)[USER_ID].to_list() == users
    assert sorted(done.quarantine[LOCATOR]) == aside


REFUSED = {
    "Analytics' title": ("e.csv", ANALYTICS, {}, "the header is line 5, not line 1; set skip_lines: 4"),
    "Amplitude's properties": (
        "e.jsonl", '{"user_id": "u", "time": 1735689600, "event_properties": {"item_id": "i"}}\n',
        {"columns": {"timestamp": "time"}}, "name one as event_properties.item_id$",
    ),
    "MySQL without a delimiter": ("e.tsv", MYSQL, {}, r"it looks separated by '\\t': set delimiter"),
    "MySQL without nulls": ("e.tsv", MYSQL, {"delimiter": "\t"}, "value is not a number .*; mend .*nulls"),
    "thousands": ("e.csv", HEAD + 'u,i,2025-01-01,"1,234.50"\n', {}, "by the source's decimal or thousands"),
    "the day first": ("e.csv", TIMED + "u,i,31/12/2024\n", {}, "not a timestamp in the declared format.*time_format"),
    "milliseconds": ("e.csv", TIMED + "u,i,1735689600000\n", {}, "set the source's time_format: ms"),
    "microseconds": ("e.csv", TIMED + "u,i,1735689600000000\n", {}, "set the source's time_format: us"),
    "a name twice": ("e.csv", "user_id,item_id,user_id\nu,i,v\n", {}, "'user_id' stands more than once in the header"),
    "UTF-16": ("e.csv", (HEAD + ROW).encode("utf-16"), {}, "is UTF-16; set encoding: utf-16"),
    "Latin-1": ("e.csv", HEAD.encode() + b"J\xf6rg,i,2025-01-01,5\n" * 9, {}, "is not utf-8; set encoding"),
    "zip": ("e.zip", zipped(HEAD + ROW), {}, "set format: csv, parquet or jsonl"),
    "money": ("e.csv", HEAD + "u,i,2025-01-01,$12.50\n", {}, "value is a number with other signs, such as a currency"),
    "an empty id of C#": ("e.csv", TIMED + "00000000-0000-0000-0000-000000000000,i,2025-01-01\n", {}, "ingest.no_ids"),
    "gzip called CSV": ("e.csv", gzip.compress(HEAD.encode()), {}, "e.csv is no CSV but packed by gzip; end its name"),
    "a sheet called CSV": ("e.csv", zipped(HEAD), {}, "is no CSV but a zip archive, or a spreadsheet"),
    "a sign-in page": ("e.csv", "<!DOCTYPE html>\n<html>\n", {}, "is no CSV but a web page"),
    "a pointer of Git LFS": ("e.csv", "version https://git-lfs.github.com/spec/v1\n", {}, "git lfs pull"),
    "JSON called CSV": ("e.csv", MATOMO, {}, "is no CSV but JSON; set format: jsonl"),
    "an array": ("e.json", '[\n{"user_id": "u"},\n{"user_id": "v"}\n]', {}, "is one JSON array; write one"),
    "a spreadsheet": ("e.xlsx", b"PK\3\4", {}, "is a spreadsheet; save the sheet as CSV"),
    "names in other letters": ("e.csv", HEAD.title() + ROW, {}, "did you mean 'User_Id'.*columns: {user_id: its name}"),
    "blanks behind commas": ("e.csv", TIMED.replace(",", ", ") + ROW, {}, "did you mean ' item_id'"),
}  # fmt: skip
"""What exported it -> file, content, options, and the words that say which option or change is missing."""


@pytest.mark.parametrize("what", REFUSED)
def test_exports_that_are_refused_with_what_is_missing(tmp_path, what):
    name, content, options, words = REFUSED[what]
    with pytest.raises((DataError, UsageError), match=words) as told:
        take(tmp_path, content, name=name, **options)
    assert "\n" not in str(told.value)


def test_rows_of_wide_lines_stay_in_the_order_of_the_lines(tmp_path):
    (tmp_path / "e.csv").write_text("u a b\nv\nw c\n")
    own = {"delimiter": "blanks", "header": ["user_id"], "wide": "item_id", "defaults": ONE_DAY, "path": "e.csv"}
    (batch,) = tables.read(tables.Config(root=str(tmp_path), events=own))["events"]
    assert (batch["user_id"].to_pylist(), batch["__row"].to_pylist()) == (["u", "u", "v", "w"], [1, 1, 2, 3])


BOUGHT = {"header": [USER_ID, ITEM_ID], "defaults": ONE_DAY}


@pytest.mark.parametrize(
    "text",
    [
        "customer,sku\nu1,i1\nu2,i2\n",
        '"User ID",item\na,b\n',
        "kunde,artikel\n17,23\n18,24\n19,25\n",
        "用户,商品\na,b\n",
    ],
)
def test_a_header_below_the_declared_one_is_no_user(tmp_path, text):
    with pytest.raises(DataError, match=r"reads like a header, and the config declares one; set skip_lines: 1 to pass"):
        take(tmp_path, text, **BOUGHT)
    first = text.splitlines()[0].replace('"', "").split(",")
    take(tmp_path, text, **BOUGHT, skip_lines=1)
    assert tuple(first) not in landed(tmp_path).select(USER_ID, ITEM_ID).rows()
    take(tmp_path, text, **BOUGHT, skip_lines=0)
    assert landed(tmp_path).select(USER_ID, ITEM_ID).rows()[0] == tuple(first)


@pytest.mark.parametrize(
    "text", ["ann,tea\nbob,milk\ncy,tea\n", "u1,i1\nu2,i2\n", "ann,tea\n17,4\nu2,i\n19,2\n", "ann,i1\n"]
)
def test_a_first_row_is_no_header(tmp_path, text):
    take(tmp_path, text, **BOUGHT)
    assert len(landed(tmp_path)) == len(text.splitlines())


def test_users_in_quotes_of_their_own_are_set_aside_and_items_may_have_them(tmp_path):
    text = 'user_id,item_id\n\'u1\',i\nu2,\'Heroes\'\n"""u3""",i\no\'neill,i\n"d\'",i\n'
    done = take(tmp_path, text, defaults=ONE_DAY)
    assert landed(tmp_path).select(USER_ID, ITEM_ID).rows() == [("u2", "'Heroes'"), ("o'neill", "i"), ("d'", "i")]
    assert done.quarantine.select(LOCATOR, REASON).rows() == [("e.csv:1", Reason.QUOTED), ("e.csv:3", Reason.QUOTED)]
    take(tmp_path, "user_id,item_id\n'u1',i\n", defaults=ONE_DAY, quote="'")
    assert landed(tmp_path)[USER_ID].to_list() == ["u1"]


def categories(place, cell, **own):
    """How the categories of an item are read, beside one with a single category."""
    quoted = cell.replace('"', '""')
    (place / "i.csv").write_text(f'item_id,categories\ni1,"{quoted}"\ni2,z\n')
    (place / "e.csv").write_text("user_id,item_id,timestamp\nu,i1,2025-01-01\n")
    ingested(place, items={"path": "i.csv", **own}, events={"path": "e.csv"})
    return landed(place, "items")["categories"].to_list()


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("{a,b}", ["a", "b"]), ('{a,"b, c",NULL,"d\\"e"}', ["a", "b, c", 'd"e']), ("{}", []), ("a|b", ["a", "b"]),
        ("{'a', 'b'}", ["a", "b"]), ("['a', 'b']", ["a", "b"]), ('{"name": "x"}', ['{"name": "x"}']),
        ("{{a},{b}}", ["{{a},{b}}"]),
    ],
)  # fmt: skip
def test_lists_as_databases_write_them(tmp_path, cell, meant):
    assert categories(tmp_path, cell) == [meant, ["z"]]


@pytest.mark.parametrize(("cell", "sign"), [("a;b", ";"), ("a > b", " > ")])
def test_lists_parted_by_another_sign_ask_for_it(tmp_path, cell, sign):
    with pytest.raises(DataError, match=rf"i\.csv: categories: '{cell}' reads like a list parted by '{sign}'; set sep"):
        categories(tmp_path, cell)
    assert categories(tmp_path, cell, separator=sign) == [["a", "b"], ["z"]]
    assert categories(tmp_path, cell, separator="|") == [[cell], ["z"]]
    wide = {"columns": {"item_id": "seen"}, "wide": "seen", "defaults": ONE_DAY}
    text = f"user_id,seen\nu,{cell}\n"
    with pytest.raises(DataError, match=f"seen: '{cell}' reads like a list parted by"):
        take(tmp_path, text, **wide)
    take(tmp_path, text, **wide, separator=sign)
    assert landed(tmp_path)[ITEM_ID].to_list() == ["a", "b"]


SIGNED = 'user_id,share,price,town\nu1,70%,$70,Bonn\nu2,35.5 %,"$1,200",Ulm\nu3,7,,Ulm\n'


def test_numbers_with_signs_ask_for_their_unit(tmp_path):
    with pytest.raises(
        DataError, match=r"e\.csv: 'price' holds numbers with a sign, such as '\$70'; set units: {price: '\$'}"
    ):
        take(tmp_path, SIGNED, "users", units={"share": "%"})
    own = {"units": {"share": "%", "price": "$"}, "thousands": ","}
    done = take(tmp_path, SIGNED, "users", **own)
    assert landed(tmp_path, "users").select("share", "price").rows() == [(70.0, 70.0), (35.5, 1200.0), (7.0, None)]
    assert done.quarantine.is_empty()
    take(tmp_path, SIGNED, "users", units={"share": "", "price": ""})
    assert landed(tmp_path, "users")["price"].to_list() == ["$70", "$1,200", None]
    done = take(tmp_path, "user_id,price\nu1,$70\nu2,€70\nu3,5 kg\n", "users", units={"price": "$"})
    assert landed(tmp_path, "users").rows() == [("u1", 70.0)]
    assert set(done.quarantine[REASON]) == {Reason.WITH_SIGNS}
    with pytest.raises(DataError, match="no column 'prize', which units names; did you mean 'price'"):
        take(tmp_path, SIGNED, "users", units={"prize": "$"})


def test_an_events_value_with_a_sign(tmp_path):
    text = "user_id,item_id,timestamp,paid\nu,i,2025-01-01,€12.50\n"
    take(tmp_path, text, columns={"value": "paid"}, units={"paid": "€"})
    assert landed(tmp_path)["value"].to_list() == [12.5]
