"""The deployment as a team uses it: a server, a cron schedule that fires, a worker that runs, MLflow that knows."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.flows.test_retrain import SMALL

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_deployed_parameters_are_those_of_the_config_file():
    deployed = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    config = yaml.safe_load((ROOT / "deployments" / "configs" / "movielens.yaml").read_text())
    assert [one["entrypoint"] for one in deployed] == ["flows/retrain.py:retrain", "flows/assign.py:assign"]
    assert all(one["parameters"]["config"] == config for one in deployed)


def test_what_is_served_has_every_flow_for_every_config():
    from flows.servers import CONFIGS, deployments

    found = {(one.flow_name, one.name): one.parameters for one in deployments()}
    stems = {path.stem for path in CONFIGS.glob("*.yaml")}
    assert len(stems) >= 5
    assert found.keys() == {(flow, stem) for flow in ("retrain", "assign") for stem in stems} | {
        ("promote", "any"), ("rollback", "any")
    }  # fmt: skip
    assert all(found["retrain", stem] == found["assign", stem] for stem in stems)


def prefect(*words: str, **environment: str) -> str:
    command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
    result = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=240, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def until(what, seconds: float):
    """The first true answer of `what`, asked twice a second."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.5)
    raise AssertionError("it did not come about in time")


def asked(url: str, **body: object):
    """What Prefect's API answers; as its own clients do, asks again where a busy SQLite answers 503."""
    import httpx

    return until(lambda: (found := httpx.post(url, json=body, timeout=30)).status_code != 503 and found, 60)


@pytest.mark.slow
def test_a_worker_runs_the_deployment_and_mlflow_holds_the_result(home: Path, monkeypatch: pytest.MonkeyPatch):
    import httpx
    from mlflow import MlflowClient

    from flows.servers import prefect_server

    monkeypatch.setenv("PREFECT_HOME", str(home / "prefect"))
    with prefect_server(free_port()) as api:
        environment = {"PREFECT_API_URL": api, "FENQUN_CHECKOUT": str(ROOT), "FENQUN_HOME": str(home)}
        prefect("work-pool", "create", "fenqun", "--type", "process", **environment)
        prefect("deploy", "--all", "--prefect-file", "deployments/prefect.yaml", **environment)

        def runs() -> list[dict]:
            return asked(f"{api}/flow_runs/filter").raise_for_status().json()

        # With sqlalchemy 2.1 no scheduled run would ever appear, while everything else looks well.
        scheduled = until(lambda: [run for run in runs() if run["auto_scheduled"]], 150)
        assert {run["expected_start_time"][11:16] for run in scheduled} <= {"03:00", "06:00"}

        deployment = httpx.get(f"{api}/deployments/name/retrain/movielens", timeout=30).raise_for_status().json()
        start = f"{api}/deployments/{deployment['id']}/create_flow_run"
        made = asked(start, parameters={"config": SMALL}).raise_for_status()
        refused = asked(start, parameters={"config": {**SMALL, "sed": 1}})
        assert refused.status_code in (409, 422)
        assert "sed" in refused.text

        worker = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", "fenqun", "--type", "process"],
            cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:

            def ended() -> dict | None:
                run = httpx.get(f"{api}/flow_runs/{made.json()['id']}", timeout=30).json()
                return run if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

            run = until(ended, 240)
        finally:
            worker.terminate()
            worker.wait(30)
        assert run["state_type"] == "COMPLETED", json.dumps(run["state"])[:2000]
    client = MlflowClient(tracking_uri=f"sqlite:///{home}/mlflow/mlflow.db")
    version = client.get_model_version_by_alias("small", "champion")
    logged = client.get_run(version.run_id)
    assert logged.data.tags["fenqun.prefect_run"] == made.json()["id"]
    assert logged.data.metrics["proof"] > 0
