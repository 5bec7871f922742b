"""Users as a recommender would send them."""

from collections.abc import Mapping

import polars as pl


def raw_users(bucket: Mapping[str, pl.DataFrame], n: int | None = None) -> list[dict]:
    """The first n users of input tables, in order of their ids; a table that says nothing of a user is left out."""
    people = bucket["users"].sort("user_id") if "users" in bucket else None
    ids = (bucket["events"]["user_id"].unique().sort() if people is None else people["user_id"])[:n].to_list()
    out = {user: {"user_id": user} for user in ids}
    for name in bucket.keys() & {"events", "texts"}:
        frame = bucket[name].filter(pl.col("user_id").is_in(ids))
        frame = frame.with_columns(pl.col("timestamp").dt.to_string("iso:strict"))
        for (user,), rows in frame.group_by("user_id", maintain_order=True):
            out[user][name] = rows.drop("user_id").to_dicts()
    if people is not None:
        for row in people.filter(pl.col("user_id").is_in(ids)).to_dicts():
            out[row.pop("user_id")]["attributes"] = row
    return list(out.values())
