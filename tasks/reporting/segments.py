"""Profiles and names of segments as they would be published, in one pass over the buckets."""

from collections.abc import Mapping

import numpy as np

from schemas.artifacts import ArtifactRef
from schemas.reports import Lineage, SegmentProfile
from schemas.runs import Built, Standing, Vectors
from schemas.tables import ITEM_ID, ITEMS, TITLE, USER_ID, USER_VECTORS
from tasks.models.keep import provisional
from tasks.models.told import labels_of, users_of
from tasks.reporting.marked import table
from tasks.segments.codes import speaks
from tasks.segments.colours import colours
from tasks.segments.names import named
from tasks.segments.profiles import LABEL, Counts, edges_of, merge, partial, profiles
from tasks.stores.book import Day
from tasks.stores.buckets import count, parallel, read_bucket, read_table


def describe(
    day: Day, built: Built, lineage: Lineage, vectors: Vectors, standing: Standing | None
) -> tuple[SegmentProfile, ...]:
    """Profiles by label, with names, colours and notes; a continued segment keeps its colour, and a name that is true.

    Args:
        day: The run.
        built: The model, and everybody assigned by it: sizes and claims are of those.
        lineage: Ids by label.
        vectors: Whose feature tables are profiled.
        standing: The champion, for the names that are kept; None: there is none.
    """
    config, before = day.settings.describe, _names_before(standing, lineage)
    cited = {} if standing is None else standing.cited
    counts, users = counted(day, built, vectors), built.assignments.rows
    found = profiles(counts, _titles(day.tables), lineage.ids, _silhouettes(built), config, cited, users)
    said = {p.segment_id for p in found if p.cites is not None or cited.get(p.segment_id) is None}
    said -= {name for name, words in before.items() if cited.get(name) is not None and not speaks(words)}  # a code
    true = {name: words for name, words in before.items() if name in said}
    given = {name: words for name, words in config.names.items() if name in lineage.ids}
    called = tuple(_settled(p, before, given) for p in named(found, {**true, **given}, config.language))
    own = colours(lineage.ids, {} if standing is None else standing.colours)
    more = ({"colour": own[p.segment_id], "note": config.notes.get(p.segment_id)} for p in called)
    return tuple(p.model_copy(update=one) for p, one in zip(called, more, strict=True))


def _settled(profile: SegmentProfile, before: Mapping[str, str], given: Mapping[str, str]) -> SegmentProfile:
    """A named profile with what became of the name before; a person's name cites nothing and is never judged."""
    if profile.segment_id in given:
        return profile.model_copy(update={"cites": None})
    was = before.get(profile.segment_id, profile.name)
    return profile if was == profile.name else profile.model_copy(update={"renamed": was})


def _names_before(standing: Standing | None, lineage: Lineage) -> dict[str, str]:
    known = {} if standing is None else dict(zip(standing.ids, standing.names, strict=True))
    return {name: said for name, said in known.items() if name in lineage.ids}


def counted(day: Day, built: Built, vectors: Vectors) -> Counts:
    """What the profiles are made of, over all buckets."""
    import polars as pl

    ids = provisional(built)
    users = users_of(built.assignments)
    labels = labels_of(built.assignments, ids, users)
    assigned = pl.DataFrame({USER_ID: users, LABEL: labels.astype(np.int32)})
    features = {kind: made.output for kind, made in vectors.features.items()}
    edges = edges_of(read_bucket(features, 0))

    def one(number: int) -> Counts:
        frames = read_bucket(features, number)  # none where texts alone describe users
        here = read_bucket({USER_VECTORS.name: vectors.represented.output}, number)[USER_VECTORS.name]
        own = assigned.join(here.select(USER_ID), on=USER_ID, how="semi")
        return partial(read_bucket(day.tables, number), own, frames, len(ids), edges)

    whole, *rest = parallel(one, range(count(day.tables)), day.settings.execution)
    for other in rest:
        whole = merge(whole, other)
    return whole


def _titles(tables: Mapping[str, ArtifactRef]) -> dict[str, str]:
    if ITEMS.name not in tables:
        return {}
    return dict(read_table(tables[ITEMS.name]).select(ITEM_ID, TITLE).drop_nulls().iter_rows())


def _silhouettes(built: Built) -> dict[int, float]:
    return {
        label: built.silhouettes[name] for label, name in enumerate(provisional(built)) if name in built.silhouettes
    }


def markdown(profiles_: tuple[SegmentProfile, ...]) -> str:
    """Segments as a Markdown table for Prefect."""
    rows = [(p.segment_id, p.name, str(p.size), f"{p.share:.1%}", "; ".join(p.evidence[:3])) for p in profiles_]
    return table(("segment", "name", "users", "share", "evidence"), rows)
