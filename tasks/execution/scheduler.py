"""Where Dask runs: threads, a LocalCluster or a scheduler elsewhere; a cluster is shared while anybody uses it."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from schemas.errors import UsageError
from schemas.execution import ExecutionConfig

if TYPE_CHECKING:
    from distributed import Client, SpecCluster

T = TypeVar("T")
GPU = "GPU"
"""The Dask resource that a worker with a GPU of its own holds."""

LOOPBACK = "127.0.0.1"
"""Whoever reaches a scheduler, a worker or its nanny can run code there; each listens everywhere unless told."""

SILENT: dict[str, Any] = {f"distributed.{whose}.http.routes": [] for whose in ("scheduler", "worker")}
"""Each opens a port for pages too, and answers every host's name there: without routes it tells nothing."""

Progress = Callable[[int, int], None]
"""Hears (done, of)."""

Compute = Callable[[list[Any], Progress | None], list[Any]]
"""Runs delayed values and gives their results, in order."""


def part(progress: Progress | None, number: int, parts: int) -> Progress | None:
    """Progress of one of several equal parts of the work, told as progress of the whole."""
    if progress is None:
        return None

    def told(done: int, of: int) -> None:
        progress(number * of + done, parts * of)

    return told


@dataclass
class _Shared:
    """A client and how many use it now."""

    client: "Client"
    stack: ExitStack
    users: int = 0


@dataclass
class _Pool:
    """Clusters in use, by config."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    clients: dict[tuple[str, int, str], _Shared] = field(default_factory=dict)


_POOL = _Pool()


@contextmanager
def scheduler(execution: ExecutionConfig) -> Iterator[Compute]:
    """Gives the function that computes delayed values; a cluster lives until its last user leaves the block."""
    if execution.scheduler == "threads":
        yield lambda graph, progress: _in_threads(graph, progress, execution.workers)
        return
    with _client(execution) as client:
        yield lambda graph, progress: _on_cluster(graph, progress, client)


def on_gpus(
    function: Callable[[Any], T], items: Iterable[Any], execution: ExecutionConfig, progress: Progress | None = None
) -> list[T]:
    """`[function(item) for item in items]` on Dask workers that hold one of the resource GPU.

    Where no scheduler's address is given, these are local processes of which each sees one GPU alone.

    Raises:
        UsageError: the scheduler has no worker with a GPU, so that all would wait forever.
    """
    import dask
    from distributed import Client

    with ExitStack() as stack:
        local = execution.scheduler in ("threads", "cluster")
        where: Any = stack.enter_context(_one_process_per_gpu(execution)) if local else execution.scheduler
        client = stack.enter_context(Client(where, timeout="20s", set_as_default=False))
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        if not any(worker["resources"].get(GPU) for worker in workers):
            raise UsageError(f"no worker of {where} holds a GPU: start them with `dask worker --resources GPU=1`")
        return _on_cluster([dask.delayed(function, pure=False)(item) for item in items], progress, client, {GPU: 1})


def _one_process_per_gpu(execution: ExecutionConfig) -> "SpecCluster":
    import dask
    from distributed import Nanny, Scheduler, SpecCluster

    seen = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    names = seen or [str(number) for number in range(execution.gpus)]
    options = {"nthreads": 1, "memory_limit": execution.memory_limit, "resources": {GPU: 1}, "host": LOOPBACK}
    workers = {
        name: {"cls": Nanny, "options": {**options, "env": {"CUDA_VISIBLE_DEVICES": name}}}
        for name in names[: execution.gpus]
    }
    place: dict[str, Any] = {"protocol": "tcp://", "host": LOOPBACK, "dashboard": False, "port": 0}
    with dask.config.set(SILENT):
        return SpecCluster(workers=workers, scheduler={"cls": Scheduler, "options": place})


def _in_threads(graph: list[Any], progress: Progress | None, workers: int) -> list[Any]:
    import dask

    waiting, n = {one.key for one in graph}, len(graph)

    def finished(key: Any, *_: Any) -> None:
        if progress is not None and key in waiting:
            waiting.discard(key)
            progress(n - len(waiting), n)

    # Of a Dask callback's five functions, the one after each task. Registered ones would hear other threads' work too.
    told = [(None, None, None, finished, None)]
    return list(dask.compute(*graph, scheduler="threads", num_workers=workers, callbacks=told))


def _on_cluster(
    graph: list[Any], progress: Progress | None, client: "Client", resources: dict[str, int] | None = None
) -> list[Any]:
    from distributed import as_completed

    futures = client.compute(graph, resources=resources)
    for done, _ in enumerate(as_completed(futures, loop=client.loop), 1):
        if progress is not None:
            progress(done, len(futures))
    return list(client.gather(futures))


@contextmanager
def _client(execution: ExecutionConfig) -> "Iterator[Client]":
    key = (execution.scheduler, execution.workers, execution.memory_limit)
    with _POOL.lock:
        if key not in _POOL.clients:
            _POOL.clients[key] = _open(execution)
        shared = _POOL.clients[key]
        shared.users += 1
    try:
        yield shared.client
    finally:
        with _POOL.lock:
            shared.users -= 1
            if not shared.users:
                del _POOL.clients[key]
                shared.stack.close()


def _open(execution: ExecutionConfig) -> _Shared:
    import dask
    from distributed import Client, LocalCluster

    stack = ExitStack()
    where: Any = execution.scheduler
    if where == "cluster":
        options = {"n_workers": execution.workers, "threads_per_worker": 1, "memory_limit": execution.memory_limit}
        with dask.config.set(SILENT):
            where = stack.enter_context(LocalCluster(host=LOOPBACK, dashboard_address=None, **options))
    return _Shared(stack.enter_context(Client(where, timeout="20s", set_as_default=False)), stack)
