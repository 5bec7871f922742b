"""What tests do with two registered versions: see conftest.py."""

from schemas.tables import PUBLISHED
from tasks.serving.promoting import promote, roll_back
from tasks.stores import pointer, tables
from tests.serving import models

NAME = models.NAME


def make_live(shop, which: int) -> pointer.Pointer:
    home, versions, _, ledger = shop
    model, now = versions[which], pointer.read(str(home), NAME).revision
    return promote(model, models.profiles(model), models.quarantine(home), now, models.context(home), ledger)


def back(shop):
    home, *_, ledger = shop
    return roll_back(pointer.read(str(home), NAME).revision, "ann", "it was worse", str(home), ledger)


def seen(home) -> dict[str, list]:
    """Everything that readers see of the published tables."""
    names = PUBLISHED.keys() & pointer.read(str(home), NAME).live.tables.keys()
    return {name: tables.published(str(home), NAME, name).to_dicts() for name in sorted(names)}
