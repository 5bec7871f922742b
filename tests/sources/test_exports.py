"""What tools make of their exports: read as it is meant, or told with the option that is missing; no row is lost."""

import json
import random
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from schemas.config import IngestConfig
from schemas.errors import DataError
from schemas.tables import CATEGORIES, ITEM_ID, LOCATOR, REASON, TIMESTAMP, TITLE, USER_ID, VALUE
from tasks.cleaning.reasons import Reason
from tasks.ingestion.rows import Ingested
from tasks.sources import _jsonl, tables
from tasks.sources._csv import HEADER_AGAIN, STRAY_QUOTE
from tasks.sources._csv_lines import Lines
from tasks.sources._delimiters import OneDelimiter
from tests.helpers.exports import ingested, landed

EVENTS = "user_id,item_id,timestamp,title\n"


def rows(count: int, first: int = 0) -> str:
    return "".join(f"u{n},i{n % 7},2024-05-01 10:00,thing {n}\n" for n in range(first, first + count))


def take(root: Path, **given) -> Ingested:
    return ingested(root, **{"events": {"path": "e.csv"}, **given})


def odd(number: int, cell: str) -> str:
    return f"u{number},i1,2024-05-01 10:00,{cell}\n"


@pytest.mark.parametrize("cells", [('"Deluxe', '"Plain'), ('"Deluxe', 'Plain 5"')])
@pytest.mark.parametrize("between", [0, 1, 30])
def test_rows_between_two_stray_quotes_are_set_aside_one_by_one(tmp_path, cells, between):
    text = EVENTS + rows(3) + odd(3, cells[0]) + rows(between, 4) + odd(4 + between, cells[1]) + rows(2, 90) + "u,i\n"
    (tmp_path / "e.csv").write_text(text)
    done = take(tmp_path)
    account = done.tables["events"].accounting
    assert (account.read, account.accepted, account.quarantined) == (8 + between, 5, between + 3)
    lost = done.quarantine.filter(pl.col(REASON) == STRAY_QUOTE)[LOCATOR].to_list()
    assert lost == [f"e.csv:{row}" for row in range(4, 6 + between)]
    assert done.quarantine[LOCATOR].to_list()[-1] == f"e.csv:{8 + between}"  # rows below keep their numbers
    account = take(tmp_path, events={"path": "e.csv", "quote": ""}).tables["events"].accounting
    assert (account.read, account.accepted) == (8 + between, 7 + between)


def test_cells_that_do_run_over_lines_stay_one_row(tmp_path):
    told = 'u1,i1,2024-05-01,"a, b\nc ""d""\n\n- e, f, g"\n'
    (tmp_path / "e.csv").write_text(EVENTS + told * 5 + rows(1))
    done = take(tmp_path, events={"path": "e.csv"})
    assert (done.tables["events"].rows, len(done.quarantine)) == (6, 0)


def test_quotes_in_the_middle_of_cells_lose_no_row_unseen(tmp_path):
    (tmp_path / "e.csv").write_text(
        EVENTS + rows(2) + 'u,5" nail,2024-05-01,"torn\n' + rows(9) + 'u,6" nail,2024-05-01,z"\n'
    )
    with pytest.raises(DataError, match=r"e\.csv: 13 rows by its lines, but 3 by its quotes"):
        take(tmp_path)


def test_lines_count_the_rows_that_the_parser_finds():
    """Random quotes, commas and line ends, cut anywhere; where every line is looked at, the counts agree."""
    rng = random.Random(0)
    for _ in range(1500):
        text = bytes(rng.choice(b'"",,\n\na\r') for _ in range(rng.randrange(1, 40)))
        lines = Lines(BytesIO(text), '"', ",", 3, 0)
        lines._odd = lambda text, letters, ends: pl.int_range(len(ends), eager=True).to_numpy()
        while lines.read(rng.choice([3, 7, 100])):
            pass
        assert lines.opened is not None or lines.rows == parsed(text), text


