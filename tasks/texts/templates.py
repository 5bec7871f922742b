"""The text of an item, from its columns through the template in the config."""

import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.config import TextsConfig
from schemas.errors import UsageError
from schemas.tables import ITEM_ID, ITEMS, TEXT
from tasks.texts.normalise import normalise_all

if TYPE_CHECKING:
    import polars as pl

_JOINTS = " \t\n.,;:|/-–—·•、。，；：！!?？"
_LIST_JOINT = ", "


@dataclass(frozen=True)
class Part:
    """One column of a template with the words around it, which appear only where the column has a value."""

    before: str
    column: str
    after: str


def parts_of(template: str) -> list[Part]:
    """The columns of a template in order; words belong to the column that follows them, the last ones to the last.

    Raises:
        UsageError: the template names no column, or has conversions or format marks in its braces.
    """
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UsageError(f"texts.template {template!r}: {error}: write item columns in braces, {{title}}") from None
    parts = [Part(before, column, "") for before, column, _, _ in parsed if column is not None]
    bad = [part.column for part, (_, _, spec, conversion) in zip(parts, parsed, strict=False) if spec or conversion]
    if bad or not parts or any(not part.column.isidentifier() for part in parts):
        raise UsageError(f"texts.template {template!r}: write item columns in braces and nothing else there, {{title}}")
    if parsed[-1][1] is None:
        parts[-1] = Part(parts[-1].before, parts[-1].column, parsed[-1][0])
    return parts


def item_texts(items: "pl.DataFrame", config: TextsConfig) -> "pl.DataFrame":
    """Normalised text of each item.

    Args:
        items: Items table.
        config: Its template: columns in braces; an empty column is left out with the words around it.

    Returns:
        Frame (item_id, text), in the order of `items`, without the items that have no text at all.

    Raises:
        UsageError: the template names a column that items have not.
    """
    import polars as pl

    parts = parts_of(config.template)
    unknown = sorted({part.column for part in parts} - set(items.columns) - set(ITEMS.names))
    if unknown:
        raise UsageError(
            f"texts.template: items have no column {', '.join(unknown)}; they have {', '.join(items.columns)}"
        )
    made = items.select(ITEM_ID).with_columns(pl.lit("").alias(TEXT))
    for part in parts:
        if part.column not in items.columns:
            continue
        value = _as_text(items.get_column(part.column))
        whole, first = pl.lit(part.before), pl.lit(part.before.lstrip(_JOINTS) if part != parts[0] else part.before)
        piece = pl.when(pl.col(TEXT) == "").then(first).otherwise(whole) + value + pl.lit(part.after)
        made = made.with_columns((pl.col(TEXT) + pl.when(value == "").then(pl.lit("")).otherwise(piece)).alias(TEXT))
    normal = normalise_all(made.get_column(TEXT).to_list())
    texts = pl.Series(TEXT, [normal[text] for text in made.get_column(TEXT).to_list()], dtype=pl.String)
    return made.with_columns(texts).filter(pl.col(TEXT) != "")


def item_vectors(table: "pl.DataFrame", config: TextsConfig, dimension: int, lookup: Callable[..., Any]) -> np.ndarray:
    """(items, dimension) float32 vectors of items' texts, rows of zeros for items without a text."""
    texts = item_texts(table, config)
    place = {item: row for row, item in enumerate(table[ITEM_ID].to_list())}
    rows = [place[item] for item in texts[ITEM_ID].to_list()]
    out = np.zeros((len(table), dimension), np.float32)
    if rows:
        out[rows] = lookup(texts[texts.columns[-1]].to_list())
    return out


def _as_text(column: "pl.Series") -> "pl.Series":
    """A column as text: lists joined by commas, empty where there is no value."""
    import polars as pl

    if isinstance(column.dtype, pl.List):
        column = column.list.eval(pl.element().cast(pl.String).drop_nulls()).list.join(_LIST_JOINT)
    return column.cast(pl.String).fill_null("").str.strip_chars()
