"""What may be listed: what somebody chose, and what the recommender ranks by what it is, though nobody did."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from schemas.config import TextsConfig
from schemas.interactions import Chosen, Interactions, Items
from schemas.tables import ITEM_ID, ITEMS
from tasks.models.keep import BUNDLE
from tasks.plugins.contracts import offers
from tasks.plugins.find import module_of
from tasks.segments import bundle as bundles
from tasks.stores.book import Day
from tasks.stores.buckets import read_table
from tasks.stores.pointer import Live
from tasks.vectors.encoder import recorded
from tasks.yardsticks.catalogue import known_items

if TYPE_CHECKING:
    import polars as pl
    import scipy.sparse as sp


def listable(day: Day, live: Live, chosen: Chosen) -> tuple[Chosen, Items | None]:
    """Choices over all items that may be listed, and what is known of those.

    Args:
        day: The run, which names the recommender.
        live: The champion, whose encoder and texts speak for the items.
        chosen: Choices over the items that somebody chose.

    Returns:
        The same choices, with a column for each further item that the recommender ranks; and the items by what the live
        model's encoder and the catalogue know of them, None where there is no catalogue.
    """
    if ITEMS.name not in day.tables:
        return chosen, None
    bundle = bundles.load(Path(day.context.home) / live.bundle / BUNDLE, live.sha256)
    manifest, device = bundle.manifest, day.settings.execution.device
    speaks = None if manifest.encoder is None else recorded(manifest.encoder, device, bundle.tuned)
    texts = None if manifest.texts is None else TextsConfig(**manifest.texts)
    config = day.settings.recommend.recommender
    module = module_of("recommenders", config)
    if not offers("recommenders", module, "unchosen"):
        return chosen, known_items(day, chosen.items, texts, speaks)
    ids = _catalogue(day, chosen.items)
    items = known_items(day, ids, texts, speaks)
    stay = ids.is_in(chosen.items.implode()).to_numpy() | module.unchosen(items, config)
    return _wider(chosen, ids.filter(stay)), _part(items, stay)


def _catalogue(day: Day, chosen: "pl.Series") -> "pl.Series":
    """Sorted ids of the items that somebody chose and of those that the catalogue lists."""
    import polars as pl

    listed = read_table(day.tables[ITEMS.name])[ITEM_ID].cast(pl.String)
    return pl.concat([chosen, listed.alias(chosen.name)]).unique().sort()


def _part(items: Items, stay: np.ndarray) -> Items:
    """What is known of some of the items."""
    vectors, categories = (None if one is None else one[stay] for one in (items.vectors, items.categories))
    return Items(items.ids[stay], vectors, categories)


def _wider(chosen: Chosen, ids: "pl.Series") -> Chosen:
    """The same choices over more items, sorted as well, so that the order of the cells stays."""
    import scipy.sparse as sp

    place = np.flatnonzero(ids.is_in(chosen.items.implode()).to_numpy())
    shape, own = (len(chosen.users), len(ids)), chosen.interactions

    def wider(matrix: "sp.csr_matrix") -> "sp.csr_matrix":
        indices = place[matrix.indices].astype(matrix.indices.dtype)
        return sp.csr_matrix((matrix.data, indices, matrix.indptr), shape)

    histories = Interactions(wider(own.counts), wider(own.newest), own.moment)
    return Chosen(chosen.users, ids, histories, chosen.labels)
