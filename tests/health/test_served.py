"""Where `fenqun ui` serves is known to every command of its state folder, for as long as it does."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.config import LedgerConfig
from tasks.health.pages import pages
from tasks.health.served import FILE, served, serving
from tasks.health.servers import servers


@pytest.fixture
def listening():
    """Addresses of Prefect and of MLflow, where something listens."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [place.getsockname()[1] for place in (one, other)]
        yield dict(zip(("Prefect", "MLflow"), (f"http://127.0.0.1:{port}" for port in ports), strict=True))


def test_it_is_told_to_the_owner_alone_and_gone_at_the_end(home: Path, listening):
    with serving(str(home), listening):
        assert served(str(home)) == listening
        assert (home / FILE).stat().st_mode & 0o777 == 0o600
    assert served(str(home)) == {}
    assert list(home.iterdir()) == []


def test_who_ends_first_does_not_take_away_what_came_after(home: Path, listening):
    first = serving(str(home), listening)
    first.__enter__()
    later = dict(zip(listening, reversed(listening.values()), strict=True))
    with serving(str(home), later):
        first.__exit__(None, None, None)
        assert served(str(home)) == later


def _ended(file: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    file.write_text(json.dumps({**json.loads(file.read_text()), "process": process.pid}))


def _silent(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as place:
        address = f"http://127.0.0.1:{place.getsockname()[1]}"
    file.write_text(json.dumps({**json.loads(file.read_text()), "MLflow": address}))


@pytest.mark.parametrize(
    "harm", [_ended, _silent, lambda file: file.write_text("{"), lambda file: file.write_text("[1]")],
    ids=["process gone", "port silent", "cut", "another thing"],
)  # fmt: skip
def test_what_a_killed_server_left_counts_for_nothing(home: Path, listening, harm):
    with serving(str(home), listening):
        harm(home / FILE)
        assert served(str(home)) == {}
        assert pages(str(home), None, LedgerConfig()).closed == ("Prefect", "MLflow")


def test_a_copied_folder_is_not_served_by_whoever_serves_the_first(home: Path, listening, tmp_path: Path):
    with serving(str(home), listening):
        shutil.copytree(home, tmp_path / "copy")
        assert served(str(tmp_path / "copy")) == {}


def test_a_configured_server_goes_before_what_is_served_and_that_before_the_usual_ports(home: Path, listening):
    usual = pages(str(home), None, LedgerConfig())
    assert (usual.prefect, usual.mlflow) == ("http://127.0.0.1:4200", "http://127.0.0.1:5000")
    with serving(str(home), listening):
        found = pages(str(home), None, LedgerConfig())
        assert (found.prefect, found.mlflow, found.closed) == (listening["Prefect"], listening["MLflow"], ())
        own = pages(str(home), "https://prefect.example.org", LedgerConfig(tracking_uri="https://mlflow.example.org"))
        assert (own.prefect, own.mlflow) == ("https://prefect.example.org", "https://mlflow.example.org")
    half = pages(str(home), "https://prefect.example.org", LedgerConfig())
    assert (half.mlflow, half.closed) == ("http://127.0.0.1:5000", ("MLflow",))
    assert "secret" not in pages(str(home), "https://ana:secret@prefect.example.org", LedgerConfig()).prefect


def test_the_doctor_looks_where_it_is_served(home: Path, listening, monkeypatch):
    monkeypatch.setattr("tasks.health.servers.SECONDS", 0.3)
    with serving(str(home), listening):
        names = {finding.name for finding in servers(str(home), None)}
    assert names == {f"port {address.rpartition(':')[2]}" for address in listening.values()} | {"Prefect"}
