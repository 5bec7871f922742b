"""What the commands of the command line do."""

import os
from collections.abc import Sequence
from pathlib import Path

from flows.config import load
from schemas.errors import FenqunError
from schemas.runs import Summary
from tasks.stores.home import home


def retrain(path: str, overrides: Sequence[str]) -> None:
    """Runs `retrain` here and tells what came out."""
    config = load(path, overrides)
    Path(home()).mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    from flows.retrain import retrain as flow

    tell(flow(config))


def tell(summary: Summary) -> None:
    """Prints a run's summary."""
    print(f"\n{summary.segmentation}: {len(summary.profiles)} segments, {summary.chosen}")
    for profile in summary.profiles:
        print(f"  {profile.segment_id}  {profile.size:>7} users  {profile.share:>6.1%}  {profile.name}")
    print(f"\nwhy       {summary.reason}")
    for name in ("silhouette.cosine", "wcss", "stability", "proof", "proof.recall", "proof.global_precision"):
        if name in summary.metrics:
            print(f"{name:<24} {summary.metrics[name]:.4g}")
    if summary.texts is not None:
        print("{:<24} {} from the cache, {} encoded".format("texts", *summary.texts))
    new = "new" if summary.new_version else "registered before, identical content"
    print(f"\nMLflow    run {summary.run_id}, model {summary.segmentation} version {summary.model_version} ({new})")
    if summary.promoted:
        print(f"promoted  {len(summary.gates)} of {len(summary.gates)} gates passed")
    for gate in summary.gates:
        if not gate.passed:
            print(f"refused   {gate.name}: {gate.why} (bound {gate.bound})")
    print(f"report    {summary.report}")
    print("\nmake ui, then open")
    print(f"  Prefect  http://127.0.0.1:4200/runs/flow-run/{summary.prefect_run}")
    print(
        f"  MLflow   http://127.0.0.1:5000/#/experiments/{summary.experiment_id}/runs/{summary.run_id}"
        "?workflowType=machine_learning"
    )


def check(path: str, overrides: Sequence[str]) -> None:
    """Validates a config and its source without running anything."""
    from tasks.serving.plugins import module_of

    config = load(path, overrides)
    parts = module_of("sources", config.source).snapshot(config.source)
    if not parts:
        raise FenqunError(f"{path}: the source has nothing to read")
    print(f"{path}: fine; the source has {len(parts)} parts")
    for part in parts:
        print(f"  {part}")


def ui(prefect_port: int, mlflow_port: int) -> None:
    """Serves Prefect, MLflow and the deployments on loopback until interrupted."""
    from flows.servers import serve

    serve(prefect_port, mlflow_port)
