"""Whoever reaches a port of Dask can run code there: all of them are on loopback, and those for pages tell nothing."""

import httpx
import psutil
import pytest
from pydantic import ValidationError

from schemas.execution import ExecutionConfig
from tasks.execution.scheduler import _one_process_per_gpu, scheduler

TWO = ExecutionConfig(scheduler="cluster", workers=2, memory_limit="1GiB", gpus=2, device="cpu")


def opened() -> set[tuple[str, int]]:
    """Where this process and what it started listen."""
    me = psutil.Process()
    sockets = [one for process in (me, *me.children(recursive=True)) for one in process.net_connections("inet")]
    return {tuple(one.laddr) for one in sockets if one.status == psutil.CONN_LISTEN}


def told(port: int) -> int | None:
    """The status of an answer to a forged name; none where what listens speaks no HTTP."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", headers={"Host": "evil.example"}, timeout=5).status_code
    except httpx.HTTPError:
        return None


def check(before: set[tuple[str, int]]) -> None:
    found = opened() - before
    assert len(found) >= 4  # a scheduler, two workers or their nannies, and pages
    assert {address for address, _ in found} == {"127.0.0.1"}
    assert {told(port) for _, port in found} <= {404, None}


@pytest.mark.slow
def test_a_local_cluster_is_on_loopback():
    before = opened()
    with scheduler(TWO):
        check(before)


@pytest.mark.slow
def test_processes_of_gpus_are_on_loopback():
    from distributed import Client

    before = opened()
    with _one_process_per_gpu(TWO) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        check(before)


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "dask.example.org:8786", "ws://10.0.0.1:1", "elsewhere"])
def test_a_scheduler_elsewhere_is_encrypted_or_accepted(address):
    with pytest.raises(ValidationError, match="use tls://, or set unencrypted"):
        ExecutionConfig(scheduler=address)
    assert ExecutionConfig(scheduler=address, unencrypted=True).scheduler == address


@pytest.mark.parametrize(
    "address", ["threads", "cluster", "tls://10.0.0.1:8786", "tcp://127.0.0.1:1", "localhost:8786"]
)
def test_a_scheduler_here_or_encrypted_is_taken(address):
    assert ExecutionConfig(scheduler=address).scheduler == address
