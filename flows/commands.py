"""What the commands of the command line do."""

import os
from collections.abc import Sequence
from pathlib import Path

from flows.config import load
from schemas.config import LedgerConfig
from schemas.errors import FenqunError
from schemas.runs import Summary
from tasks.serving.plugins import module_of
from tasks.stores.home import home


def retrain(path: str, overrides: Sequence[str]) -> None:
    """Runs `retrain` here and tells what came out."""
    config = load(path, overrides)
    module_of("sources", config.source).snapshot(config.source)  # what is not there is told before servers start
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


def assign(path: str, overrides: Sequence[str], only_touched: bool) -> None:
    """Assigns users with the live model and tells how many moved."""
    config = load(path, overrides)
    quiet()
    from flows.assign import assign as flow

    told = flow(config, only_touched)
    print(f"{told.segmentation}: {told.users} users assigned by version {told.model_version}, {told.moved} moved")


def promote(segmentation: str, version: str, author: str, reason: str, tracking_uri: str | None) -> None:
    """Judges a registered version on today's data and tells whether it is live now."""
    quiet()
    from flows.promote import promote as flow

    told = flow(segmentation, version, author, reason, LedgerConfig(tracking_uri=tracking_uri))
    verdict = told.verdict
    for gate in verdict.failures if verdict else ():
        print(f"failed    {gate.name}: {gate.why} (bound {gate.bound})")
    if verdict and verdict.override:
        print(f"overridden by {verdict.override}")
    if not told.changed:
        raise FenqunError(
            f"{segmentation}: version {version} was refused; version {told.live} stays live. To promote it all the "
            "same, give --author and --reason"
        )
    print(f"{segmentation}: version {told.live} is live, version {told.previous} is previous")


def rollback(segmentation: str, author: str, reason: str, tracking_uri: str | None) -> None:
    """Brings the previous champion back."""
    quiet()
    from flows.rollback import rollback as flow

    told = flow(segmentation, author, reason, LedgerConfig(tracking_uri=tracking_uri))
    print(f"{segmentation}: version {told.live} is live, version {told.previous} is previous")


def quiet() -> None:
    """Makes the state folder and keeps Prefect's log to warnings."""
    Path(home()).mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")


def user(segmentation: str, user_id: str) -> None:
    """Tells a user's segment, reasons and history."""
    from tasks.serving.asking import user as ask

    told = ask(home(), segmentation, user_id)
    print(f"{told.user_id}: {told.status}" + (f", {told.segment_id} {told.name}" if told.segment_id else ""))
    print(f"  confidence {told.confidence:.2f}, distance {told.distance if told.distance is not None else '-'}")
    if told.second_segment_id:
        print(f"  {'second' if told.segment_id else 'nearest'}: {told.second_segment_id} {told.second_name}")
    for reason in told.reasons:
        print(f"  because {reason}")
    print(f"  version {told.model_version}, as of {told.as_of:%Y-%m-%d %H:%M}")
    for moment, before, after, version in told.history:
        print(f"  {moment:%Y-%m-%d %H:%M}  {before or '-'} -> {after or '-'}  (version {version})")


def export(segmentation: str, segment: str | None, output: str) -> None:
    """Writes a segment's members to a file."""
    from tasks.serving.asking import export_members

    print(f"{export_members(home(), segmentation, segment, output)} users written to {output}")


def check(path: str, overrides: Sequence[str]) -> None:
    """Validates a config and its source without running anything."""
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
