"""Nothing from outside gets in: real servers, forged requests at every port, a browser on pages of other origins."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest
import yaml

from tasks.disk.key import password
from tasks.serving.door import PARAMETER
from tasks.serving.requests import EXAMPLE
from tests.helpers.configs import SMALL
from tests.helpers.doors import SECRET, SERVERS, House, all_open
from tests.helpers.elsewhere import page_elsewhere
from tests.helpers.servers import ROOT, until

pytestmark = pytest.mark.slow
JSON, PLAIN, FORM = "application/json", "text/plain", "application/x-www-form-urlencoded"
STEAL = {"pull_steps": [{"prefect.deployments.steps.run_shell_script": {"script": "touch /tmp/stolen"}}]}
VARIABLE, EXPERIMENT = json.dumps({"name": "forged", "value": 1}), json.dumps({"name": "forged"})
ASKED = json.dumps({"dataframe_records": [EXAMPLE]})
GRAPH = json.dumps({"query": '{mlflowSearchRuns(input:{experimentIds:["0","1"]}){runs{info{runId}}}}'})

FORGED = {
    "another host": {"Origin": "http://evil.example"},
    "another port": {"Origin": "http://127.0.0.1:9999", "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    "a sandboxed frame": {"Origin": "null", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "a rebound name": {"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"},
    "a rebound name without origin": {"Host": "evil.example:{port}", "Sec-Fetch-Site": "same-origin"},
    "a rebound name like an address": {"Host": "10.evil.example:{port}"},
    "a script tag": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
}
REQUESTS = {
    "prefect": [
        ("GET", "/api/admin/settings", None, None),
        ("GET", "/api/deployments/{deployment}", None, None),
        ("POST", "/api/variables/", JSON, VARIABLE),
        ("POST", "/api/variables/", PLAIN, VARIABLE),
        ("POST", "/api/variables/filter", JSON, "{}"),
        ("POST", "/api/deployments/{deployment}/create_flow_run", FORM, "a=b"),
        ("POST", "/api/deployments/{deployment}/create_flow_run", JSON, "{}"),
        ("PATCH", "/api/deployments/{deployment}", JSON, json.dumps(STEAL)),
        ("OPTIONS", "/api/deployments/{deployment}", None, None),
        ("DELETE", "/api/deployments/{deployment}", None, None),
    ],
    "mlflow": [
        ("GET", "/api/2.0/mlflow/experiments/search?max_results=9", None, None),
        ("POST", "/api/2.0/mlflow/experiments/create", JSON, EXPERIMENT),
        ("POST", "/api/2.0/mlflow/experiments/create", PLAIN, EXPERIMENT),
        ("POST", "/ajax-api/2.0/mlflow/experiments/create", FORM, EXPERIMENT),
        ("POST", "/graphql", JSON, GRAPH),
        ("POST", "/graphql", PLAIN, GRAPH),
        ("DELETE", "/api/2.0/mlflow/registered-models/delete?name=demo", JSON, '{"name": "demo"}'),
        ("OPTIONS", "/api/2.0/mlflow/experiments/create", None, None),
    ],
    "model": [
        ("POST", "/invocations", JSON, ASKED),
        ("POST", "/invocations", PLAIN, ASKED),
        ("POST", "/invocations", "text/csv", "user_id\nu1\n"),
        ("GET", "/version", None, None),
        ("OPTIONS", "/invocations", None, None),
    ],
    "temporary": [
        ("GET", "/api/admin/settings", None, None),
        ("POST", "/api/variables/", JSON, VARIABLE),
        ("POST", "/api/variables/", PLAIN, VARIABLE),
        ("POST", "/api/variables/filter", JSON, "{}"),
    ],
}
CASES = [(server, who, *request) for server in SERVERS for who in FORGED for request in REQUESTS[server]]
UNANSWERED = (400, 401, 403)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with all_open(tmp_path_factory.mktemp("doors") / "state") as opened:
        yield opened


@pytest.fixture(scope="module")
def before(house: House) -> dict[str, object]:
    """The state before anybody forged anything."""
    return house.state()


def forged(house: House, server: str, who: str, asked: tuple, shown: dict[str, str]) -> httpx.Response:
    """What a browser would send for a page that is `who`."""
    method, path, kind, body = asked
    headers = {name: value.format(port=house.ports[server]) for name, value in FORGED[who].items()} | shown
    if kind:
        headers["Content-Type"] = kind
    if method == "OPTIONS":
        headers |= {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    url = f"http://127.0.0.1:{house.ports[server]}{path.format(deployment=house.deployment)}"
    return house.client.request(method, url, headers=headers, content=body)


@pytest.mark.parametrize(("server", "who", "method", "path", "kind", "body"), CASES)
def test_a_forged_request_reads_and_changes_nothing(house, before, server, who, method, path, kind, body):
    """The browser adds the cookie of whoever signed in; the temporary server gives none."""
    shown = {} if server == "temporary" else {"Cookie": house.cookie}
    answer = forged(house, server, who, (method, path, kind, body), shown)
    assert answer.status_code in UNANSWERED
    assert SECRET not in answer.text
    assert "segment_id" not in answer.text
    assert not [name for name in answer.headers if name.startswith("access-control-allow")]
    assert house.state() == before


@pytest.mark.parametrize("server", ["prefect", "mlflow", "temporary"])
@pytest.mark.parametrize("shown", ["", "fenqun:other"])
def test_who_has_no_key_reads_and_changes_nothing(house, before, server, shown):
    for method, path, kind, body in REQUESTS[server]:
        if method == "OPTIONS":
            continue
        url = f"http://127.0.0.1:{house.ports[server]}{path.format(deployment=house.deployment)}"
        auth = tuple(shown.split(":")) if shown else None
        answer = httpx.request(method, url, content=body, headers={"Content-Type": kind} if kind else {}, auth=auth)
        assert answer.status_code == 401
        assert SECRET not in answer.text
    assert house.state() == before


@pytest.mark.parametrize("server", ["prefect", "temporary"])
@pytest.mark.parametrize("path", ["/api/events/in", "/api/events/out", "/api/logs/out"])
def test_a_websocket_tells_and_takes_nothing_without_the_key(house, server, path):
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.sync.client import connect

    url = f"ws://127.0.0.1:{house.ports[server]}{path}"

    def greeted(token: str, **more) -> dict:
        with connect(url, subprotocols=["prefect"], **more) as socket:
            socket.send(json.dumps({"type": "auth", "token": token}))
            return json.loads(socket.recv(timeout=10))

    secret = password(str(house.home))
    with pytest.raises((ConnectionClosed, InvalidStatus)):
        greeted("other")
    if server == "prefect":
        with pytest.raises(InvalidStatus):
            greeted(secret, origin="http://127.0.0.1:9999")
    assert greeted(secret) == {"type": "auth_success"}


def test_only_the_ports_that_are_named_are_open_and_all_on_loopback(house):
    """The fourth is the control channel of Prefect's runner: it takes nothing but a run's own one-time token."""
    found = set()
    for process in house.processes.values():
        for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            found |= {c.laddr for c in one.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert {place.ip for place in found} == {"127.0.0.1"}
    others = {place.port for place in found} - set(house.ports.values())
    assert len(others) <= 1
    for port in others:
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/", timeout=3)


def test_our_own_command_needs_no_setting_and_leaves_nothing_for_others_to_read(house):
    (house.home.parent / "small.yaml").write_text(yaml.safe_dump(SMALL))
    api = f"http://127.0.0.1:{house.ports['prefect']}/api"
    environment = {name: value for name, value in os.environ.items() if not name.endswith("AUTH_STRING")}
    done = subprocess.run(
        [sys.executable, "-m", "flows", "retrain", "--config", str(house.home.parent / "small.yaml")], cwd=ROOT,
        env={**environment, "FENQUN_HOME": str(house.home), "PREFECT_API_URL": api, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    runs = house.ask("prefect", "POST", "/api/flow_runs/filter", json={}).json()
    assert [run["state_type"] for run in runs] == ["COMPLETED"]
    opened = {str(one) for one in (house.home, *house.home.rglob("*")) if one.exists() and one.stat().st_mode & 0o077}
    assert opened == set()


def test_an_honest_program_is_answered(house):
    answer = httpx.post(
        f"http://127.0.0.1:{house.ports['model']}/invocations",
        content=ASKED,
        headers={"Content-Type": JSON},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0]["model_version"] == "1"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with page_elsewhere(tmp_path_factory.mktemp("elsewhere")) as port:
        yield port


@pytest.fixture(scope="module")
def browser(house: House, tmp_path_factory: pytest.TempPathFactory):
    """A headless browser that has clicked the printed address, once."""
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        pytest.skip("needs chromium")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    profile = f"user-data-dir={tmp_path_factory.mktemp('chromium')}"
    for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "no-first-run", profile):
        options.add_argument(f"--{word}")
    # A name that another's name server makes point here.
    options.add_argument("--host-resolver-rules=MAP evil.example 127.0.0.1")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_script_timeout(240)
    printed = until(lambda: [w for w in (house.home.parent / "log").read_text().split() if PARAMETER in w], 30)
    driver.get(printed[0])
    yield driver
    driver.quit()


def text(browser) -> str:
    return browser.execute_script("return document.body ? document.body.innerText : ''")


def test_one_click_opens_both_uis(house, browser):
    until(lambda: "rollback" in text(browser) and "movielens" in text(browser), 40)  # the first page of the list
    assert PARAMETER not in browser.current_url
    browser.get(f"http://127.0.0.1:{house.ports['mlflow']}/#/experiments?workflowType=machine_learning")
    until(lambda: SECRET in text(browser), 40)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "evil.example"])
def test_a_page_of_another_origin_gets_nothing_in_a_real_browser(house, browser, elsewhere, name):
    before = house.state()
    for server in SERVERS:
        browser.get(f"http://{name}:{elsewhere}/")
        base = f"http://127.0.0.1:{house.ports[server]}"
        jobs = [
            (method, base + path.format(deployment=house.deployment), kind, body)
            for method, path, kind, body in REQUESTS[server]
            if method != "OPTIONS"
        ]
        told = browser.execute_async_script("attack(arguments[0]).then(arguments[1])", jobs)
        assert len(told) > len(jobs)
        for way, url, outcome, body in told:
            assert body == "", (way, url)
            assert outcome in ("error", "opaque"), (way, url)
    assert house.state() == before


def test_a_rebound_name_gets_nothing_in_a_real_browser(house, browser):
    for server in SERVERS:
        browser.get(
            f"http://evil.example:{house.ports[server]}{REQUESTS[server][0][1].format(deployment=house.deployment)}"
        )
        assert SECRET not in browser.page_source
        asked = "fetch(arguments[0], {method: 'POST', body: '{}', headers: {'content-type': 'application/json'}})"
        found = browser.execute_async_script(
            f"{asked}.then(a => a.text().then(t => arguments[1]([a.status, t])))",
            "/invocations" if server == "model" else "/api/variables/filter",
        )
        assert found[0] in UNANSWERED, found
        assert SECRET not in found[1]


def test_the_browser_of_the_tests_would_see_a_server_that_lets_in(browser, elsewhere):
    """What the page above does to our servers works on one that answers everybody: it can fail."""
    seen = []

    class Open(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("access-control-allow-origin", self.headers["origin"] or "*")
            self.send_header("access-control-allow-credentials", "true")
            self.end_headers()
            self.wfile.write(SECRET.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Open)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser.get(f"http://localhost:{elsewhere}/")
    jobs = [("POST", f"http://127.0.0.1:{server.server_port}/api", PLAIN, VARIABLE)]
    told = browser.execute_async_script("attack(arguments[0]).then(arguments[1])", jobs)
    time.sleep(1)
    server.shutdown()
    assert ["cors", jobs[0][1], "cors", SECRET] in told
    assert len(seen) == 3  # by fetch with and without CORS, and by the form
