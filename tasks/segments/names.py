"""Names from evidence: distinct, repeatable, offline."""

from collections.abc import Mapping, Sequence
from typing import Literal

from schemas.reports import SegmentProfile

_ACTIVITY = {"behaviour.events": {"en": ("frequent", "occasional"), "zh": ("活跃", "低频")}}
_WORDS = {"en": {"mixed": "Mixed tastes", "and": " & "}, "zh": {"mixed": "兴趣广泛", "and": "与"}}
_TELLING = 0.8  # Cohen's d that counts as large (Cohen 1988)


def names(
    profiles: Sequence[SegmentProfile], kept: Mapping[str, str], language: Literal["en", "zh"] = "en"
) -> tuple[str, ...]:
    """A name for each segment, no two the same.

    Two leading categories, and how active the segment is where that is telling; more categories, then more words, until
    a name is its own. A segment without evidence says so.

    Args:
        profiles: By label.
        kept: Segment id -> the name it has already, which a continued segment keeps.
        language: Of the words around the categories.
    """
    taken = set(kept.values())
    found: list[str] = []
    for profile in profiles:
        name = kept.get(profile.segment_id) or next(n for n in _proposals(profile, language) if n not in taken)
        taken.add(name)
        found.append(name)
    return tuple(found)


def _proposals(profile: SegmentProfile, language: str) -> list[str]:
    """Names from short to long; the last one holds the id and is nobody else's."""
    words = _WORDS[language]
    activity = [
        pair[language][0 if profile.features[feature] > 0 else 1]
        for feature, pair in _ACTIVITY.items()
        if abs(profile.features.get(feature, 0.0)) >= _TELLING
    ]
    tail = f", {activity[0]}" if activity else ""
    tops = profile.top_categories
    out = [words["and"].join(tops[:n]) + tail for n in (2, 3, 4) if len(tops) >= n]
    out = out or ([tops[0] + tail] if tops else [])
    if profile.top_items:
        out.append(f"{(tops or (words['mixed'],))[0]}: {profile.top_items[0]}")
    return [*out, words["mixed"] + tail, f"{(tops or (words['mixed'],))[0]} {profile.segment_id}{tail}"]
