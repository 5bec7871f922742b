"""The deployment as a team uses it: a server, a cron schedule that fires, a worker that runs, MLflow that knows."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from flows.deployments import CONFIGS, deployments
from flows.found import flows
from tasks.disk.key import USER, key, shown_to_prefect
from tests.helpers.configs import SMALL
from tests.helpers.servers import ROOT, asked, free_port, until


def test_what_is_deployed_is_a_flow_with_the_config_file_of_its_name():
    deployed = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    known = {f"flows/{flow.name}.py:{flow.name}": flow for flow in flows()}
    assert {f"flows/{name}.py:{name}" for name in ("retrain", "assign", "recommend")} <= {
        one["entrypoint"] for one in deployed
    }
    for one in deployed:
        flow, given = known[one["entrypoint"]], one.get("parameters", {})
        assert given.keys() <= {parameter.name for parameter in flow.parameters}
        if flow.takes_config:
            assert given["config"] == yaml.safe_load((CONFIGS / f"{one['name']}.yaml").read_text())


def test_what_is_served_has_every_flow_for_every_config_that_it_takes():
    found = {(one.flow_name, one.name): one.parameters for one in deployments()}
    stems = {path.stem for path in CONFIGS.glob("*.yaml")}
    assert len(stems) >= 5
    of_configs = {(flow, f"{stem}-ui") for flow in ("retrain", "assign", "recommend") for stem in stems}
    assert found.keys() == of_configs | {("promote", "any-ui"), ("rollback", "any-ui")}
    for flow in ("assign", "recommend"):
        assert all(found["retrain", f"{stem}-ui"] == found[flow, f"{stem}-ui"] for stem in stems)


@dataclass(frozen=True)
class Server:
    """A Prefect server of ours, and its clients."""

    api: str
    home: str

    @property
    def environment(self) -> dict[str, str]:
        shown = {"PREFECT_API_URL": self.api, "FENQUN_CHECKOUT": str(ROOT), "FENQUN_HOME": self.home}
        return {**os.environ, **shown, **shown_to_prefect(self.home, self.api)}

    @property
    def auth(self) -> tuple[str, str]:
        return USER, key(self.home)

    def python(self, *words: str) -> None:
        command = [sys.executable, *words]
        result = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr

    def prefect(self, *words: str) -> None:
        self.python("-m", "prefect", "--no-prompt", *words)

    def deployment(self, name: str) -> dict:
        import httpx

        return httpx.get(f"{self.api}/deployments/name/{name}", timeout=30, auth=self.auth).raise_for_status().json()

    def told(self, name: str) -> dict[str, object]:
        """What a person or a file decided about a deployment."""
        found = self.deployment(name)
        return {
            "id": found["id"],
            "pool": found["work_pool_name"],
            "limit": (found["global_concurrency_limit"] or {}).get("limit"),
            "options": found["concurrency_options"],
            "schedules": [(one["schedule"]["cron"], one["active"]) for one in found["schedules"]],
            "parameters": found["parameters"],
        }


WRONG = [
    ({"sed": 1}, "sed"),
    ({"source": {"kind": "syntetic"}}, "config.source.kind"),
    ({"search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": ["abc"]}}]}}, "grid.k[0]"),
]
"""What a config refuses, and the key that has to be named."""
REGISTER = "from flows.deployments import deployments; [one.apply() for one in deployments()]"
"""What serving does first."""


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("PREFECT_HOME", str(home / "prefect"))
    from flows.servers import prefect_server

    with prefect_server(free_port()) as starting:
        yield Server(starting.ready(), str(home))


def deployed(server: Server) -> None:
    server.prefect("deploy", "--all", "--prefect-file", "deployments/prefect.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("last", ["deployed", "served"])
def test_what_is_served_and_what_is_deployed_leave_one_another_alone(server: Server, last: str):
    server.prefect("work-pool", "create", "fenqun", "--type", "process")
    steps = {"deployed": lambda: deployed(server), "served": lambda: server.python("-c", REGISTER)}
    first = next(name for name in steps if name != last)
    steps[first]()
    names = {
        "deployed": ["retrain/movielens", "assign/movielens"],
        "served": ["retrain/movielens-ui", "promote/any-ui"],
    }
    before = {name: server.told(name) for name in names[first]}
    steps[last]()
    assert {name: server.told(name) for name in before} == before
    assign = server.told("assign/movielens")
    assert (assign["limit"], assign["schedules"], assign["pool"]) == (1, [("0 6 * * *", True)], "fenqun")
    assert assign["parameters"]["only_touched"] is True
    served = server.told("assign/movielens-ui")
    assert (served["limit"], served["schedules"], served["pool"]) == (None, [], None)  # no worker runs it
    assert "only_touched" not in served["parameters"]


@pytest.mark.slow
def test_a_worker_runs_the_deployment_and_mlflow_holds_the_result(home: Path, server: Server):
    import httpx
    from mlflow import MlflowClient

    server.prefect("work-pool", "create", "fenqun", "--type", "process")
    deployed(server)

    def runs() -> list[dict]:
        return asked(f"{server.api}/flow_runs/filter", server.auth).raise_for_status().json()

    # With sqlalchemy 2.1 no scheduled run would ever appear, while everything else looks well.
    scheduled = until(lambda: [run for run in runs() if run["auto_scheduled"]], 150)
    assert {run["expected_start_time"][11:16] for run in scheduled} <= {"03:00", "06:00", "06:30"}

    start = f"{server.api}/deployments/{server.deployment('retrain/movielens')['id']}/create_flow_run"
    made = asked(start, server.auth, parameters={"config": SMALL}).raise_for_status()
    for wrong, named in WRONG:
        refused = asked(start, server.auth, parameters={"config": {**SMALL, **wrong}})
        assert refused.status_code in (409, 422)
        assert named in refused.text
    assert [run["id"] for run in runs() if not run["auto_scheduled"]] == [made.json()["id"]]

    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", "fenqun", "--type", "process"],
        cwd=ROOT, env=server.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:

        def ended() -> dict | None:
            run = httpx.get(f"{server.api}/flow_runs/{made.json()['id']}", timeout=30, auth=server.auth).json()
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
    assert logged.data.metrics["proof.recipe"] > 0
