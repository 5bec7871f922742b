"""What a command tells of what came out: its lines here, or all of it as one JSON document.

Another type of result is told by its fields; where that says too little, the flow's file registers words of its own
(`@words.register`).
"""

from collections.abc import Iterator, Mapping
from functools import singledispatch
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel, TypeAdapter

from schemas.asked import Checked, Exported, Listed, Sampled, Told
from schemas.recommended import Recommended, Suggestions
from schemas.runs import Decided, Served, Summary
from tasks.health.served import MLFLOW, PREFECT
from tasks.reporting.summary import CURVES, run_page


def tell(told: object, as_json: bool = False) -> None:
    """Prints what came out."""
    if as_json:
        typer.echo(TypeAdapter(Any).dump_json(told, indent=2).decode())
    else:
        for line in words(told):
            typer.echo(line)


@singledispatch
def words(told: object) -> Iterator[str]:
    """The lines that tell a result."""
    if isinstance(told, BaseModel):
        yield from (f"{name:<24} {value}" for name, value in told)
    elif told is not None:
        yield str(told)


@words.register
def _(told: Summary) -> Iterator[str]:
    yield f"\n{told.segmentation}: {len(told.profiles)} segments, {told.chosen}"
    for profile in told.profiles:
        yield _line(profile.segment_id, profile.size, profile.share, f"{'⚠ ' * profile.unclear}{profile.name}")
    if told.warning is not None:
        yield f"warning   {told.warning}"
    for profile in told.profiles:
        if profile.renamed is not None:
            yield f"renamed   {profile.segment_id}: no longer “{profile.renamed}”, now “{profile.name}”"
    yield f"\nwhy       {told.reason}"
    for name, figure in measured(told.metrics):
        yield f"{name:<24} {figure}"
    yield from (f"beside    {line}" for line in told.beside)
    if told.texts is not None:
        yield "{:<24} {} from the cache, {} encoded".format("texts", *told.texts)
    new = "new" if told.new_version else "registered before, identical content"
    yield f"\nMLflow    run {told.run_id}, model {told.segmentation} version {told.model_version} ({new})"
    yield from _judged(told)
    yield f"report    {Path(told.report).as_uri()}"
    yield from _pages(told)


def _pages(told: Summary) -> Iterator[str]:
    """Where the run can be looked at, now or once it is served."""
    mlflow, run = told.pages.mlflow, (told.experiment_id, told.run_id)
    lines = (
        (PREFECT, f"  Prefect  {told.pages.prefect}/runs/flow-run/{told.prefect_run}"),
        (MLFLOW, f"  MLflow   {run_page(mlflow, *run)}"),
        (MLFLOW, f"  k        {run_page(mlflow, *run, CURVES)}"),
    )
    for head, closed in (("open", False), ("make ui, then open", True)):
        if some := [line for whose, line in lines if (whose in told.pages.closed) == closed]:
            yield from (f"\n{head}", *some)


def _line(segment_id: str, users: int, share: float, name: str) -> str:
    """A segment in a list."""
    return f"  {segment_id}  {users:>7} users  {share:>6.1%}  {name}"


def _judged(told: Summary) -> Iterator[str]:
    """Whether a candidate is live, or what refused it and what can be done."""
    if told.promoted:
        yield f"promoted  {told.verdict.counted}"
    for gate in told.verdict.failures:
        yield f"refused   {gate.name}: {gate.why} (bound {gate.bound})"
    if not told.promoted:
        command = f"fenqun promote --segmentation {told.segmentation} --version {told.model_version}"
        yield f"          what is live stays; all the same: {command} --author WHO --reason WHY"