def parsed(text: bytes) -> int:
    broken = []
    parse = csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda row: broken.append(row) or "skip")
    read = csv.ReadOptions(use_threads=False, column_names=["a", "b", "c"])
    try:
        return len(csv.open_csv(BytesIO(text), read, parse).read_all()) + len(broken)
    except pa.ArrowInvalid:  # nothing but empty lines
        return 0


def test_the_header_again_is_no_row(tmp_path):
    head = "user_id,town\n"
    (tmp_path / "u.csv").write_text(f"{head}a,X\n{head}b,town\n{head}")
    (tmp_path / "e.csv").write_text((EVENTS + rows(2)) * 2)
    done = take(tmp_path, users={"path": "u.csv"})
    told = [("e.csv:3", HEADER_AGAIN), ("u.csv:2", HEADER_AGAIN), ("u.csv:4", HEADER_AGAIN)]
    assert sorted(done.quarantine.select(LOCATOR, REASON).rows()) == told
    assert landed(tmp_path, "users").rows() == [("a", "X"), ("b", "town")]


def test_an_empty_cell_is_empty_whatever_else_is(tmp_path):
    (tmp_path / "e.csv").write_text(
        "user_id,item_id,timestamp,value\nu,i,2024-05-01,\nu,i,2024-05-01,\\N\nu,i,2024-05-01,7\n"
    )
    done = take(tmp_path, events={"path": "e.csv", "nulls": ["\\N"]})
    assert done.quarantine.is_empty()
    assert landed(tmp_path)[VALUE].to_list() == [None, None, 7.0]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_delimiter_of_several_signs(tmp_path, ending):
    lines = ["1::a: b::2024-05-01::x", '2::"c::d"::2024-05-01::y', "3::e::2024-05-01", ":4::f::2024-05-01::z"]
    (tmp_path / "e.dat").write_text(ending.join(lines), newline="")
    names = ["user_id", "item_id", "timestamp", "rest"]
    done = take(tmp_path, events={"path": "e.dat", "format": "csv", "delimiter": "::", "header": names})
    assert landed(tmp_path).select(USER_ID, ITEM_ID).rows() == [("1", "a: b"), ("2", "c::d"), (":4", "f")]
    assert done.quarantine.select(LOCATOR, REASON).rows() == [("e.dat:3", "3 cells where the header has 4")]


def test_a_delimiter_of_several_signs_is_found_wherever_a_block_ends():
    text = b"a::b:c:::d::"
    for size in range(1, 14):
        stream, seen = OneDelimiter(BytesIO(text), "::"), b""
        while block := stream.read(size):
            seen += block
        assert seen == text.replace(b"::", b"\x1f"), size


@pytest.mark.parametrize("table", [{}, {"delimiter": ";"}])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_first_line_that_names_the_delimiter_is_no_header(tmp_path, table, mark):
    (tmp_path / "e.csv").write_text(mark + "sep=;\n" + (EVENTS + rows(3)).replace(",", ";"))
    done = take(tmp_path, events={"path": "e.csv", **table})
    assert (done.tables["events"].rows, len(done.quarantine)) == (3, 0)


def test_lines_before_the_header_are_passed_over_where_the_config_says_so(tmp_path):
    title = 'Report of the "shop\nMay, 2024\n\n'
    (tmp_path / "e.csv").write_text(title + EVENTS + rows(3) + ",,,3\n")
    with pytest.raises(DataError, match=r"e\.csv: the header is line 4, not line 1; set skip_lines: 3$"):
        take(tmp_path)
    done = take(tmp_path, events={"path": "e.csv", "skip_lines": 3})
    assert done.tables["events"].rows == 3
    assert done.quarantine[LOCATOR].to_list() == ["e.csv:4"]


