"""Lists as files beside the report: CSV that is safe to open in a spreadsheet, and JSON."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.tables import (
    AS_OF,
    ITEM_ID,
    ITEMS,
    MODEL_VERSION,
    NAME,
    RANK,
    REASON,
    SCORE,
    SEGMENT_ID,
    SEGMENTS,
    TITLE,
    USER_ID,
)
from tasks.disk.artifacts import aside, write_text
from tasks.stores import tables
from tasks.stores.book import Day
from tasks.stores.buckets import read_table

if TYPE_CHECKING:
    import polars as pl

_ITEM = (RANK, ITEM_ID, SCORE, REASON)


def files(day: Day, whole: "pl.DataFrame", of_users: "pl.DataFrame | None") -> list[Path]:
    """Writes the lists, each file whole or not at all.

    Args:
        day: The run, after which the files are called.
        whole: The table `recommendations`.
        of_users: The table `user_recommendations`; None: there is none.

    Returns:
        Paths of the lists of segments as CSV and as one JSON document, and of those of users, if there are any, as CSV
        and as a line of JSON for each user.
    """
    names = tables.published(day.context.home, day.name, SEGMENTS.name).select(SEGMENT_ID, NAME)
    named = whole.join(names, on=SEGMENT_ID, how="left", maintain_order="left")
    named = titled(day, named.select(SEGMENT_ID, NAME, *whole.columns[1:]))
    place = Path(day.context.home) / "reports" / day.name / f"{day.context.run_id}-recommendations"
    made = [place.with_suffix(".csv"), place.with_suffix(".json")]
    tables.export(named, made[0])
    write_text(made[1], json.dumps(_document(day, named), ensure_ascii=False, indent=1))
    if of_users is None:
        return made
    place = place.with_name(f"{day.context.run_id}-user-recommendations")
    lines = [place.with_suffix(".csv"), place.with_suffix(".jsonl")]
    tables.export(titled(day, of_users), lines[0])
    _write_lines(lines[1], of_users)
    return [*made, *lines]


def titled(day: Day, lists: "pl.DataFrame") -> "pl.DataFrame":
    """Lists with the titles of their items beside the ids, where the source knows titles."""
    if ITEMS.name not in day.tables or TITLE not in day.tables[ITEMS.name].columns:
        return lists
    titles = read_table(day.tables[ITEMS.name]).select(ITEM_ID, TITLE)
    place = lists.columns.index(ITEM_ID) + 1
    columns = [*lists.columns[:place], TITLE, *lists.columns[place:]]
    return lists.join(titles, on=ITEM_ID, how="left", maintain_order="left").select(columns)


def _document(day: Day, named: "pl.DataFrame") -> dict[str, object]:
    """The lists of segments, the last of which, of users without a segment, has no id."""
    head, items = (
        named.row(0, named=True),
        [one for one in (RANK, ITEM_ID, TITLE, SCORE, REASON) if one in named.columns],
    )
    lists = [
        {**dict(zip((SEGMENT_ID, NAME), key, strict=True)), "items": own.select(items).to_dicts()}
        for key, own in named.group_by(SEGMENT_ID, NAME, maintain_order=True)
    ]
    told = {MODEL_VERSION: head[MODEL_VERSION], AS_OF: head[AS_OF].isoformat()}
    return {"segmentation": day.name, **told, "segments": lists}


def _write_lines(path: Path, of_users: "pl.DataFrame") -> None:
    import polars as pl

    listed = of_users.group_by(USER_ID, MODEL_VERSION, AS_OF, maintain_order=True).agg(pl.struct(_ITEM).alias("items"))
    with aside(path) as temporary:
        listed.write_ndjson(temporary)
