"""What a segment is: every claim is a measured lift against the sibling segments.

`partial` and `merge` count, one bucket at a time; `profiles` turns the counts into claims in numbers and in words. The
siblings are all other segments together; users without a segment count for neither side.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from schemas.config import DescribeConfig
from schemas.reports import Claim, SegmentProfile
from tasks.segments import _phrases, _words
from tasks.segments._counts import LABEL, Counts, edges_of, merge, partial
from tasks.segments._lifts import Lift, common, differences, effect, event_shares, shares
from tasks.segments.codes import speaks

__all__ = ["LABEL", "SMALL", "Counts", "edges_of", "merge", "partial", "profiles", "strength", "titled"]

SMALL = 0.2
"""Effect (Cohen's h or |d| of the measured values) below which a claim, though sure, is a small one (Cohen 1988)."""
_TRIVIAL = 0.1  # below it a claim, though sure, is not worth a reader's time
_LISTED = 6  # categories, items and features in a profile's own lists
_ORDER = ("category", "term", "feature", "trait", "item")
_MOST = {"category": 4, "term": 4, "trait": 2, "feature": 3, "item": 3}


def profiles(
    counts: Counts,
    titles: Mapping[str, str],
    ids: Sequence[str],
    silhouettes: Mapping[int, float] | None = None,
    config: DescribeConfig | None = None,
    cited: Mapping[str, tuple[str, ...] | None] | None = None,
    users: int | None = None,
) -> tuple[SegmentProfile, ...]:
    """Profiles by label; names are still the ids (see names.py).

    A claim holds together with all other claims of all segments: in 19 of 20 reports none is due to chance.

    Args:
        counts: Over all buckets.
        titles: Item -> title; items without one are shown by id.
        ids: Segment ids by label.
        silhouettes: Label -> mean silhouette.
        config: Language and glossary; None: the defaults.
        cited: Segment id -> what the name that it had cites; a profile keeps it where all of that is still claimed.
        users: All of them, also those without a segment, whose share is told; None: those with one.
    """
    config = config or DescribeConfig.model_validate({})
    tables = _tables(counts)
    sure = _lifts_of(counts, tables, len(ids))
    total = float(counts.users.sum()) if users is None else float(users)
    found = []
    for label, name in enumerate(ids):
        told = {kind: [_claim(kind, lift, titles, config) for lift in lifts] for kind, lifts in sure[label].items()}
        claims = {kind: _worth_telling(some) for kind, some in told.items()}
        facts = (name, int(counts.users[label]), total, (silhouettes or {}).get(label))
        profile = _profile(claims, config.language, *facts)
        before = (cited or {}).get(name)
        found.append(profile.model_copy(update={"cites": before} if before and still_said(before, claims) else {}))
    return tuple(found)


def _worth_telling(claims: Iterable[Claim]) -> list[Claim]:
    """Claims that are not trivial, as they came; those of which a name can be made first."""
    return sorted((one for one in claims if strength(one) >= _TRIVIAL), key=lambda one: not speaks(one.label))


def cite(claim: Claim) -> str:
    """What a name made of a claim cites: its kind, key and, where it has one, its direction."""
    sign = ("+" if claim.lift > 0 else "-") if claim.kind == "feature" else ""
    return f"{claim.kind}:{claim.key}{sign}"


def still_said(cites: Sequence[str], claims: Mapping[str, Sequence[Claim]]) -> bool:
    """Whether all that a name cites is claimed today; a name that cites nothing holds while nothing can be claimed."""
    today = {cite(claim) for some in claims.values() for claim in some}
    return set(cites) <= today if cites else not today


def strength(claim: Claim) -> float:
    """Effect of the measured values themselves: Cohen's h of the shares, or |d|."""
    return abs(claim.lift) if claim.kind == "feature" else effect(claim.inside, claim.elsewhere)


def titled(text: str) -> str:
    """A text of the data on one line, without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _tables(counts: Counts) -> dict[str, dict[str, np.ndarray]]:
    """What `shares` and `differences` compare, by the kind of claim."""

    def beside(table: Mapping[str, np.ndarray], users: np.ndarray) -> dict[str, np.ndarray]:
        return common({key: np.stack([row, users]) for key, row in table.items()})

    told = {name: table for name, table in counts.features.items() if not _phrases.opaque(name)}
    if counts.categories:  # shares of events say the same, and say it plainer
        told = {name: table for name, table in told.items() if not name.startswith("interest.affinity_")}
    return {
        "category": common(counts.categories),
        "item": beside(counts.items, counts.users),
        "term": beside(counts.terms, counts.writers),
        "trait": common({name: table[[1, 0]] for name, table in told.items() if _phrases.is_share(name)}),
        "feature": {name: table for name, table in told.items() if not _phrases.is_share(name)},
    }


def _lifts_of(counts: Counts, tables: Mapping[str, Mapping[str, np.ndarray]], k: int) -> list[dict[str, list[Lift]]]:
    """By label and kind all that stands out, most telling first, at a level that holds over the whole report."""
    stacked = {kind: np.stack(list(table.values())) for kind, table in tables.items() if table and kind != "category"}
    compared = k * sum(len(table) for table in tables.values())
    found = []
    for label in range(k):
        lifts = {kind: shares(tables[kind], label, compared, stacked.get(kind)) for kind in ("item", "term", "trait")}
        lifts |= {"category": event_shares(tables["category"], counts.placed, label, compared)}
        found.append(lifts | {"feature": _themes(differences(tables["feature"], counts.ranks, label, compared))})
    return found


def _themes(found: Iterable[Lift]) -> list[Lift]:
    """One feature of each theme, for ten ways to be active are one claim: the strongest that a name can use, if any."""
    best: dict[str, Lift] = {}
    for lift in found:
        phrase = _phrases.phrase(lift.key)
        known = best.setdefault(phrase.theme, lift)
        if phrase.adjectives and not _phrases.phrase(known.key).adjectives:
            best[phrase.theme] = lift
    return sorted(best.values(), key=lambda lift: (-lift.effect, lift.key))


def _claim(kind: str, lift: Lift, titles: Mapping[str, str], config: DescribeConfig) -> Claim:
    label = _label(kind, lift.key, titles, config)
    values = {"inside": lift.inside, "elsewhere": lift.elsewhere}
    if kind == "feature":
        told = {name: _words.number(value) for name, value in values.items()}
        told |= {"lift": f"{lift.lift:+.1f}", "low": f"{lift.low:+.1f}" if abs(lift.low) >= 0.1 else f"{lift.low:+.2g}"}
    else:
        told = {name: _words.percent(value, config.language) for name, value in values.items()}
        told |= {"lift": _words.times(lift.lift), "low": _words.times(lift.low)}
    bare = _words.scaled(lift.key) or told["inside"] == told["elsewhere"]  # numbers that would tell a reader nothing
    form = "scaled" if kind == "feature" and bare else kind
    text = _words.SENTENCES[config.language][form].format(label=label, **told)
    return Claim.model_validate({"kind": kind, "label": label, "text": text, **lift._asdict()})


def _label(kind: str, key: str, titles: Mapping[str, str], config: DescribeConfig) -> str:
    """A key in words: the glossary first, then what the language has."""
    if key in config.glossary:
        return titled(config.glossary[key])
    if kind in ("feature", "trait"):
        phrase = _phrases.phrase(key)
        return titled(phrase.zh if config.language == "zh" else phrase.en)
    if kind == "category" and config.language == "zh":
        return titled(_words.GENRES_ZH.get(key, key))
    return titled(titles.get(key, key) if kind == "item" else key) or key.encode("unicode_escape").decode()


def _profile(
    claims: Mapping[str, list[Claim]],
    language: str,
    name: str,
    size: int,
    total: float,
    silhouette: float | None,
) -> SegmentProfile:
    told = [claim for kind in _ORDER for claim in claims[kind][: _MOST[kind]]]
    told.sort(key=lambda claim: strength(claim) < SMALL)  # stable: sure but small ones last
    evidence = tuple(claim.text for claim in told) or (_words.SENTENCES[language]["weak"],)
    return SegmentProfile(
        segment_id=name,
        name=name,
        size=size,
        share=size / max(total, 1.0),
        evidence=evidence,
        claims=tuple(told),
        top_categories=tuple(claim.label for claim in claims["category"][:_LISTED]),
        top_items=tuple(claim.label for claim in claims["item"][:_LISTED]),
        features={claim.key: claim.lift for claim in claims["feature"][:_LISTED]},
        silhouette=silhouette,
    )
