"""What a run tells people, in their language: phrases by key, and what the other rooms said in English."""

import re
import tomllib
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "zh")
_NUMBER = r"(?:[-+]?[\d,]*\.?\d+(?:e[-+]?\d+)?%?|[-+]?inf|nan|None|missing|\?)"
_KINDS = {"": r".+?", "n": _NUMBER, "w": r"\S+?"}
_PARTS = ((r"(?<=\.) (?=[A-Z])", ""), (r"; ", "；"), (r"(?<=\)), ", "、"))
"""Where several sentences, reasons or candidates stand in one text, and what stands between them in Chinese."""


class Words:
    """The phrases of one language."""

    def __init__(self, language: str = "en") -> None:
        self.language = language

    def __call__(self, key: str, **values: Any) -> str:
        """The phrase of a key such as `proof.heading`, with its values filled in."""
        return catalogue()[key][LANGUAGES.index(self.language)].format(**values)

    def told(self, text: str) -> str:
        """What another room said in English, in this language; what the catalogue does not know stays as it is."""
        return text if self.language == "en" else _told(text)


ENGLISH = Words()


@cache
def catalogue() -> dict[str, tuple[str, str]]:
    """Key -> English and Chinese."""
    sections = _read()
    return {f"{name}.{key}": pair for name, some in sections.items() if name != "told" for key, pair in some.items()}


@cache
def sentences() -> tuple[tuple[str, str], ...]:
    """What other rooms say, in English and Chinese."""
    return tuple(_read()["told"]["pairs"])


def _read() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "phrases.toml").read_text(encoding="utf-8"))


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """What reads each English sentence, those with the most words of their own first, and the Chinese one."""

    def own(pair: tuple[str, str]) -> int:
        return -len(re.sub(r"\{.*?\}", "", pair[0]))

    return [(re.compile(_pattern(english), re.DOTALL), chinese) for english, chinese in sorted(sentences(), key=own)]


def _pattern(english: str) -> str:
    """A regular expression: `{x:n}` is a number, `{x:w}` a word, `{x}` any words."""
    parts = re.split(r"\{(\w+):?(\w?)\}", english)
    found = re.escape(parts[0])
    for name, kind, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        found += f"(?P<{name}>{_KINDS[kind]})" + re.escape(rest)
    return found


@lru_cache(maxsize=4096)
def _told(text: str) -> str:
    for pattern, chinese in _patterns():
        if found := pattern.fullmatch(text):
            return chinese.format(**{name: _told(value) for name, value in found.groupdict().items()})
    for sign, between in _PARTS:
        if len(parts := re.split(sign, text)) > 1:
            return between.join(_told(part) for part in parts)
    return text
