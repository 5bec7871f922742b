"""Requests over HTTP: ids alone, ids in other forms, bodies that are too much, and what goes on serving."""

import json
import logging

import mlflow
import pytest
from fastapi.testclient import TestClient

from schemas.errors import DataError
from tasks.disk import files
from tasks.serving import online, requests
from tasks.stores import pointer
from tasks.stores.tables import table_path
from tests.helpers.damage import flip
from tests.helpers.versions import AS_OF, NAME, make_live, seen


@pytest.fixture
def ask(shop, monkeypatch):
    """MLflow's own scoring application round the registered model; gives status and body."""
    from mlflow.pyfunc.scoring_server import init

    home, (first, _), _, ledger = shop
    monkeypatch.setenv("FENQUN_HOME", str(home))
    monkeypatch.setenv("FENQUN_FOLLOW", "live")
    monkeypatch.setenv("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "120")
    with ledger.model_folder(first.version) as folder:
        client = TestClient(init(mlflow.pyfunc.load_model(str(folder))), raise_server_exceptions=False)

    def call(users: list[dict] | str) -> tuple[int, str]:
        body = users if isinstance(users, str) else json.dumps({"dataframe_records": users})
        told = client.post("/invocations", content=body, headers={"Content-Type": "application/json"})
        return told.status_code, told.text

    return call


def rows(told: tuple[int, str]) -> list[dict]:
    status, body = told
    assert status == 200, body[:1000]
    return json.loads(body)["predictions"]


def test_a_known_user_sent_by_id_alone_gets_what_is_published(shop, ask):
    make_live(shop, 0)
    published = {row["user_id"]: row for row in seen(shop[0])["assignments"]}
    told = rows(ask([{"user_id": name} for name in published]))
    for row in told:
        expected = published[row["user_id"]]
        for column in ("segment_id", "confidence", "distance", "second_segment_id", "status", "model_version"):
            assert row[column] == expected[column], column
        assert row["reasons"] == [online.PUBLISHED, *expected["reasons"]]
        assert row["as_of"].startswith(f"{AS_OF:%Y-%m-%dT%H:%M}")


def test_who_is_not_published_is_said_to_be_unknown_and_others_are_answered_beside(shop, ask):
    make_live(shop, 1)
    known = seen(shop[0])["assignments"][0]
    event = {"item_id": "i1", "event": "view", "timestamp": "2025-01-01T00:00Z"}
    told = rows(ask([{"user_id": "nobody"}, {"user_id": known["user_id"]}, {"user_id": "new", "events": [event]}]))
    assert [row["user_id"] for row in told] == ["nobody", known["user_id"], "new"]
    assert (told[0]["status"], told[0]["segment_id"], told[0]["confidence"]) == ("unassigned", None, 0.0)
    assert told[0]["reasons"] == [online.UNKNOWN]
    assert told[1]["segment_id"] == known["segment_id"]
    assert online.PUBLISHED not in told[2]["reasons"]


def test_an_empty_list_says_that_there_is_nothing_and_is_answered_by_the_model(shop, ask):
    make_live(shop, 0)
    (row,) = rows(ask([{"user_id": "new", "events": []}]))
    assert not {online.PUBLISHED, online.UNKNOWN, online.NOWHERE} & set(row["reasons"])


def test_a_server_without_the_published_tables_says_so(shop, ask):
    (row,) = rows(ask([{"user_id": "用户003"}]))
    assert (row["status"], row["segment_id"], row["reasons"]) == ("unassigned", None, [online.NOWHERE])


def test_a_pinned_version_answers_by_id_with_what_is_published_now(shop, ask, monkeypatch):
    monkeypatch.delenv("FENQUN_FOLLOW")
    make_live(shop, 1)
    (row,) = rows(ask([{"user_id": "用户003"}]))
    expected = next(row for row in seen(shop[0])["assignments"] if row["user_id"] == "用户003")
    assert (row["model_version"], row["segment_id"]) == (expected["model_version"], expected["segment_id"])


def test_a_damaged_table_answers_nobody_by_id(shop, ask):
    """Whatever byte has changed: of a text, which was told as it stood or ended in a panic, or of a number."""
    home = shop[0]
    make_live(shop, 0)
    (file,) = table_path(str(home), NAME, "assignments").glob("*.parquet")
    flip(file, file.stat().st_size // 3)
    status, body = ask([{"user_id": "用户003"}])
    assert status == 400
    assert "is damaged and is not read" in body
    assert rows(ask([{"user_id": "new", "events": []}])), "who is sent with events needs no table"


@pytest.mark.parametrize("damage", ["cut", "folder", "model"])
def test_what_is_loaded_goes_on_serving_while_the_pointer_is_damaged(shop, ask, caplog, damage):
    home = shop[0]
    make_live(shop, 0)
    users = [{"user_id": "用户003"}, {"user_id": "new", "events": []}]
    before = rows(ask(users))
    place = pointer.pointer_path(str(home), NAME)
    content = files.unsealed(place.read_bytes())
    if damage == "model":
        content["live"] |= {"bundle": "artifacts/bundle/gone", "model_version": "9"}
        place.write_text(json.dumps(content))
    elif damage == "cut":
        place.write_bytes(place.read_bytes()[:40])
    else:
        place.unlink()
        place.mkdir()
    with caplog.at_level(logging.ERROR):
        told = [rows(ask(users)) for _ in range(3)]
    for answer in told:
        assert [{**row, "as_of": ""} for row in answer] == [{**row, "as_of": ""} for row in before]
    assert [record.name for record in caplog.records].count("fenqun.serving") == 1
    assert "version 1 goes on serving" in caplog.text


def test_a_pointer_that_was_never_read_is_an_error_not_another_model(shop, ask):
    place = pointer.pointer_path(str(shop[0]), NAME)
    place.parent.mkdir(parents=True)
    place.write_text("{")
    status, body = ask([{"user_id": "new", "events": []}])
    assert status >= 400
    assert "damaged" in body


def test_an_id_is_one_id_in_whichever_form_it_is_sent(shop, ask):
    make_live(shop, 0)
    event = {"item_id": "i1", "event": "view", "timestamp": 1e9}
    (row,) = rows(ask([{"user_id": "Zoe\u0308", "events": [{**event, "user_id": "Zo\u00eb"}]}]))
    assert row["user_id"] == "Zo\u00eb"
    status, body = ask([{"user_id": "Zoe\u0308"}, {"user_id": "Zo\u00eb"}])
    assert (status, "comes twice" in body) == (400, True)
    (row,) = rows(ask([{"user_id": 7, "events": [event]}]))
    assert row["user_id"] == "7"


def body(user_id: str) -> str:
    """A request for one user, from its id on."""
    return '{"dataframe_records": [{"user_id": ' + user_id + "}]}"


NEST = "[" * 200 + "1" + "]" * 200


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("1e400", "user_id: NaN or infinite"),
        ('1e400}, {"user_id": "a"', "user_id: in scientific notation"),
        ('"a\\u0000b"', "user_id: holds a NUL character"),
        (f'"{"x" * 1025}"', "user_id: longer than the 1024 bytes of an id"),
        ('{"a": 1}', "user_id: a list or record where one value is required"),
        ('["a"]', "user_id: a list or record where one value is required"),
        ("null", "user_id: every user needs one"),
        ('"a", "evnts": []', "did you mean events?"),
        (f'"a", "events": "{"[" * 10_000}"', "text, but not JSON"),
        (f'"a", "events": {NEST}', "has to be an object"),
        (
            f'"a", "events": [{{"item_id": {NEST}, "event": "e", "timestamp": 1e9}}]',
            "item_id: a list or record where one",
        ),
        (f'"a", "attributes": {{"{"x" * 10**6}": 1}}', "not known to the model"),
    ],
)
def test_what_ingest_would_not_take_is_refused_in_words(ask, sent, words):
    status, told = ask(body(sent))
    assert status == 400
    assert words in json.loads(told)["message"]
    assert len(json.loads(told)["message"]) < 600


def test_a_body_nested_ten_thousand_deep_ends_no_server(ask):
    """MLflow reads the body before the model sees it, and answers 500; deep lists sent as text are ours to refuse."""
    status, told = ask(body('"a", "events": ' + "[" * 10_000 + "]" * 10_000))
    assert (status >= 400, len(told) < 200, "Traceback" in told) == (True, True, False)
    assert rows(ask([{"user_id": "a"}]))


@pytest.mark.parametrize(
    ("bound", "users", "words"),
    [
        ("MAX_USERS", [{"user_id": str(i)} for i in range(4)], "4 users; send at most 3"),
        ("MAX_ROWS_OF_USER", [{"user_id": "a", "texts": [{}] * 4}], "4 texts of one user; send at most the newest 3"),
        ("MAX_ROWS", [{"user_id": i, "events": [{}, {}]} for i in "ab"], "4 events and texts; send at most 3"),
    ],
)
def test_a_request_is_bounded(monkeypatch, bound, users, words):
    monkeypatch.setattr(requests, bound, 3)
    with pytest.raises(DataError, match=words):
        requests.asked(users)
