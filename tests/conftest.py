"""What all tests share: a state folder of their own, nothing that phones home, no hub, one Prefect harness."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.update(
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    DO_NOT_TRACK="1",
    MLFLOW_DISABLE_TELEMETRY="true",
    GX_ANALYTICS_ENABLED="false",
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    TOKENIZERS_PARALLELISM="false",
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="180",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=3, help="how many seeds each test of tests/truth is run under")
    parser.addoption("--kills", type=int, default=10, help="how often tests/behaviour/test_many_kills.py kills in all")
    parser.addoption("--faults", type=int, default=120, help="how many faults tests/behaviour/test_damage*.py plant")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder that only this test uses."""
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setenv("FENQUN_HOME", str(place))
    return place


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """`main` sets variables for the libraries, PREFECT_HOME among them: later tests must not see them."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def prefect_harness():
    """One ephemeral Prefect server for the session: entering it takes about ten seconds."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory):
    """A state folder with two registered versions, the users' tables, and the ledger: making them takes seconds."""
    from tests.helpers import versions

    place = tmp_path_factory.mktemp("home")
    return place, *versions.two(place)


@pytest.fixture
def shop(registry):
    """The same with nothing live."""
    place, *_ = registry
    shutil.rmtree(place / "segmentations", ignore_errors=True)
    return registry