def test_columns_without_a_name_and_row_numbers_of_pandas_say_nothing(tmp_path):
    (tmp_path / "e.csv").write_text(EVENTS + rows(1))
    (tmp_path / "u.csv").write_text("user_id,Unnamed: 0,age,,\na,0,31,,\n")
    take(tmp_path, users={"path": "u.csv"})
    assert landed(tmp_path, "users").rows(named=True) == [{USER_ID: "a", "age": "31"}]
    parquet.write_table(pa.table({ITEM_ID: ["i"], TITLE: ["t"], "__index_level_0__": [0]}), tmp_path / "i.parquet")
    take(tmp_path, items={"path": "i.parquet"})
    assert "__index_level_0__" not in landed(tmp_path, "items").columns
    take(tmp_path, users={"path": "u.csv", "attributes": ["Unnamed: 0"]})  # asked for by name
    assert landed(tmp_path, "users").rows() == [("a", "0")]


def one_column(root: Path, name: str, cells: list[str], **table) -> Ingested:
    lines = [f"u{n};i;2024-05-01;{cell}\n" for n, cell in enumerate(cells)]
    (root / "e.csv").write_text(f"user_id;item_id;timestamp;{name}\n" + "".join(lines))
    return take(root, events={"path": "e.csv", "delimiter": ";", **table})


def test_numbers_with_decimal_commas_and_parted_thousands(tmp_path):
    cells = ["1.355,90", "99,5", "-12", "1.250", "1.234.567", "1.23", "12.50,0", ""]
    done = one_column(tmp_path, "value", cells, decimal=",", thousands=".")
    assert landed(tmp_path)[VALUE].to_list() == [1355.9, 99.5, -12.0, 1250.0, 1234567.0, None]
    assert done.quarantine[LOCATOR].to_list() == ["e.csv:6", "e.csv:7"]
    one_column(tmp_path, "value", ["1,250.5", "3.125", "1'000"], thousands=",")
    assert landed(tmp_path)[VALUE].to_list() == [1250.5, 3.125]


@pytest.mark.parametrize("comma", ["99,50", "1.099,50"])
def test_commas_and_points_that_cannot_both_be_decimal_are_refused(tmp_path, comma):
    with pytest.raises(DataError, match=r"column value has numbers such as 9,99 \(2 of them, the first: e.csv:9\)"):
        one_column(tmp_path, "value", ["1.250"] * 8 + [comma] * 2)
    done = one_column(tmp_path, "value", ["1.25", "3.5"] * 4 + [comma])  # nothing else in doubt: a fault of its own row
    assert done.quarantine.select(LOCATOR, REASON).rows() == [("e.csv:9", Reason.COMMA)]
    assert one_column(tmp_path, "value", ["1.250"] * 900 + [comma]).tables["events"].rows == 900


def test_decimal_and_thousands_are_two_signs():
    with pytest.raises(ValueError, match="decimal and thousands are the same sign"):
        tables.Config(events={"path": "e.csv", "decimal": ",", "thousands": ","})


