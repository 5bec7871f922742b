"""What recommenders may know of the items: vectors of their texts, and their categories."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from schemas.config import TextsConfig
from schemas.interactions import Items
from schemas.runs import Vectors
from schemas.tables import CATEGORIES, ITEM_ID, ITEMS
from tasks.numerics.interactions import belongs
from tasks.stores.book import Day
from tasks.stores.buckets import read_table
from tasks.texts.templates import item_vectors
from tasks.vectors.encoder import LazyEncoder, cache_of, encode, reader_of

if TYPE_CHECKING:
    import polars as pl
    import scipy.sparse as sp


def items_of(day: Day, made: Vectors, ids: "pl.Series") -> Items:
    """The items of the interactions, with vectors where the run has texts and categories where items have them.

    Args:
        day: The run.
        made: Vectors of the run, which know the encoder.
        ids: (items,) ids, the columns of the interactions.
    """
    texts = made.texts
    if texts is None:
        return known_items(day, ids, None, None)
    return known_items(day, ids, TextsConfig(**texts.config), reader_of(texts, day.settings.execution.device))


def known_items(day: Day, ids: "pl.Series", texts: TextsConfig | None, speaks: LazyEncoder | None) -> Items:
    """The same of a model, which remembers its texts' config and its encoder; None: it reads no texts."""
    import polars as pl

    known = ids.to_numpy()
    if ITEMS.name not in day.tables:
        return Items(known)
    table = pl.DataFrame({ITEM_ID: ids}).join(
        read_table(day.tables[ITEMS.name]), on=ITEM_ID, how="left", maintain_order="left"
    )
    found = None if texts is None or speaks is None else _vectors(day, texts, speaks, table)
    return Items(known, found, _categories(table))


def _vectors(day: Day, texts: TextsConfig, speaks: LazyEncoder, table: "pl.DataFrame") -> np.ndarray:
    """(items, d) vectors of the items' texts, in the encoder that speaks for users; texts it lacks are encoded now."""
    return item_vectors(table, texts, speaks.facts["dimension"], _lookup(day, speaks))


def _lookup(day: Day, encoder: LazyEncoder) -> Callable[[list[str]], np.ndarray]:
    home = day.context.home

    def look(texts: list[str]) -> np.ndarray:
        encode(texts, encoder, home, day.settings.execution)
        return np.asarray(cache_of(encoder, home).get(texts))

    return look


def _categories(table: "pl.DataFrame") -> "sp.csr_matrix | None":
    """(items, categories) CSR of 1; None where no item has one."""
    import polars as pl

    if CATEGORIES not in table.columns:
        return None
    return belongs(table[CATEGORIES], table[CATEGORIES].explode().drop_nulls().cast(pl.String).unique().sort())