def measured(metrics: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """What a run's figures say, each with what it was measured against."""
    for key, name in (("silhouette.cosine", "silhouette (cosine)"), ("stability", "stability (ARI)")):
        if key in metrics:
            yield name, f"{metrics[key]:.3f}"
    if "wcss" in metrics:
        yield "within-cluster squares", f"{metrics['wcss']:.4g}"
    if "proof.recipe" not in metrics:
        yield "held-out lift", "not measured; the report says why"
        return
    yield "held-out lift", f"{metrics['proof.recipe']:+.1%} hits over global popularity, by the recipe fitted before"
    for measure in ("precision", "recall", "coverage"):
        ours, popular = metrics.get(f"proof.recipe.{measure}"), metrics.get(f"proof.recipe.global_{measure}")
        if ours is not None and popular is not None:
            yield f"  {measure}", f"{ours:.3f} against {popular:.3f}"
    for key, whose in (("model", "registered model"), ("champion.model", "what readers had")):
        if f"proof.{key}" in metrics:
            seen = metrics.get(f"proof.{key}.seen", 1.0)
            yield f"  {whose}", f"{metrics[f'proof.{key}']:+.1%} ({seen:.0%} of the slice seen)"


@words.register
def _(told: Served) -> Iterator[str]:
    yield f"{told.segmentation}: {told.users} users assigned by version {told.model_version}, {told.moved} moved"


@words.register
def _(told: Recommended) -> Iterator[str]:
    users = f", and to {told.users:,} users" if told.users else ""
    came = f"{told.items:,} items recommended to {told.segments} segments{users}, by version {told.model_version}"
    yield f"{told.segmentation}: {came if told.model_version else 'nothing is recommended'}"
    yield from told.why
    yield from told.files


@words.register
def _(told: Suggestions) -> Iterator[str]:
    where = f": {told.segment_id} {told.name}" if told.segment_id else ""
    yield f"{told.user_id}{where}, version {told.model_version}, as of {told.as_of:%Y-%m-%d %H:%M} UTC"
    yield told.why
    for one in told.items:
        yield f"  {one.rank:>3}  {one.item_id:<24} {one.reason}"


@words.register
def _(told: Decided) -> Iterator[str]:
    for gate in told.verdict.failures if told.verdict else ():
        yield f"failed    {gate.name}: {gate.why} (bound {gate.bound})"
    if told.verdict and told.verdict.override:
        yield f"overridden by {told.verdict.override}"
    if told.behind:
        yield f"MLflow's aliases will follow at the next run ({told.behind})"
    if told.changed or told.verdict is None:
        previous = f"version {told.previous} is previous" if told.previous else "there is no previous version"
        yield f"{told.segmentation}: version {told.live} is live, {previous}"


@words.register
def _(told: Checked) -> Iterator[str]:
    yield f"{told.config}: {'some rows would be set aside' if any(one.aside for one in told.sample) else 'fine'}"
    yield from _sampled(told.sample)
    yield from told.advice
    yield f"the source has {len(told.parts)} parts"
    yield from (f"  {part}" for part in told.parts)


def _sampled(sample: tuple[Sampled, ...]) -> Iterator[str]:
    """What would become of the first rows of each table."""
    for table in sample:
        lines = f", on {table.lines} lines," if table.lines else ""
        yield f"{table.table}: {table.taken} of the first {table.read} rows{lines} would be taken"
        yield "  " + ", ".join(_column(table, name) for name in table.columns)
        if table.unread:
            yield f"  not read: {', '.join(table.unread[:20])}{', ...' if len(table.unread) > 20 else ''}"
        if table.times:
            yield "  times from {:%Y-%m-%d %H:%M} to {:%Y-%m-%d %H:%M}, UTC".format(*table.times)
        for one in table.aside:
            yield f"  {one.rows} aside: {f'{one.column}: ' if one.column else ''}{one.reason} (the first: {one.first})"


def _column(table: Sampled, name: str) -> str:
    """How a column is read, what the source calls it, and whether it says anything."""
    own = table.own.get(name, name)
    words = [f"your {own}"] * (own != name) + ["empty"] * (name in table.empty and bool(table.taken))
    return f"{name}: {table.columns[name]}" + (f" ({', '.join(words)})" if words else "")


@words.register
def _(told: Told) -> Iterator[str]:
    since = f" since {told.history[-1][0]:%Y-%m-%d}" if told.history else ""
    yield f"{told.user_id}: {f'{told.segment_id} {told.name}' if told.segment_id else told.status}{since}"
    distance = "" if told.distance is None else f", distance {told.distance:.3f}"
    yield f"  confidence {told.confidence:.2f}{distance}"
    if told.second_segment_id:
        yield f"  {'second' if told.segment_id else 'nearest'}: {told.second_segment_id} {told.second_name}"
    yield from (f"  because {reason}" for reason in told.reasons)
    yield f"  version {told.model_version}, as of {told.as_of:%Y-%m-%d %H:%M}"
    for moment, before, after, version in told.history:
        yield f"  {moment:%Y-%m-%d %H:%M}  {before or '-'} -> {after or '-'}  (version {version})"


@words.register
def _(told: Listed) -> Iterator[str]:
    yield f"{told.segmentation}: {len(told.segments)} segments, version {told.model_version}"
    yield from (_line(one.segment_id, one.users, one.share, one.name) for one in told.segments)


@words.register
def _(told: Exported) -> Iterator[str]:
    yield f"{told.users} users written to {told.output}"
