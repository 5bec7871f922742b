"""`fenqun doctor` finds what is planted, names it and says what to do; what is in order it calls fine."""

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

import pytest

from flows.doctor import diagnose, lines
from schemas.health import Finding
from tasks.health import machine, packages, servers
from tasks.health.state import state
from tests.helpers.servers import free_port

VARIABLES = ("PREFECT_API_URL", "PREFECT_HOME", "MLFLOW_TRACKING_URI", "PREFECT_SERVER_API_AUTH_STRING", "HTTP_PROXY",
             "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")  # fmt: skip


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """No variable of this machine; and a folder that is ours alone."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@contextmanager
def listening(body: str, status: int = 200):
    """Something that answers every question with `body`; yields its port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def one(findings: list[Finding], name: str) -> Finding:
    (found,) = [finding for finding in findings if finding.name == name]
    return found


def without(name: str, monkeypatch, version: str | None = None) -> None:
    """A package is missing, or has another version."""
    true = metadata.version

    def told(asked: str) -> str:
        if asked.lower() != name:
            return true(asked)
        if version is None:
            raise metadata.PackageNotFoundError(asked)
        return version

    monkeypatch.setattr(metadata, "version", told)


def test_a_sound_installation_with_a_fresh_folder_has_nothing_wrong(home):
    home.chmod(0o700)
    found = diagnose(str(home))
    assert [finding for finding in found if finding.state == "wrong"] == []
    assert {"Python", "packages", "cores", "memory", "disk", "device", "bfloat16", "state folder", "port 4200",
            "port 5000", "Prefect", "environment", "extra dev"} <= {finding.name for finding in found}  # fmt: skip
    assert list(home.iterdir()) == [], "it changes nothing"


def test_whatever_is_not_fine_comes_with_a_remedy(home):
    assert all(finding.remedy for finding in diagnose(str(home)) if finding.state != "fine")


def test_a_missing_package_is_wrong(monkeypatch):
    without("polars", monkeypatch)
    found = one(packages.packages(), "package polars")
    assert (found.state, found.remedy) == ("wrong", "make install")
    assert found.found.startswith("missing, needs")


@pytest.mark.parametrize(
    ("name", "version", "why"), [("fastapi", "0.155.0", "ends on import"), ("sqlalchemy", "2.1.0", "never fire")]
)
def test_a_version_that_breaks_prefect_is_wrong_and_says_why(monkeypatch, name, version, why):
    without(name, monkeypatch, version)
    found = [finding for finding in packages.packages() if finding.name == f"package {name}"]
    assert any(why in finding.found for finding in found)
    assert {finding.state for finding in found} == {"wrong"}


def test_an_extra_that_is_there_in_part_is_told(monkeypatch):
    without("hypothesis", monkeypatch)
    found = one(packages.packages(), "extra dev")
    assert (found.state, found.found) == ("note", "lacks hypothesis")


def test_an_installation_that_is_none_is_wrong(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", missing)
    assert [finding.state for finding in packages.packages()] == ["wrong"]


def test_a_state_folder_that_is_a_file_is_wrong_and_the_rest_is_told(tmp_path):
    (tmp_path / "home").write_text("")
    found = diagnose(str(tmp_path / "home"))
    assert one(found, "state folder").state == "wrong"
    assert "FENQUN_HOME" in one(found, "state folder").remedy
    assert one(found, "port 4200")


def test_a_folder_that_is_not_there_yet_is_fine_and_not_made(tmp_path):
    assert [finding.state for finding in state(str(tmp_path / "a" / "b"))] == ["fine", "fine"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("mode", "expected"), [(0o700, "fine"), (0o755, "note"), (0o770, "wrong"), (0o777, "wrong")])
def test_who_may_look_into_the_folder(home, mode, expected):
    home.chmod(mode)
    assert one(state(str(home)), "state folder's permissions").state == expected


def pointer(home: Path, text: str) -> Path:
    place = home / "segmentations" / "shop" / "live.json"
    place.parent.mkdir(parents=True)
    place.write_text(text)
    return place


@pytest.mark.parametrize("text", ["", "{}", '{"revision": 1', '{"revision": 1, "live": null}'])
def test_a_damaged_pointer_is_wrong(home, text):
    place = pointer(home, text)
    found = one(state(str(home)), "segmentation shop")
    assert found.state == "wrong"
    assert str(place) in found.found
    assert "promote" in found.remedy


def test_a_live_model_that_is_gone_is_wrong(home):
    live = {"model_version": "3", "bundle": "artifacts/bundle/x", "sha256": "0" * 64, "run_id": "r", "users": 5,
            "as_of": "2026-01-01T00:00:00Z", "promoted_at": "2026-01-01T00:00:00Z"}  # fmt: skip
    pointer(home, json.dumps({"revision": 1, "live": live}))
    found = one(state(str(home)), "segmentation shop")
    assert found.state == "wrong"
    assert "version 3 is not whole" in found.found


def test_little_disk_is_a_note_and_none_is_wrong(home, monkeypatch):
    for free, expected in ((5 * 2**30, "note"), (2**20, "wrong"), (2**40, "fine")):
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _, free=free: type("Usage", (), {"free": free}))
        assert one(machine.machine(str(home)), "disk").state == expected


