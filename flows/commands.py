"""What the commands of the command line do."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from pathlib import Path
from threading import Thread

from flows.config import RetrainConfig, load
from schemas.errors import FenqunError
from schemas.runs import Summary
from tasks.serving.asking import expect
from tasks.serving.plugins import module_of, settle
from tasks.stores.home import home


def retrain(path: str, overrides: Sequence[str]) -> None:
    """Runs `retrain` here and tells what came out."""
    config = load(path, overrides)
    looked_at(config)
    with prefect_starting():
        from flows.retrain import retrain as flow

        settle()
    tell(flow(config))


def looked_at(config: RetrainConfig) -> dict[str, str]:
    """The parts of the source; what is missing, or wrong with their heads, is told before servers start."""
    module = module_of("sources", config.source)
    parts: dict[str, str] = module.snapshot(config.source)
    if hasattr(module, "look"):
        module.look(config.source)
    return parts


def tell(summary: Summary) -> None:
    """Prints a run's summary."""
    print(f"\n{summary.segmentation}: {len(summary.profiles)} segments, {summary.chosen}")
    for profile in summary.profiles:
        print(f"  {profile.segment_id}  {profile.size:>7} users  {profile.share:>6.1%}  {profile.name}")
    print(f"\nwhy       {summary.reason}")
    for name, words in measured(summary.metrics):
        print(f"{name:<24} {words}")
    if summary.texts is not None:
        print("{:<24} {} from the cache, {} encoded".format("texts", *summary.texts))
    new = "new" if summary.new_version else "registered before, identical content"
    print(f"\nMLflow    run {summary.run_id}, model {summary.segmentation} version {summary.model_version} ({new})")
    if summary.promoted:
        print(f"promoted  {len(summary.gates)} of {len(summary.gates)} gates passed")
    for gate in summary.gates:
        if not gate.passed:
            print(f"refused   {gate.name}: {gate.why} (bound {gate.bound})")
    if not summary.promoted:
        command = f"fenqun promote --segmentation {summary.segmentation} --version {summary.model_version}"
        print(f"          what is live stays; all the same: {command} --author WHO --reason WHY")
    print(f"report    {summary.report}")
    print("\nmake ui, then open")
    print(f"  Prefect  http://127.0.0.1:4200/runs/flow-run/{summary.prefect_run}")
    print(
        f"  MLflow   http://127.0.0.1:5000/#/experiments/{summary.experiment_id}/runs/{summary.run_id}"
        "?workflowType=machine_learning"
    )


def measured(metrics: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """What a run's figures say, each with what it was measured against."""
    for key, name in (("silhouette.cosine", "silhouette (cosine)"), ("stability", "stability (ARI)")):
        if key in metrics:
            yield name, f"{metrics[key]:.3f}"
    if "wcss" in metrics:
        yield "within-cluster squares", f"{metrics['wcss']:.4g}"
    if "proof" not in metrics:
        yield "held-out lift", "not measured; the report says why"
        return
    yield "held-out lift", f"{metrics['proof']:+.1%} hits over global popularity"
    for measure in ("precision", "recall", "coverage"):
        ours, popular = metrics.get(f"proof.{measure}"), metrics.get(f"proof.global_{measure}")
        if ours is not None and popular is not None:
            yield f"  {measure}", f"{ours:.3f} against {popular:.3f}"


def assign(path: str, overrides: Sequence[str], only_touched: bool) -> None:
    """Assigns users with the live model and tells how many moved."""
    config = load(path, overrides)
    expect(home(), config.segmentation)  # what can be known at once is told before servers start
    looked_at(config)
    with prefect_starting():
        from flows.assign import assign as flow

        settle()
    told = flow(config, only_touched)
    print(f"{told.segmentation}: {told.users} users assigned by version {told.model_version}, {told.moved} moved")


@contextmanager
def prefect_starting() -> Iterator[None]:
    """Starts Prefect's temporary server, where none is configured, while the block imports what a flow needs.

    Both take seconds. What goes wrong with the temporary server here goes wrong again, and is told, when the flow asks
    for it.

    Raises:
        FenqunError: a server is configured and does not answer.
    """
    Path(home()).mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    import prefect.server.api.server  # noqa: F401  here, so that the thread imports nothing while the block does
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    address: str | None = PREFECT_API_URL.value()
    silent: list[str] = []

    def start() -> None:
        with suppress(Exception), get_client(sync_client=True) as client:
            if address and client.api_healthcheck():
                silent.append(address)

    # A daemon: Ctrl-C ends the temporary server too, and Prefect would wait three minutes for the dead one.
    starting = Thread(target=copy_context().run, args=(start,), name="start Prefect", daemon=True)
    starting.start()
    yield
    starting.join()
    if silent:
        raise FenqunError(f"Prefect at {address} does not answer; start it, or unset PREFECT_API_URL. Nothing was run")


def check(path: str, overrides: Sequence[str]) -> None:
    """Validates a config and its source without running anything."""
    config = load(path, overrides)
    parts = looked_at(config)
    if not parts:
        raise FenqunError(f"{path}: the source has nothing to read")
    print(f"{path}: fine; the source has {len(parts)} parts")
    for part in parts:
        print(f"  {part}")


def ui(prefect_port: int, mlflow_port: int) -> None:
    """Serves Prefect, MLflow and the deployments on loopback until interrupted."""
    from flows.servers import serve

    serve(prefect_port, mlflow_port)
