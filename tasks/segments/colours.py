"""The colours of segments: one for each, which it keeps for as long as it lives."""

from collections import Counter
from collections.abc import Collection, Mapping

PALETTE = (
    "#4269d0",
    "#efb118",
    "#ff725c",
    "#6cc5b0",
    "#3ca951",
    "#ff8ab7",
    "#a463f2",
    "#97bbf5",
    "#9c6b4e",
    "#9498a0",
    "#1b3a8c",
    "#8a6100",
    "#b03a2a",
    "#2f7f6e",
    "#1d6b2f",
    "#c2417a",
    "#6a2fb0",
    "#4f83c9",
    "#5e3b25",
    "#5a5f68",
)


def colours(ids: Collection[str], known: Mapping[str, str]) -> dict[str, str]:
    """Segment id -> colour: the one it has, else one that the fewest have, the first of those in the palette.

    Args:
        ids: Today's segments; colours of others are free again.
        known: Segment id -> the colour that readers know it by.
    """
    found = {name: known[name] for name in ids if name in known}
    taken = Counter(found.values())
    for name in (name for name in ids if name not in known):
        found[name] = min(PALETTE, key=lambda colour: taken[colour])
        taken[found[name]] += 1
    return found
