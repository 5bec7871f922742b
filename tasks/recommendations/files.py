"""Lists as files beside the report: CSV that is safe to open in a spreadsheet, and JSON."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.tables import AS_OF, ITEM_ID, MODEL_VERSION, NAME, RANK, REASON, SCORE, SEGMENT_ID, SEGMENTS, USER_ID
from tasks.disk.artifacts import aside, write_text
from tasks.stores import tables
from tasks.stores.book import Day

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
    named = named.select(SEGMENT_ID, NAME, *whole.columns[1:])
    place = Path(day.context.home) / "reports" / day.name / f"{day.context.run_id}-recommendations"
    made = [place.with_suffix(".csv"), place.with_suffix(".json")]
    tables.export(named, made[0])
    write_text(made[1], json.dumps(_document(day, named), ensure_ascii=False, indent=1))
    if of_users is None:
        return made
    place = place.with_name(f"{day.context.run_id}-user-recommendations")
    lines = [place.with_suffix(".csv"), place.with_suffix(".jsonl")]
    tables.export(of_users, lines[0])
    _write_lines(lines[1], of_users)
    return [*made, *lines]


def _document(day: Day, named: "pl.DataFrame") -> dict[str, object]:
    """The lists of segments, the last of which, of users without a segment, has no id."""
    head = named.row(0, named=True)
    lists = [
        {**dict(zip((SEGMENT_ID, NAME), key, strict=True)), "items": own.select(_ITEM).to_dicts()}
        for key, own in named.group_by(SEGMENT_ID, NAME, maintain_order=True)
    ]
    told = {MODEL_VERSION: head[MODEL_VERSION], AS_OF: head[AS_OF].isoformat()}
    return {"segmentation": day.name, **told, "segments": lists}


def _write_lines(path: Path, of_users: "pl.DataFrame") -> None:
    import polars as pl

    listed = of_users.group_by(USER_ID, MODEL_VERSION, AS_OF, maintain_order=True).agg(pl.struct(_ITEM).alias("items"))
    with aside(path) as temporary:
        listed.write_ndjson(temporary)
