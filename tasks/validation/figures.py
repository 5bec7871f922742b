"""Figures about a whole table that follow from its counts: shares, shifts since the previous run, totals."""

from collections.abc import Mapping, Sequence

from schemas import tables as t
from schemas.facts import COPIED, DISTINCT, ROWS, Facts
from schemas.reports import Accounting
from tasks.cleaning.twice import copied
from tasks.validation.conditions import NEAR

_COMPARED = {t.EVENT, t.KIND, t.SEGMENT_ID, t.STATUS}


def complete(facts: Facts, all_facts: Mapping[str, Facts], previous: Facts | None) -> Facts:
    """The facts with all figures that the suites ask for, and with those of the previous run beside them.

    Args:
        facts: Merged counts of one table.
        all_facts: The same of all tables of the hand-over.
        previous: The table in the previous accepted run; None where there was none.
    """
    numbers, at = _shares(facts) | _segments(facts, all_facts), dict(facts.first) | _near(facts)
    for name, columns in _open(facts).items():
        numbers[name], at[name] = float(len(columns)), _named(columns)
    for name, (distance, column) in (shifts(facts, previous) if previous is not None else {}).items():
        numbers[name], at[name] = distance, column
    at |= _before(numbers, previous) if previous is not None else {}
    update = {"numbers": facts.numbers | numbers, "first": at, "previous": previous, "tables": tuple(all_facts)}
    update["histories"] = {}
    return facts.model_copy(update=update)


def _before(numbers: Mapping[str, float], previous: Facts) -> dict[str, str]:
    """What figures that are compared with the previous accepted run mean, and what they were then."""
    was = "in the last accepted run"
    words = {
        DISTINCT: "of the rows repeat no other one, {:.3g} " + was,
        COPIED: "of the users have the history of another user, {:.3g} " + was,
    }
    found = {name: text.format(previous.numbers[name]) for name, text in words.items() if name in previous.numbers}
    return {name: text for name, text in found.items() if name in numbers} | {ROWS: f"rows, {previous.rows} {was}"}


def _named(columns: Sequence[str]) -> str:
    return ", ".join(columns[:3]) + (f" and {len(columns) - 3} more" if len(columns) > 3 else "")


def shifts(facts: Facts, previous: Facts) -> dict[str, tuple[float, str]]:
    """Distance from the previous run, and the column that moved furthest.

    `mean_shift` is the largest |mean − previous mean| / previous standard deviation over the numeric columns;
    `share_shift` the largest total variation distance, ½ Σ |p − q|, over the few-valued columns.
    """
    made = {}
    means = [
        (abs(facts.moments[name].mean - old.mean) / old.std, name)
        for name, old in previous.moments.items()
        if name in facts.moments and old.std > 0
    ]
    if means:
        made["mean_shift"] = max(means)
    distances = [
        (_distance(facts.shares[name], old), name)
        for name, old in previous.shares.items()
        if name in facts.shares and name in _COMPARED
    ]
    if distances:
        made["share_shift"] = max(distances)
    return made


def _distance(now: Mapping[str, int], before: Mapping[str, int]) -> float:
    a, b = sum(now.values()) or 1, sum(before.values()) or 1
    return sum(abs(now.get(v, 0) / a - before.get(v, 0) / b) for v in now.keys() | before.keys()) / 2


def _shares(facts: Facts) -> dict[str, float]:
    made = {}
    rows = max(facts.rows, 1)
    if facts.table == t.EVENTS.name and "item_id.unlisted" in facts.counts:
        made["known_items"] = 1 - facts.counts["item_id.unlisted"] / rows
    if "repeated rows" in facts.counts:
        made |= {DISTINCT: 1 - facts.counts["repeated rows"] / rows, COPIED: copied(facts.histories)}
    if "user_id.unlisted" in facts.counts and facts.rows:
        made["known_users"] = 1 - facts.counts["user_id.unlisted"] / rows
    if "undescribed rows" in facts.counts:
        made["undescribed"] = facts.counts["undescribed rows"] / rows
    if "has_text rows" in facts.counts:
        made["has_text"] = facts.counts["has_text rows"] / rows
    if "vector.lengths" in facts.shares:
        made["vector.lengths"] = float(len(facts.shares["vector.lengths"]))
    return made


def _near(facts: Facts) -> dict[str, str]:
    """In what the users that the table of users lacks differ from those that it has."""
    near = {name: facts.counts.get(f"{t.USER_ID}.{name}", 0) for name in NEAR}
    told = [f"{count} of {facts.rows} rows differ in {name}" for name, count in near.items() if count]
    return {"known_users": "; ".join(told)} if told else {}


def _open(facts: Facts) -> dict[str, list[str]]:
    """Columns that are empty or hold one value only, where a table may have any columns."""
    filled = {name.removeprefix("filled "): n for name, n in facts.counts.items() if name.startswith("filled ")}
    if "attributes.nonfinite" not in facts.counts:
        return {}
    constant = [name for name in filled if (m := facts.moments.get(name)) is not None and m.n > 1 and m.m2 == 0]
    empty = [name for name, count in filled.items() if count == 0]
    return {"attributes.empty_columns": empty, "attributes.constant_columns": constant}


def _segments(facts: Facts, all_facts: Mapping[str, Facts]) -> dict[str, float]:
    """Total of the shares and, beside assignments, how many segments count other members than are assigned."""
    if facts.table != t.SEGMENTS.name:
        return {}
    share = facts.moments.get(t.SHARE)
    made = {"share.total": share.mean * share.n if share else 0.0}
    if t.ASSIGNMENTS.name in all_facts and t.SIZE in facts.shares:
        members = all_facts[t.ASSIGNMENTS.name].shares.get(t.SEGMENT_ID, {})
        sizes = facts.shares[t.SIZE]
        made["size_mismatch"] = float(sum(sizes.get(s, 0) != members.get(s, 0) for s in sizes.keys() | members.keys()))
    return made


def accounted(facts: Facts, accounting: tuple[Accounting, ...], why: Mapping[str, str]) -> Facts:
    """The quarantine's facts with each table's share of rows set aside and why, and whether its rows add up."""
    numbers = {f"{a.table}.share": a.quarantined / a.read if a.read else 0.0 for a in accounting}
    numbers |= {f"{a.table}.unbalanced": float(not a.balanced) for a in accounting}
    first = {f"{table}.share": words for table, words in why.items()}
    return facts.model_copy(update={"numbers": facts.numbers | numbers, "first": facts.first | first})
