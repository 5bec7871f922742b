"""Names from evidence: distinct, repeatable, offline.

A name is made of what a profile claims, most telling first: two categories (or terms, or attributes), a habit where
activity, recency or breadth stand out, then more of both, then a title, until no other segment has the name. A segment
whose claims are small "leans to" them, and one without claims says that it has no clear profile.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Literal

from schemas.reports import SegmentProfile
from tasks.segments._words import phrase
from tasks.segments.profiles import SMALL, strength, titled

Language = Literal["en", "zh"]
_LARGE = 0.5  # effect, at the interval's nearer end, that earns words for a habit: medium (Cohen 1988)
_LONGEST = 40  # letters of one part of a name
_FORMS = {
    "en": {"and": " & ", "comma": ", ", "fans": "{0}: {1}", "lean": "Leaning to {0}", "only": "Fans of {0}",
           "none": "No clear profile", "id": "{0} ({1})", "number": "{0} {1}"},
    "zh": {"and": "与", "comma": "，", "fans": "{0}：{1}", "lean": "略偏{0}", "only": "{0}爱好者",
           "none": "特征不明显", "id": "{0}（{1}）", "number": "{0} {1}"},
}  # fmt: skip


def names(profiles: Sequence[SegmentProfile], kept: Mapping[str, str], language: Language = "en") -> tuple[str, ...]:
    """A name for each segment, in the order of `profiles`; no new name is like another name.

    Two names are alike when they differ only in case, width, spaces or the order of their parts. The outcome does not
    depend on the order of `profiles`: names are given out in the order of the ids.

    Args:
        profiles: With their claims.
        kept: Segment id -> the name it has already, from the champion or from a person; never changed.
        language: Of the words around the parts.
    """
    taken = {_likeness(name) for name in kept.values()}
    found = dict(kept)
    for profile in sorted(profiles, key=lambda one: one.segment_id):
        if profile.segment_id not in kept:
            name = next(name for name in _proposals(profile, language) if _likeness(name) not in taken)
            taken.add(_likeness(name))
            found[profile.segment_id] = name
    return tuple(found[profile.segment_id] for profile in profiles)


def _likeness(name: str) -> frozenset[str]:
    """What two names share when a reader could take one for the other: the set of their words."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    for sign in "&,:()与，：（）":
        plain = plain.replace(sign, " ")
    return frozenset(plain.split())


def _proposals(profile: SegmentProfile, language: Language) -> Iterator[str]:
    """Names from short to long; the last ones hold the id and a number, and never end."""
    form = _FORMS[language]
    titles = [title for claim in profile.claims if claim.kind == "item" and (title := _short(claim.label))]
    bases = _bases(_subjects(profile, strong=True), _adjectives(profile, language), form)
    bases = bases or _weak_bases(profile, titles, form)
    yield from bases
    yield from (form["fans"].format(bases[0], title) for title in titles if bases and title not in bases[0])
    last = form["id"].format(bases[0] if bases else form["none"], profile.segment_id)
    yield last
    yield from (form["number"].format(last, number) for number in count(2))


def _bases(subjects: list[str], adjectives: list[str], form: Mapping[str, str]) -> list[str]:
    """Two subjects and an adjective, then more of either; without subjects the adjectives alone."""
    heads = [form["and"].join(subjects[:n]) for n in range(min(2, len(subjects)), len(subjects) + 1) if n]
    if not heads:
        return [_capital(form["comma"].join(adjectives[:n])) for n in range(1, len(adjectives) + 1)]
    few = min(1, len(adjectives))
    tails = [form["comma"].join(["", *adjectives[:n]]) for n in range(few, len(adjectives) + 1)]
    return [head + tail for tail in tails for head in heads]


def _subjects(profile: SegmentProfile, strong: bool) -> list[str]:
    """What the segment is about: categories, or else terms; attributes only where neither is known of; each once."""
    kind = next((k for k in ("category", "term", "trait") if any(c.kind == k for c in profile.claims)), None)
    claims = [c for c in profile.claims if c.kind == kind and (strength(c) >= SMALL) == strong]
    parts = (f"“{_short(c.label)}”" if kind == "term" else _short(c.label) for c in claims[:4])
    return list(dict.fromkeys(part for part in parts if part))


def _adjectives(profile: SegmentProfile, language: Language) -> list[str]:
    """Words for how the segment behaves, where the difference is at least of medium size."""
    found = []
    for claim in profile.claims:
        words = phrase(claim.key).adjectives if claim.kind == "feature" and claim.effect >= _LARGE else {}
        if words:
            found.append(words[language][0 if claim.lift > 0 else 1])
    return list(dict.fromkeys(found))


def _weak_bases(profile: SegmentProfile, titles: list[str], form: Mapping[str, str]) -> list[str]:
    """What to call a segment that no topic and no habit sets apart by more than a small effect."""
    leaning = _subjects(profile, strong=False)
    pairs = [
        form["lean"].format(form["and"].join(leaning[:n])) for n in range(min(2, len(leaning)), len(leaning) + 1) if n
    ]
    return pairs or [form["only"].format(title) for title in titles]


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _short(text: str) -> str:
    """A part of a name: one line, not too long."""
    plain = titled(text)
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1].rstrip() + "…"
