"""Names from evidence: distinct, repeatable, offline, and held against today's evidence at each retrain.

A name is made of what a profile claims, most telling first: two categories (or terms, or attributes), a habit where
activity, recency or ties stand out, then more of both, then a title, until no other segment has the name. A segment
whose claims are small "leans to" them, and one without claims that words can tell says that it has no clear profile
(see unclear.py); a hash or a number is no word (see codes.py). With a name goes what it cites, so that the next retrain
can tell whether it is still true.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Literal, NamedTuple

from schemas.reports import Claim, SegmentProfile
from tasks.segments._phrases import phrase
from tasks.segments.codes import speaks
from tasks.segments.profiles import SMALL, cite, strength, titled

Language = Literal["en", "zh"]
_LARGE = 0.5  # effect, at the interval's nearer end, that earns words for a habit: medium (Cohen 1988)
_LONGEST = 40  # letters of one part of a name
_FORMS = {
    "en": {
        "and": " & ",
        "comma": ", ",
        "fans": "{0}: {1}",
        "lean": "Leaning to {0}",
        "only": "Fans of {0}",
        "none": "No clear profile",
        "id": "{0} ({1})",
        "number": "{0} {1}",
    },
    "zh": {
        "and": "与",
        "comma": "，",
        "fans": "{0}：{1}",
        "lean": "略偏{0}",
        "only": "{0}爱好者",
        "none": "特征不明显",
        "id": "{0}（{1}）",
        "number": "{0} {1}",
    },
}


class Part(NamedTuple):
    """A piece of a name, and the claims that it is made of."""

    text: str
    cites: tuple[str, ...]


def named(
    profiles: Sequence[SegmentProfile], kept: Mapping[str, str], language: Language = "en"
) -> tuple[SegmentProfile, ...]:
    """The profiles with a name for each, and what it cites; no new name is like another name.

    Two names are alike when they differ only in case, width, spaces or the order of their parts. The outcome does not
    depend on the order of `profiles`: names are given out in the order of the ids.

    Args:
        profiles: With their claims.
        kept: Segment id -> the name that it keeps: a person's, or the champion's where it is still true. What such a
            name cites stands in the profile already.
        language: Of the words around the parts.
    """
    taken = {_likeness(name) for name in kept.values()}
    found: dict[str, dict[str, object]] = {name: {"name": said} for name, said in kept.items()}
    for profile in sorted(profiles, key=lambda one: one.segment_id):
        if profile.segment_id not in kept:
            part = next(part for part in _proposals(profile, language) if _likeness(part.text) not in taken)
            taken.add(_likeness(part.text))
            found[profile.segment_id] = {"name": part.text, "cites": part.cites}
    return tuple(profile.model_copy(update=found[profile.segment_id]) for profile in profiles)


def _likeness(name: str) -> frozenset[str]:
    """What two names share when a reader could take one for the other: the set of their words."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    for sign in "&,:()与，：（）":
        plain = plain.replace(sign, " ")
    return frozenset(plain.split())


def _proposals(profile: SegmentProfile, language: Language) -> Iterator[Part]:
    """Names from short to long; the last ones hold the id and a number, and never end."""
    form = _FORMS[language]
    items = _once((_short(c.label), c) for c in _told(profile) if c.kind == "item")
    bases = _bases(_subjects(profile, strong=True), _adjectives(profile, language, strong=True), form)
    bases = bases or _weak_bases(profile, items, language)
    yield from bases
    for item in items:
        if bases and item.text not in bases[0].text:
            yield Part(form["fans"].format(bases[0].text, item.text), bases[0].cites + item.cites)
    first = bases[0] if bases else Part(form["none"], ())
    last = Part(form["id"].format(first.text, profile.segment_id), first.cites)
    yield last
    yield from (Part(form["number"].format(last.text, number), last.cites) for number in count(2))


def _joined(sign: str, parts: Sequence[Part]) -> Part:
    return Part(sign.join(part.text for part in parts), tuple(cited for part in parts for cited in part.cites))


def _bases(subjects: list[Part], adjectives: list[Part], form: Mapping[str, str]) -> list[Part]:
    """Two subjects and an adjective, then more of either; without subjects the adjectives alone."""
    heads = [_joined(form["and"], subjects[:n]) for n in range(min(2, len(subjects)), len(subjects) + 1) if n]
    if not heads:
        alone = [_joined(form["comma"], adjectives[:n]) for n in range(1, len(adjectives) + 1)]
        return [Part(_capital(part.text), part.cites) for part in alone]
    few = min(1, len(adjectives))
    return [_joined(form["comma"], [head, *adjectives[:n]]) for n in range(few, len(adjectives) + 1) for head in heads]


def _told(profile: SegmentProfile) -> list[Claim]:
    """The claims that words can tell: a hash or a number says nothing to a reader."""
    return [claim for claim in profile.claims if speaks(claim.label)]


def _subjects(profile: SegmentProfile, strong: bool) -> list[Part]:
    """What the segment is about: categories, or else terms; attributes only where neither is known of; each once."""
    told = _told(profile)
    kind = next((k for k in ("category", "term", "trait") if any(c.kind == k for c in told)), None)
    claims = [c for c in told if c.kind == kind and (strength(c) >= SMALL) == strong]
    return _once((f"“{_short(c.label)}”" if kind == "term" else _short(c.label), c) for c in claims[:4])


def _adjectives(profile: SegmentProfile, language: Language, strong: bool) -> list[Part]:
    """Words for how the segment behaves, where the difference is at least of medium size.

    Args:
        profile: With its claims.
        language: Of the words.
        strong: Whether it is surely so large; False: as measured, while it is sure only that there is one.
    """
    found = []
    for claim in _told(profile):
        words = phrase(claim.key).adjectives if claim.kind == "feature" else {}
        if words and speaks(words[language][0]) and (claim.effect if strong else strength(claim)) >= _LARGE:
            found.append((words[language][0 if claim.lift > 0 else 1], claim))
    return _once(found)


def _once(pairs: Iterable[tuple[str, Claim]]) -> list[Part]:
    """Each text once, with the first claim that says it."""
    found: dict[str, Part] = {}
    for text, claim in pairs:
        if text:
            found.setdefault(text, Part(text, (cite(claim),)))
    return list(found.values())


def _weak_bases(profile: SegmentProfile, items: list[Part], language: Language) -> list[Part]:
    """What to call a segment that no topic and no habit surely sets apart by more than a small effect."""
    form = _FORMS[language]
    leaning = _subjects(profile, strong=False)
    heads = [_joined(form["and"], leaning[:n]) for n in range(min(2, len(leaning)), len(leaning) + 1) if n]
    habits = _adjectives(profile, language, strong=False)
    heads += [_joined(form["comma"], habits[:n]) for n in range(1, len(habits) + 1)]
    pairs = [Part(form["lean"].format(head.text), head.cites) for head in heads]
    return pairs or [Part(form["only"].format(item.text), item.cites) for item in items]


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _short(text: str) -> str:
    """A part of a name: one line, not too long."""
    plain = titled(text)
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1].rstrip() + "…"
