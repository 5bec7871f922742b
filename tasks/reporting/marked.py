"""Markdown in which the words of the data stay words."""

import re
from collections.abc import Iterable, Sequence

_MARKS = re.compile(r"[\\`*_{}\[\]<>#|~!]")


def plain(text: str) -> str:
    """A text on one line, of which no sign is taken for Markdown or HTML."""
    return _MARKS.sub(r"\\\g<0>", " ".join(text.split()))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are plain texts."""
    lines = (head, ["---"] * len(head), *([plain(cell) for cell in row] for row in rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
