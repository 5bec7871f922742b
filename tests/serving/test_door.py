"""The door before our servers: who may ask, from where, and what stands behind it hears of nobody else."""

import base64
import stat

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse

from tasks.disk.key import USER, authorization, key, shown_to_mlflow, shown_to_prefect
from tasks.serving.door import PARAMETER, behind_door

KEY, OWN, SOCKET = "k" * 43, "http://127.0.0.1:4200", "ws://127.0.0.1:4200/out"
SHOWN = {"authorization": authorization(KEY)}
STRANGERS = {
    "another host": [("origin", "http://example.org")],
    "another port of this machine": [("origin", "http://127.0.0.1:8080")],
    "another name of this machine": [("origin", "http://localhost:4200")],
    "a sandboxed frame": [("origin", "null")],
    "another scheme": [("origin", "https://127.0.0.1:4200")],
    "two origins": [("origin", OWN), ("origin", "http://example.org")],
    "an image of another site": [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "no-cors"),
        ("sec-fetch-dest", "image"),
    ],
    "a script of another port": [
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-mode", "no-cors"),
        ("sec-fetch-dest", "script"),
    ],
    "a frame": [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
    "a host's name": [("host", "example.org")],
    "a host's name with our port": [("host", "example.org:4200")],
    "a name like a private address": [("host", "10.example.org")],
    "a name that ends like ours": [("host", "example.localhost")],
    "no host": [("host", "")],
}
HONEST = {
    "a program": {},
    "our own page": {"origin": OWN},
    "our own page's image": {"sec-fetch-site": "same-origin", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
    "an address typed": {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    "a link followed": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    "this machine's name": {"host": "localhost:4200", "origin": "http://localhost:4200"},
}


class Behind:
    """An application that keeps what it was asked."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str | None]] = []
        routes = [Route("/{path:path}", self._answer, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])]
        self.app = Starlette(routes=[*routes, WebSocketRoute("/{path:path}", self._talk)])

    async def _answer(self, request):
        self.heard.append((request.method, request.headers.get("authorization")))
        return JSONResponse({"secret": "yes"})

    async def _talk(self, socket):
        self.heard.append(("websocket", None))
        await socket.accept()
        await socket.send_text("secret")
        await socket.close()


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def client(behind: Behind) -> TestClient:
    return TestClient(behind_door(behind.app, KEY), base_url=OWN, follow_redirects=False)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("who", STRANGERS)
def test_a_stranger_gets_nothing_though_the_browser_shows_the_key(client, behind, who, method):
    answer = client.request(method, "/api", headers=[*SHOWN.items(), *STRANGERS[who]])
    assert answer.status_code in (400, 403)
    assert "secret" not in answer.text
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert behind.heard == []


@pytest.mark.parametrize("who", STRANGERS)
def test_a_stranger_opens_no_websocket(client, behind, who):
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(SOCKET, headers=dict(STRANGERS[who])),
    ):
        pass
    assert refused.value.status_code in (400, 403)
    assert behind.heard == []


@pytest.mark.parametrize("who", HONEST)
def test_who_shows_the_key_is_answered(client, behind, who):
    answer = client.get("/api", headers={**SHOWN, **HONEST[who]})
    assert answer.json() == {"secret": "yes"}
    assert behind.heard == [("GET", authorization(KEY))]


@pytest.mark.parametrize("who", HONEST)
def test_without_a_key_honest_ones_are_asked_for_it(client, behind, who):
    answer = client.get("/api", headers=HONEST[who])
    assert answer.status_code == 401
    assert "fenqun ui" in answer.text
    assert behind.heard == []


@pytest.mark.parametrize("shown", ["", "Basic", "Basic ???", f"Bearer {KEY}", authorization(KEY[:-1]), "Basic Og=="])
def test_another_key_is_none(client, behind, shown):
    assert client.get("/api", headers={"authorization": shown}).status_code == 401
    assert behind.heard == []


def test_a_websocket_of_a_program_passes_for_the_one_behind_to_ask(client, behind):
    with client.websocket_connect(SOCKET) as socket:
        assert socket.receive_text() == "secret"


def test_one_click_on_the_printed_address_lets_a_browser_in(client, behind):
    answer = client.get(f"/deployments?a=1&{PARAMETER}={KEY}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{OWN}/deployments?a=1")
    name, *flags = (part.strip() for part in answer.headers["set-cookie"].split(";"))
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(flags)
    assert name.split("=")[0] in client.cookies
    assert client.get("/deployments?a=1").status_code == 200
    # What is behind knows nothing of our cookie, and believes no other password that the browser sends beside it.
    assert client.post("/api", headers={"origin": OWN, "authorization": "Basic b3RoZXI="}).status_code == 200
    assert behind.heard == [("GET", authorization(KEY)), ("POST", authorization(KEY))]
    assert client.post("/api", headers={"origin": "http://127.0.0.1:8080"}).status_code == 403
    assert client.get("/api", headers={"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}).status_code == 403
    assert len(behind.heard) == 2


@pytest.mark.parametrize("address", [f"/?{PARAMETER}=", f"/?{PARAMETER}=other", f"/?{PARAMETER}=é"])
def test_a_wrong_address_lets_nobody_in(client, behind, address):
    answer = client.get(address)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert behind.heard == []


def test_a_stranger_s_page_does_not_exchange_the_key_for_a_cookie(client):
    answer = client.get(f"/?{PARAMETER}={KEY}", headers={"origin": "http://example.org"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("who", STRANGERS)
def test_without_a_key_strangers_get_nothing_either(behind, who):
    client = TestClient(behind_door(behind.app, None), base_url=OWN)
    assert client.get("/").status_code == 200
    assert client.post("/", headers=STRANGERS[who]).status_code in (400, 403)
    assert behind.heard == [("GET", None)]


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path):
    made = key(str(tmp_path))
    assert len(made) >= 43
    assert key(str(tmp_path)) == made
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    (tmp_path / "key").write_text("")  # a crash between the file and its content
    assert len(key(str(tmp_path))) >= 43


def test_the_key_is_shown_to_this_machine_alone(tmp_path):
    home, secret = str(tmp_path), key(str(tmp_path))
    for address in ("http://127.0.0.1:4200/api", "http://localhost:4200/api"):
        assert shown_to_prefect(home, address) == {"PREFECT_API_AUTH_STRING": f"{USER}:{secret}"}
        assert shown_to_mlflow(home, address)["MLFLOW_TRACKING_PASSWORD"] == secret
    for address in ("https://prefect.example.org/api", "http://127.0.0.1.example.org/api", "http://10.0.0.1:4200/api"):
        assert shown_to_prefect(home, address) == shown_to_mlflow(home, address) == {}
    assert shown_to_mlflow(home, None) == shown_to_mlflow(home, "sqlite:////tmp/mlflow.db") == {}
    temporary = shown_to_prefect(home, None)
    assert temporary["PREFECT_SERVER_API_AUTH_STRING"] == temporary["PREFECT_API_AUTH_STRING"]
    assert base64.b64decode(authorization(secret).split()[1]).decode() == temporary["PREFECT_API_AUTH_STRING"]
