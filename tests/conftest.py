"""What all tests share: a state folder of their own, nothing that phones home, no hub, one Prefect harness."""

import os
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


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder that only this test uses."""
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setenv("FENQUN_HOME", str(place))
    return place


@pytest.fixture(scope="session")
def prefect_harness():
    """One ephemeral Prefect server for the session: entering it takes about ten seconds."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield
