"""Who users are: the attribute columns of the users table as numbers.

Columns, for a users column X:
- numeric: `attributes_X` = (t − median t) / (1.4826 MAD t), in robust standard deviations; t = log(1 + value) where the
  values are non-negative and their skewness is above 2, else the value;
- ordinal: `attributes_X` = rank / (levels − 1), from 0 to 1;
- categorical: `attributes_X=value`, 1 or 0, for the most frequent values; the rest shares `attributes_X#j` by hash;
- multi-valued: the same, several may be 1;
- any with missing values in the fit: `attributes_X_missing`, 1 where missing.

All of them are of the order of 1 per attribute, so the block can be scaled as one. Sensitive columns are not read at
all unless allowed; they stay in the users table for fairness tables. Which column was left out and why stands in
`State.meta["skipped"]`, where an output comes from in `State.meta["sources"]`.
Medians are exact up to 20,000 users, beyond that those of the 20,000 with the smallest hashes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.artifacts import State
from schemas.errors import DataError, UsageError
from schemas.tables import USER_ID, USERS, Bucket
from tasks.features._common import FamilyConfig, answer, chosen, require
from tasks.features._encoding import Encoding, encode, fit_encoding, read
from tasks.features._summary import Role, Summary, by_type, summarise_labels, summarise_numbers, user_keys, why_not
from tasks.features._summary import merge as merge_summaries
from tasks.numerics.history import population

if TYPE_CHECKING:
    import polars as pl

REQUIRES: tuple[str, ...] = (USERS.name,)


class Config(FamilyConfig):
    """Which users columns are read, and how. Where none is declared, they are detected by type."""

    kind: Literal["attributes"] = "attributes"
    numeric: tuple[str, ...] = Field((), description="users columns read as numbers")
    ordinal: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="users columns with ordered levels: column -> levels from low to high"
    )
    categorical: tuple[str, ...] = Field((), description="users columns read as categories")
    multi_valued: tuple[str, ...] = Field((), description="users columns that hold lists, or strings to be split")
    separator: str = Field("|", min_length=1, description="what stands between values of a multi-valued string")
    sensitive: tuple[str, ...] = Field((), description="users columns kept out of the vectors, such as gender")
    allow_sensitive: bool = Field(False, description="let sensitive columns into the vectors after all")
    ignore: tuple[str, ...] = Field((), description="users columns never read, such as a truth to compare with")
    max_categories: int = Field(32, ge=1, description="values per column that get a column of their own")
    hash_columns: int = Field(8, ge=0, description="columns that the further values share; 0: they are left out")
    near_unique: float = Field(
        0.5, gt=0, le=1, description="a detected text column with more distinct values per user is left out"
    )

    @property
    def declared(self) -> dict[str, Role]:
        """Column -> role, as declared."""
        roles: dict[str, Role] = {}
        for role, names in (
            ("numeric", self.numeric),
            ("ordinal", self.ordinal),
            ("categorical", self.categorical),
            ("multi_valued", self.multi_valued),
        ):
            roles.update(dict.fromkeys(names, role))  # type: ignore[arg-type]
        return roles


@dataclass(frozen=True)
class Partial:
    """Summaries of some users' columns: bounded by distinct values, not by users."""

    users: int
    columns: dict[str, Summary]
    config: Config


def clockless(config: Config) -> bool:
    """Whether `as_of` only cuts the fit off: a later one changes nothing where nothing new became known."""
    return True


def partial(bucket: Bucket, config: Config, as_of: datetime) -> Partial:
    """Summaries of the bucket's columns."""
    import polars as pl

    require(bucket, REQUIRES, "attributes")
    frame = bucket[USERS.name].unique(USER_ID, keep="first", maintain_order=True)
    keys = user_keys(frame[USER_ID].cast(pl.String).to_list())
    columns = {}
    for name, role in roles(frame, config).items():
        if role == "unread":
            columns[name] = Summary("unread", frame[name].count())
            continue
        values = read(frame[name], role, config.separator)
        numeric = role == "numeric"
        columns[name] = summarise_numbers(values, keys) if numeric else summarise_labels(values, role)
    return Partial(len(population(bucket, as_of)), columns, config)


def merge(a: Partial, b: Partial) -> Partial:
    """Summaries of the users of both."""
    names = sorted({*a.columns, *b.columns})
    columns = {n: merge_summaries(a.columns.get(n, Summary()), b.columns.get(n, Summary()), n) for n in names}
    return Partial(a.users + b.users, columns, a.config)


