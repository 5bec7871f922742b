"""Profiles and names of the chosen candidate's segments, in one pass over the buckets."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from schemas.artifacts import ArtifactRef
from schemas.config import DescribeConfig, ExecutionConfig
from schemas.reports import EvaluationReport, Lineage, SegmentProfile
from schemas.runs import Attempt, Standing, Vectors
from schemas.tables import ITEM_ID, ITEMS, TITLE, USER_ID
from tasks.segments.names import names
from tasks.segments.profiles import LABEL, Counts, merge, partial, profiles
from tasks.serving.candidates import LABELS
from tasks.serving.fitting import matrix
from tasks.stores.artifacts import load_state
from tasks.stores.buckets import count, parallel, read_bucket, read_table


def describe(
    attempt: Attempt,
    vectors: Vectors,
    tables: Mapping[str, ArtifactRef],
    lineage: Lineage,
    standing: Standing | None,
    report: EvaluationReport,
    config: DescribeConfig,
    execution: ExecutionConfig,
) -> tuple[SegmentProfile, ...]:
    """Profiles by label, with names; a continued segment keeps the name it has.

    Args:
        attempt: The chosen candidate.
        vectors: Whose feature tables are profiled.
        tables: Input tables.
        lineage: Ids by label.
        standing: The champion, for the names that are kept; None: there is none.
        report: The candidate's metrics, for silhouettes.
        config: Language, glossary and names that people gave.
        execution: Where the work runs.
    """
    import polars as pl

    users, _ = matrix(attempt.vectors)
    labels, k = load_state(attempt.fitted).arrays[LABELS], len(lineage.ids)
    assigned = pl.DataFrame({USER_ID: users, LABEL: labels.astype(np.int32)})
    features = {kind: made.output for kind, made in vectors.features.items()}

    def one(number: int) -> Counts:
        frames = read_bucket(features, number)
        own = assigned.join(next(iter(frames.values())).select(USER_ID), on=USER_ID, how="semi")
        return partial(read_bucket(tables, number), own, frames, k)

    whole, *rest = parallel(one, range(count(tables)), execution)
    for other in rest:
        whole = merge(whole, other)
    found = profiles(whole, _titles(tables), lineage.ids, _silhouettes(report), config)
    old = dict(zip(standing.ids, standing.names, strict=True)) if standing else {}
    kept = {name: said for name, said in {**old, **config.names}.items() if name in lineage.ids}
    return tuple(
        profile.model_copy(update={"name": name})
        for profile, name in zip(found, names(found, kept, config.language), strict=True)
    )


def _titles(tables: Mapping[str, ArtifactRef]) -> dict[str, str]:
    if ITEMS.name not in tables:
        return {}
    return dict(read_table(tables[ITEMS.name]).select(ITEM_ID, TITLE).drop_nulls().iter_rows())


def _silhouettes(report: EvaluationReport) -> dict[int, float]:
    metric = report.metrics.get("silhouette")
    segments: dict[str, Any] = {} if metric is None else metric.details.get("segments", {})
    return {int(label): value for label, value in segments.items() if value is not None}


def markdown(profiles_: tuple[SegmentProfile, ...]) -> str:
    """Segments as a Markdown table for Prefect."""
    rows = [
        f"| {p.segment_id} | {p.name} | {p.size} | {p.share:.1%} | {'; '.join(p.evidence[:3]).replace('|', '/')} |"
        for p in profiles_
    ]
    return "\n".join(["| segment | name | users | share | evidence |", "|---|---|---|---|---|", *rows])