def test_dates_of_spreadsheets_are_read_where_the_config_says_so(tmp_path):
    lines = ["u,i,45292.4813541667", "u,i,45292", "u,i,45382.1"]
    (tmp_path / "e.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(lines))
    done = take(tmp_path, events={"path": "e.csv", "time_format": "excel", "time_zone": "Europe/Berlin"})
    assert done.quarantine[REASON].to_list() == [Reason.NO_SUCH_TIME]  # 2024-03-31 02:24
    times = [datetime(2024, 1, 1, 10, 33, 9, tzinfo=UTC), datetime(2023, 12, 31, 23, tzinfo=UTC)]
    assert landed(tmp_path)[TIMESTAMP].to_list() == times
    parquet.write_table(
        pa.table({USER_ID: ["u"], ITEM_ID: ["i"], TIMESTAMP: [45292.4813541667]}), tmp_path / "e.parquet"
    )
    take(tmp_path, events={"path": "e.parquet", "time_format": "excel"})
    assert landed(tmp_path)[TIMESTAMP].to_list() == [datetime(2024, 1, 1, 11, 33, 9, tzinfo=UTC)]


def test_a_unit_that_is_not_the_datas_lands_in_no_year(tmp_path):
    (tmp_path / "e.csv").write_text("user_id,item_id,timestamp\nu,i,1704108789000\nu,i,1704108789\n")
    done = take(tmp_path, events={"path": "e.csv", "time_format": "ms"})
    assert done.quarantine.select(LOCATOR, REASON).rows() == [("e.csv:2", Reason.TOO_OLD)]


@pytest.mark.parametrize("lines", [1, 2, 3, 100])
def test_a_whole_number_is_one_id_however_it_is_written(tmp_path, monkeypatch, lines):
    monkeypatch.setattr(_jsonl, "_LINES", lines)
    ids = [17001, "17001", 17001.0, "17001.0", "17001.00", 17001, 17001.0, "017001", "v1.0"]
    written = [json.dumps({USER_ID: one, ITEM_ID: 7.0, TIMESTAMP: "2024-05-01"}) for one in ids]
    (tmp_path / "e.jsonl").write_text("\n".join(written))
    take(tmp_path, events={"path": "e.jsonl"})
    assert landed(tmp_path)[USER_ID].to_list() == ["17001"] * 7 + ["017001", "v1.0"]
    assert set(landed(tmp_path)[ITEM_ID]) == {"7"}


def test_words_for_nothing_may_be_ids_where_the_config_says_so(tmp_path):
    (tmp_path / "e.csv").write_text("user_id,item_id,timestamp\nNaN,i,2024-05-01\nu,undefined,2024-05-01\n")
    with pytest.raises(DataError, match=r"user_id is a word for nothing.*see ingest.no_ids"):
        take(tmp_path)
    ingested(tmp_path, IngestConfig(no_ids=()), events={"path": "e.csv"})
    assert landed(tmp_path).select(USER_ID, ITEM_ID).rows() == [("NaN", "i"), ("u", "undefined")]


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("['Drama', 'Old Films']", ["Drama", "Old Films"]),
        ('["Drama"]', ["Drama"]),
        ("[{'id': 16, 'name': 'Drama'}, {'id': 3, 'name': 'Comedy'}]", ["Drama", "Comedy"]),
        ("[['Shop', 'Toys'], ['Shop', 'Games']]", ["Shop", "Toys", "Games"]),
        ("[]", []),
        ("[{'id': 16}]", ["[{'id': 16}]"]),
        ("[Drama]", ["[Drama]"]),
        ("Drama|Comedy", ["Drama", "Comedy"]),
    ],
)
def test_lists_written_as_text_are_lists(tmp_path, cell, kept):
    (tmp_path / "e.csv").write_text(EVENTS + rows(1))
    (tmp_path / "i.csv").write_text(f"item_id;categories\ni0;{cell}\ni1;\ni2;plain\n")
    take(tmp_path, items={"path": "i.csv", "delimiter": ";", "quote": ""})
    assert landed(tmp_path, "items")[CATEGORIES].to_list() == [kept, None, ["plain"]]


def test_records_where_a_value_is_required_are_told(tmp_path):
    lines = [{USER_ID: f"u{n}", ITEM_ID: [{"item_id": "i"}], TIMESTAMP: "2024-05-01"} for n in range(3)]
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(DataError, match="item_id is a list or record where one value is required; name a field of it"):
        take(tmp_path, events={"path": "e.jsonl"})
    lines = [{"event": "buy", "properties": {USER_ID: "u", ITEM_ID: "i", "time": 1714557600}}]
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(
        DataError, match=r"'properties' holds records of user_id, item_id, time: name one as properties.user_id"
    ):
        take(tmp_path, events={"path": "e.jsonl"})