def finish(partial: Partial, rng: np.random.Generator) -> State:
    """Encodings of the columns that say something."""
    config, encodings, skipped = partial.config, [], {}
    for name in sorted(partial.columns):
        summary = partial.columns[name]
        reason = why_not(summary, partial.users, name in config.declared, config.max_categories, config.near_unique)
        if reason:
            skipped[name] = reason
            continue
        args = partial.users, config.max_categories, config.hash_columns, config.separator
        encodings.append(fit_encoding(name, summary, *args, levels=config.ordinal.get(name)))
    if not config.allow_sensitive:
        skipped.update(dict.fromkeys(config.sensitive, "declared sensitive"))
    outputs = [output for encoding in encodings for output in encoding.outputs]
    meta = {
        "columns": chosen(outputs, config, "attributes"),
        "encodings": [encoding.model_dump(mode="json") for encoding in encodings],
        "sources": {output: f"{USERS.name}.{e.source}" for e in encodings for output in e.outputs},
        "skipped": skipped,
    }
    return State({}, meta)


def unknown(bucket: Bucket, state: State, config: Config, as_of: datetime) -> dict[str, tuple[float, float]]:
    """Values of categorical columns that the fit did not see, and such values in all; hashed ones have a place."""
    strange = known = 0
    for encoding in (Encoding(**facts) for facts in state.meta["encodings"]):
        told = encoding.role in ("categorical", "multi_valued") and not encoding.hashed
        if told and len(encoding.levels) < config.max_categories and encoding.source in bucket[USERS.name].columns:
            values = read(bucket[USERS.name][encoding.source], encoding.role, encoding.separator).drop_nulls()
            flat = values.explode().drop_nulls() if encoding.role == "multi_valued" else values
            strange += int((~flat.is_in(list(encoding.levels))).sum())
            known += len(flat)
    return {"values": (float(strange), float(known))}


def transform(bucket: Bucket, state: State, config: Config, as_of: datetime) -> "pl.DataFrame":
    """Encoded attributes per user of the bucket; a user without a row in the users table has all values missing."""
    require(bucket, REQUIRES, "attributes")
    encodings = [Encoding(**facts) for facts in state.meta["encodings"]]
    table = bucket[USERS.name]
    absent = sorted({e.source for e in encodings} - set(table.columns))
    if absent and table.height:
        raise DataError(f"users has no column {', '.join(absent)}, which the model was fitted on: map it in the source")
    users = population(bucket, as_of)
    table = table.unique(USER_ID, keep="first", maintain_order=True)
    rows = users.to_frame().join(table, on=USER_ID, how="left", maintain_order="left")
    values: dict[str, np.ndarray] = {}
    for encoding in encodings:
        column = rows[encoding.source] if encoding.source in rows.columns else _nothing(len(users))
        values |= encode(column, encoding)
    return answer(users, users, values, state.meta["columns"])


def roles(frame: "pl.DataFrame", config: Config) -> dict[str, Role]:
    """Column -> how it is read: as declared, or by its type where nothing is declared."""
    hidden = {USER_ID, *config.ignore, *(() if config.allow_sensitive else config.sensitive)}
    declared = config.declared
    unknown = sorted({*declared, *config.sensitive, *config.ignore} - set(frame.columns))
    if unknown:
        raise UsageError(
            f"features.attributes: users has no column {', '.join(unknown)}; it has {', '.join(frame.columns)}"
        )
    if declared:
        return {name: role for name, role in declared.items() if name not in hidden}
    return {name: by_type(frame[name]) for name in frame.columns if name not in hidden}


def _nothing(n: int) -> "pl.Series":
    import polars as pl

    return pl.Series([None] * n, dtype=pl.String)


def in_unit(constant: float | None, output: str, meta: Mapping[str, Any]) -> float | None:
    """A constant of an input column in the unit of the output that is its number; None where the output is no such.

    Args:
        constant: In the unit of the input.
        output: Name of a column that `transform` gives.
        meta: Of the state that `fit` gave.
    """
    import polars as pl

    for encoding in (Encoding(**facts) for facts in meta.get("encodings", ())):
        if encoding.role == "numeric" and output == encoding.outputs[0]:
            return float(encode(pl.Series([constant]), encoding)[output][0])
    return None
