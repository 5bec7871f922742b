"""Runs the expectations over bucketed tables and remembers the facts for the next accepted run."""

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.artifacts import ArtifactRef, RunContext
from schemas.config import ValidateConfig
from schemas.errors import DataError
from schemas.reports import Accounting, ValidationReport
from schemas.tables import QUARANTINE, REASON, TABLE, USER_FEATURES, USER_ID
from tasks.cleaning.reasons import Reason
from tasks.disk.artifacts import write_text
from tasks.disk.files import recalled, sealed
from tasks.stores.buckets import read_frames
from tasks.validation.run import Stage, validate

if TYPE_CHECKING:
    import polars as pl


def _facts_file(run: RunContext, segmentation: str, name: str) -> Path:
    return Path(run.home) / "segmentations" / segmentation / f"facts-{name}.json"


def check(
    stage: str,
    tables: Mapping[str, ArtifactRef],
    config: ValidateConfig,
    run: RunContext,
    segmentation: str,
    accounts: tuple[Accounting, ...] = (),
) -> ValidationReport:
    """Validates tables at one hand-over and builds the Data Docs of it.

    Args:
        stage: raw, features or published.
        tables: Table name -> reference.
        config: Thresholds.
        run: Gives as_of and the folder of the Data Docs.
        segmentation: Whose previous accepted run is compared with.
        accounts: What ingest counted, for the quarantine's share.
    """
    facts = recalled(_facts_file(run, segmentation, stage))
    docs = Path(run.home) / "docs" / run.run_id / stage
    streams = frames(tables)
    judged = _without_later(accounts, tables[QUARANTINE.name]) if QUARANTINE.name in tables else accounts
    report, found = validate(streams, suites(streams), config, run.as_of, facts, docs, Stage(stage, judged))
    write_text(docs / "facts.json", sealed(found))
    return report


def _without_later(accounts: tuple[Accounting, ...], quarantine: ArtifactRef) -> tuple[Accounting, ...]:
    """The accounts without rows after the moment that the run looks at: those are not bad, only not known yet."""
    import polars as pl

    late: Counter[str] = Counter()
    for frame in read_frames(quarantine, [TABLE, REASON]):
        late.update(frame.filter(pl.col(REASON) == str(Reason.AFTER_AS_OF))[TABLE].to_list())
    changes = [{"read": a.read - late[a.table], "quarantined": a.quarantined - late[a.table]} for a in accounts]
    return tuple(a.model_copy(update=change) for a, change in zip(accounts, changes, strict=True))


def accept(run: RunContext, segmentation: str) -> None:
    """Makes this run's facts the ones that the next run is compared with."""
    for facts in (Path(run.home) / "docs" / run.run_id).glob("*/facts.json"):
        write_text(_facts_file(run, segmentation, facts.parent.name), facts.read_text(encoding="utf-8"))


def frames(tables: Mapping[str, ArtifactRef]) -> "dict[str, Iterator[pl.DataFrame]]":
    """Table name -> bucket frames; `user_features.<family>` stand side by side as one table of features."""
    prefix = f"{USER_FEATURES.name}."
    families = {name.removeprefix(prefix): ref for name, ref in tables.items() if name.startswith(prefix)}
    streams = {name: read_frames(ref) for name, ref in tables.items() if not name.startswith(prefix)}
    return {**streams, USER_FEATURES.name: _side_by_side(families)} if families else streams


def _side_by_side(families: Mapping[str, ArtifactRef]) -> "Iterator[pl.DataFrame]":
    import polars as pl

    for parts in zip(*(read_frames(ref) for ref in families.values()), strict=True):
        named = [
            part.select(pl.exclude(USER_ID).name.prefix(f"{family}."))
            for family, part in zip(families, parts, strict=True)
        ]
        yield pl.concat([parts[0].select(USER_ID), *named], how="horizontal")


def suites(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Table name -> the function that makes its suite."""
    return {name: importlib.import_module(f"expectations.{name}").suite for name in tables}


def refuse(report: ValidationReport) -> None:
    """Raises DataError where a rule of severity error failed: what, where, and what to do."""
    if report.passed:
        return
    told = "; ".join(
        f"{error.rule}: {error.observed}" + (f" (needs {error.bound})" if error.bound else "")
        for error in report.errors[:5]
    )
    raise DataError(
        f"validation of {report.stage} stopped the run: {told}. Nothing was published; see {report.docs}, mend the "
        "data, or change the threshold or severity in the config's validation section"
    )


def markdown(report: ValidationReport) -> str:
    """The outcome as a Markdown table for Prefect: failures first."""
    head = f"{sum(r.passed for r in report.results)} of {len(report.results)} rules passed. Data Docs: `{report.docs}`"
    rows = sorted(report.results, key=lambda result: result.passed)
    lines = [
        f"| {'✓' if r.passed else '✗'} | {r.rule} | {r.severity} | {r.observed.replace('|', '/')} | {r.bound} |"
        for r in rows
    ]
    return "\n".join([head, "", "| | rule | severity | observed | bound |", "|---|---|---|---|---|", *lines])