@pytest.mark.parametrize(
    ("body", "expected", "words"),
    [("true", "fine", "Prefect answers"), ("hello", "note", "taken by something that is not Prefect")],
)
def test_who_listens_on_a_port(tmp_path, monkeypatch, body, expected, words):
    with listening(body) as port:
        monkeypatch.setitem(servers.PORTS, "Prefect", port)
        found = one(servers.servers(str(tmp_path), None), f"port {port}")
    assert (found.state, found.found) == (expected, words)
    assert ("--prefect-port" in found.remedy) == (expected == "note")


def test_something_silent_on_a_port_is_told_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(servers, "SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        monkeypatch.setitem(servers.PORTS, "MLflow", port)
        assert one(servers.servers(str(tmp_path), None), f"port {port}").state == "note"


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}/api", "nonsense"])
def test_a_prefect_server_that_does_not_answer_is_wrong(home, monkeypatch, address):
    monkeypatch.setenv("PREFECT_API_URL", address.format(port=free_port()))
    found = one(diagnose(str(home)), "Prefect")
    assert found.state == "wrong"
    assert "unset PREFECT_API_URL" in found.remedy


def test_a_server_that_answers_but_is_not_prefect_is_wrong(tmp_path):
    with listening("hello") as port:
        assert one(servers.servers(str(tmp_path), f"http://127.0.0.1:{port}"), "Prefect").state == "wrong"
    with listening("true") as port:
        assert one(servers.servers(str(tmp_path), f"http://127.0.0.1:{port}/api"), "Prefect").state == "fine"


@pytest.mark.parametrize(
    ("name", "value"),
    [("PREFECT_HOME", "/elsewhere"), ("MLFLOW_TRACKING_URI", "http://other"), ("MLFLOW_RUN_ID", "r"),
     ("PREFECT_SERVER_API_AUTH_STRING", "a:b"), ("http_proxy", "http://127.0.0.1:9")],
)  # fmt: skip
def test_a_variable_that_is_in_the_way_is_told(home, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    (found,) = servers.variables(str(home), None)
    assert found.state == "note"
    assert name in found.found or "proxy" in found.found


def test_variables_that_lead_home_are_fine(home, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(home / "prefect"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert [finding.state for finding in servers.variables(str(home), None)] == ["fine"]


def test_a_look_that_fails_is_itself_a_finding(home, monkeypatch):
    def broken(_):
        raise OSError("libtorch.so: cannot open shared object file")

    monkeypatch.setattr(machine, "machine", broken)
    found = diagnose(str(home))
    assert one(found, "machine").state == "wrong"
    assert "libtorch.so" in one(found, "machine").found
    assert one(found, "packages")


def test_findings_are_told_with_their_remedies():
    found = [Finding("disk", "fine", "1 TiB"), Finding("port 4200", "note", "taken", "choose another")]
    assert lines(found) == "fine   disk: 1 TiB\nnote   port 4200: taken\n       -> choose another"
    assert json.loads(lines(found, as_json=True))[1] == {
        "name": "port 4200", "state": "note", "found": "taken", "remedy": "choose another"
    }  # fmt: skip
