"""Bodies that are too long or too deep are refused in one line, before anything parses them."""

import json

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from schemas.limits import MAX_DEPTH
from tasks.serving import bounds
from tasks.serving.apps import scoring
from tasks.serving.bounds import bounded, nesting

URL = "http://127.0.0.1:5001"
JSON = {"Content-Type": "application/json"}


def deep(levels: int, opens: str = "[", closes: str = "]") -> str:
    """A request whose events are nested."""
    return '{"dataframe_records": [{"user_id": "a", "events": ' + opens * levels + closes * levels + "}]}"


@pytest.fixture
def client(shop, monkeypatch):
    """What `fenqun serve` serves, of the first registered version."""
    home, (first, _), _, ledger = shop
    monkeypatch.setenv("FENQUN_HOME", str(home))
    monkeypatch.setenv("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "120")
    with ledger.model_folder(first.version) as folder:
        return TestClient(scoring(folder), base_url=URL, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (deep(10_000), 400, f"nested more than {MAX_DEPTH} deep"),
        (deep(10_000, '{"a":', "}"), 400, f"nested more than {MAX_DEPTH} deep"),
        (deep(100_000, "[", ""), 400, f"nested more than {MAX_DEPTH} deep"),
        (deep(200), 400, "has to be an object"),
        ("[" * 10_000, 400, f"nested more than {MAX_DEPTH} deep"),
        ("[]" * 10_000, 400, ""),
        ('{"dataframe_records": [', 400, ""),
        ("", 400, ""),
    ],
)
def test_a_body_that_is_nested_deep_is_a_bad_request(client, sent, status, words):
    told = client.post("/invocations", content=sent, headers=JSON)
    assert (told.status_code, words in told.json()["message"]) == (status, True), told.text[:500]
    assert "\n" not in told.json()["message"] or "nested" not in words


def test_who_made_a_mistake_is_told_it_and_none_of_the_rows_sent(client):
    rows = [{"user_id": "somebody", "events": []}, {"user_id": "x" * 2000}]
    told = client.post("/invocations", json={"dataframe_records": rows})
    assert told.status_code == 400
    assert told.json()["message"] == "request: user_id: longer than the 1024 bytes of an id (user 2 of 2)"
    assert "somebody" not in told.text
    assert int(told.headers["content-length"]) == len(told.content)


def test_brackets_in_a_text_are_no_nesting(client):
    texts = [{"text": "[" * 10_000 + '\\"{', "timestamp": 1_700_000_000, "kind": "review"}]
    body = json.dumps({"dataframe_records": [{"user_id": "a", "texts": texts}]})
    told = client.post("/invocations", content=body, headers=JSON)
    assert told.status_code == 200, told.json()["message"][-300:]


def test_a_body_that_does_not_say_what_it_is_is_told_so(client):
    told = client.post("/invocations", content=b"{}")
    assert (told.status_code, "Content-Type" in told.json()["message"]) == (415, True)


@pytest.mark.parametrize(
    ("body", "levels"),
    [("", 0), ("1", 0), ('"[["', 0), ("[[], [[]], {}]", 3), ('{"a\\"[": ["]", {"b": [1]}]}', 4), ('["\\\\", [1]]', 2)],
)
def test_nesting_is_counted_as_json_has_it(body, levels):
    assert nesting(body.encode()) == levels


async def _length(request):
    return JSONResponse({"length": len(await request.body())})


def parts(n: int):
    """A body of n bytes that says nothing of its length."""
    yield from (b"x" for _ in range(n))


def test_a_body_is_bounded_whether_or_not_it_says_how_long_it_is(monkeypatch):
    monkeypatch.setattr(bounds, "MAX_BODY_BYTES", 100)
    client = TestClient(bounded(Starlette(routes=[Route("/", _length, methods=["POST"])])), base_url=URL)
    for make in (bytes, parts):
        assert client.post("/", content=make(100), headers=JSON).json() == {"length": 100}
        told = client.post("/", content=make(101), headers=JSON)
        assert (told.status_code, "longer than 100 bytes" in told.json()["message"]) == (413, True)
