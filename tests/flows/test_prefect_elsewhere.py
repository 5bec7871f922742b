"""A Prefect server that a profile or a settings file names is not of this machine: it never sees our key."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = "127.0.0.2"
"""A host that is none of ours, though this machine answers for it."""
START = """
from flows.__main__ import environment
environment()
from flows.running import prefect_starting
with prefect_starting():
    pass
"""


@pytest.fixture
def remote() -> Iterator[tuple[str, list[str | None]]]:
    """The address of a server elsewhere, and who was said to ask, by request."""
    heard: list[str | None] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append(self.headers.get("authorization"))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer((ELSEWHERE, 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{ELSEWHERE}:{server.server_port}/api", heard
    server.shutdown()


def started(tmp_path: Path) -> subprocess.CompletedProcess:
    """A command up to where Prefect is there."""
    return fenqun(tmp_path, "-c", START)


def fenqun(tmp_path: Path, *words: str) -> subprocess.CompletedProcess:
    """With no PREFECT_HOME but what the command itself makes of FENQUN_HOME: the profile lies there."""
    theirs = ("PREFECT_API", "PREFECT_HOME", "PREFECT_PROFILE")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    environment = {**plain, "FENQUN_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )


def profile(tmp_path: Path, address: str, more: str = "") -> None:
    place = tmp_path / "home" / "prefect"
    place.mkdir(parents=True)
    settings = f'active = "shop"\n[profiles.shop]\nPREFECT_API_URL = "{address}"\n{more}'
    (place / "profiles.toml").write_text(settings)


def test_a_server_that_a_profile_names_is_not_shown_the_key(tmp_path, remote):
    address, heard = remote
    profile(tmp_path, address)
    done = started(tmp_path)
    assert done.returncode == 0, done.stderr
    assert heard
    assert set(heard) == {None}


@pytest.mark.slow
def test_a_server_that_a_settings_file_names_is_not_shown_the_key(tmp_path, remote):
    address, heard = remote
    (tmp_path / "prefect.toml").write_text(f'[api]\nurl = "{address}"\n')
    done = started(tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(heard) == {None}


@pytest.mark.slow
def test_the_key_of_a_profile_is_the_one_that_is_shown(tmp_path, remote):
    address, heard = remote
    profile(tmp_path, address, 'PREFECT_API_AUTH_STRING = "ann:secret"\n')
    done = started(tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(heard) == {"Basic YW5uOnNlY3JldA=="}


def test_doctor_looks_for_the_server_that_a_profile_names(tmp_path, remote):
    """It says 200 and nothing, as no Prefect does."""
    address, heard = remote
    profile(tmp_path, address)
    done = fenqun(tmp_path, "-m", "flows", "doctor")
    assert f"{address} does not answer (status 200, which is not Prefect's)" in done.stdout
    assert set(heard) == {None}


def test_the_server_that_we_start_ourselves_is_shown_the_key(tmp_path):
    """Where nothing names a server; to ask that made Prefect read its settings too early once."""
    told = "from prefect.settings import PREFECT_API_AUTH_STRING as key\nprint('shown:', (key.value() or '')[:7])\n"
    done = fenqun(tmp_path, "-c", START + told)
    assert done.returncode == 0, done.stderr
    assert "shown: fenqun:" in done.stdout
