"""One form for texts that mean the same: what the cache is keyed by and the encoder reads."""

import re
import unicodedata
from collections.abc import Iterable

_SPACE = re.compile(r"\s+")
_JOINERS = {"\u200c", "\u200d"}  # they shape Persian, Indic scripts and emoji
_DROPPED = {"Cc", "Cf", "Cs", "Co", "Cn"}


def normalise(text: str) -> str:
    """The text in NFKC (full-width forms become half-width), without control characters, white space run together.

    Lone surrogates and unassigned code points go too, for no tokenizer reads them. Idempotent.
    """
    if text.isascii() and text.isprintable():
        return _SPACE.sub(" ", text).strip() if "  " in text else text.strip()
    spaced = _SPACE.sub(" ", unicodedata.normalize("NFKC", text))
    kept = "".join(c for c in spaced if c in _JOINERS or unicodedata.category(c) not in _DROPPED)
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", kept)).strip()


def normalise_all(texts: Iterable[str]) -> dict[str, str]:
    """Each distinct text and its normal form."""
    return {text: normalise(text) for text in dict.fromkeys(texts)}
