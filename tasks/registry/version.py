"""Gives the built model its ids and names and registers it, with everybody assigned by it."""

import json
from typing import TYPE_CHECKING

from schemas.artifacts import ArtifactRef
from schemas.reports import Lineage, SegmentProfile
from schemas.runs import Built, Registered, Standing
from schemas.tables import ASSIGNMENTS, MEMBERSHIPS, MODEL_VERSION, SECOND_SEGMENT_ID, SEGMENT_ID, Bucket
from tasks.disk.artifacts import fingerprint
from tasks.models.keep import keep, load, model_files
from tasks.models.scored import cached_lookup
from tasks.registry.built import named
from tasks.serving.requests import EXAMPLE
from tasks.stores.book import Day
from tasks.stores.buckets import map_buckets
from tasks.stores.ledger import CHALLENGER, PROFILES

if TYPE_CHECKING:
    import polars as pl


def register_model(
    day: Day, built: Built, lineage: Lineage, profiles: tuple[SegmentProfile, ...], standing: Standing | None
) -> Registered:
    """Registers a model version under the alias `challenger`.

    Args:
        day: The run.
        built: The model, and everybody assigned by it.
        lineage: Ids by label.
        profiles: Its segments, by label.
        standing: The champion, whose ids are not born here.
    """
    run, ledger, provisional = day.context, day.ledger, load(built)
    bundle = named(provisional, profiles, lineage.next_number)
    kept, sha256 = keep(bundle, day.tables, cached_lookup(bundle, run.home), run, day.settings.ingest)
    born = tuple(name for name in lineage.ids if standing is None or name not in standing.ids)
    if ledger.registered(sha256) is None:  # before the version is there: without them it could never be promoted
        ledger.text(run.run_id, PROFILES, json.dumps([profile.model_dump(mode="json") for profile in profiles]))
    version = ledger.register(run.run_id, model_files(kept), sha256, describe(profiles), EXAMPLE, born)
    ledger.alias(CHALLENGER, version)
    ids = dict(zip(provisional.manifest.ids, lineage.ids, strict=True))
    return Registered(
        version=version,
        bundle=kept,
        sha256=sha256,
        born=born,
        new=ledger.version(version).run_id == run.run_id,
        assignments=renamed(day, built.assignments, ids, version),
    )


def renamed(day: Day, assignments: ArtifactRef, ids: dict[str, str], version: str) -> ArtifactRef:
    """Assignments by provisional ids as assignments by the segments' own ids, of a version."""
    digest = fingerprint("renamed", assignments, ids, version, day.context.code_version)

    def rename(bucket: Bucket) -> "pl.DataFrame":
        import polars as pl

        own = (pl.col(name).replace_strict(ids, return_dtype=pl.String) for name in (SEGMENT_ID, SECOND_SEGMENT_ID))
        inner = pl.element().struct.field(SEGMENT_ID).replace_strict(ids, return_dtype=pl.String)
        soft = pl.col(MEMBERSHIPS).list.eval(pl.element().struct.with_fields(inner.alias(SEGMENT_ID)))
        return bucket[ASSIGNMENTS.name].with_columns(*own, soft, pl.lit(version).alias(MODEL_VERSION))

    given, home = {ASSIGNMENTS.name: assignments}, day.context.home
    return map_buckets(given, rename, day.settings.execution, home=home, kind=ASSIGNMENTS.name, digest=digest)


def describe(profiles: tuple[SegmentProfile, ...]) -> str:
    """Names and sizes of the segments, for the model version's page."""
    return "\n".join(f"- **{p.segment_id}** {p.name}: {p.size} users ({p.share:.1%})" for p in profiles)
