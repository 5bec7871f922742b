"""How a user behaves: a family over the events table, one bucket at a time.

n is the number of the user's events up to `as_of`, t1 the first and tn the last; days are of 24 hours. Null: unknown.
Where the bucket was cut, `as_of` below is the user's own moment.

Recency, frequency, tenure
    recency_days        as_of − tn, days
    tenure_days         as_of − t1, days
    events              n, events (0 for a user without events)
    events_per_day      n / max(tenure_days, 1), events a day
    active_days         distinct calendar days (UTC + utc_offset_hours) with an event (0 without events)
    active_day_share    active_days / calendar days from t1 to as_of, both counted, in (0, 1]
    trend               (events in the later half of [t1, as_of] − events in the earlier half) / n, in [−1, 1]
    activity_tier       how many of the fitted quantiles of `events` over users n exceeds: 0 low, 1 medium, 2 high
Gaps and sessions (a gap longer than session_gap_minutes opens a session)
    gap_mean_days       (tn − t1) / (n − 1), days; null for n < 2
    gap_median_days     median of the n − 1 gaps, days; null for n < 2
    gap_regularity      1 / (1 + sd / mean of the gaps), population sd, in (0, 1]; null for n < 3 or a mean of 0
    sessions            number of sessions (0 without events)
    session_minutes_mean  mean time from a session's first to its last event, minutes
    session_depth_mean  n / sessions, events; session_depth_max: events of the deepest session
Rhythm (local time, UTC + utc_offset_hours; a = 2π · minute of day / 1440, or 2π · weekday / 7 from Monday = 0)
    hour_sin, hour_cos, weekday_sin, weekday_cos  c + (n − 1) / (n − 1 + rhythm_events) · (own − c), in [−1, 1], of own,
                        the user's means of sin a and cos a, and c, those of all users' events, which is fitted: one
                        event tells no rhythm, so that who has one is like everybody
    hour_concentration, weekday_concentration     √(sin² + cos²) of those two, in [0, 1]; 1: always the same
Diversity (p: shares of the user's events per item)
    distinct_items      number of items (0 without events)
    repeat_share        1 − distinct_items / n, in [0, 1)
    item_entropy        −Σ p ln p, nats
    top_item_share      max p, in (0, 1]
Mix (where the data has at least two event names; names by number of events, at most max_kinds)
    share_<event>       events of that name / n, in [0, 1]
    funnel_<a>_to_<b>   events b / events a, for neighbouring steps of `funnel` that the data has, and first to last of
                        three or more; null where the user has no event a
Money (where events other than rating_events have values) and ratings (where rating_events have)
    value_sum, value_mean  sum and mean of the values of events that are not ratings, in the source's unit
    rating_mean, rating_std  mean and population sd of the user's ratings, in the source's unit
    rating_strictness   mean over the user's ratings of (the item's mean rating − the rating); above 0: stricter than
                        others. The item means are fitted, over all users, the user included
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.artifacts import State
from schemas.tables import EVENT, EVENTS, ITEM_ID, VALUE, Bucket
from tasks.features import _behaviour as kernels
from tasks.features._common import FamilyConfig, answer, chosen, require
from tasks.features._timeline import Timeline, timeline
from tasks.numerics.history import clock, population
from tasks.numerics.keys import pack_strings, unpack_strings

if TYPE_CHECKING:
    import polars as pl

REQUIRES: tuple[str, ...] = ("events",)
_ZERO_WITHOUT_EVENTS = ("events", "active_days", "sessions", "distinct_items", "activity_tier")


class Config(FamilyConfig):
    """Settings of the behaviour family."""

    kind: Literal["behaviour"] = "behaviour"
    session_gap_minutes: float = Field(30.0, gt=0, description="a longer pause opens a new session, minutes")
    rating_events: tuple[str, ...] = Field(("rating", "rate"), description="events whose value is a rating, not money")
    funnel: tuple[str, ...] = Field(("view", "cart", "buy"), description="event names from first to last step")
    max_kinds: int = Field(8, ge=1, description="event names that get a share column, by number of events")
    tier_quantiles: tuple[float, ...] = Field((0.5, 0.9), description="quantiles of events over users between tiers")
    rhythm_events: float = Field(
        5.0,
        ge=0,
        description="events beyond the first at which a user's own hours and weekdays weigh as much as everybody's; "
        "0: they alone count, however few",
    )
    utc_offset_hours: float = Field(0.0, ge=-14, le=14, description="local time minus UTC, hours, for days and rhythm")


@dataclass(frozen=True)
class Partial:
    """Whole-number statistics of some buckets, so that merging is exact in any order.

    Attributes:
        kinds: Event name -> events.
        frequencies: Number of events -> users who have as many.
        paid: Values on events that are not ratings.
        items: Per rated item: sum and number of ratings, see `_behaviour.item_sums`; size: the rated items.
        turns: Events at each minute of the day and at each weekday, see `_behaviour.turn_counts`.
        config: The config that the statistics were made with.
    """

    kinds: dict[str, int]
    frequencies: dict[int, int]
    paid: int
    items: "pl.DataFrame"
    turns: dict[str, np.ndarray]
    config: Config


def _rated(code: np.ndarray, names: "pl.Series", config: Config) -> np.ndarray:
    """(n,) which events are ratings."""
    return np.array([name in config.rating_events for name in names], bool)[code]


def clockless(config: Config) -> bool:
    """Whether `as_of` only cuts the fit off: a later one changes nothing where nothing new became known."""
    return True


def partial(bucket: Bucket, config: Config, as_of: datetime) -> Partial:
    """Statistics of one bucket's events up to `as_of`."""
    require(bucket, REQUIRES, config.kind)
    line = timeline(bucket, as_of)
    code, names = line.codes(EVENT)
    rated = _rated(code, names, config)
    kinds = dict(zip(names, np.bincount(code, minlength=len(names)).tolist(), strict=True))
    sizes, users = np.unique(line.counts, return_counts=True)
    frequencies = dict(zip(sizes.tolist(), users.tolist(), strict=True))
    paid = int((~rated & ~np.isnan(line.values)).sum())
    turns = kernels.turn_counts(line, _offset(config))
    return Partial(kinds, frequencies, paid, kernels.item_sums(line, rated), turns, config)


def merge(a: Partial, b: Partial) -> Partial:
    """Statistics of both."""
    import polars as pl

    kinds = {key: a.kinds.get(key, 0) + b.kinds.get(key, 0) for key in a.kinds | b.kinds}
    frequencies = {key: a.frequencies.get(key, 0) + b.frequencies.get(key, 0) for key in a.frequencies | b.frequencies}
    items = pl.concat([a.items, b.items]).group_by(ITEM_ID).sum()
    turns = {name: own + b.turns[name] for name, own in a.turns.items()}
    return Partial(kinds, frequencies, a.paid + b.paid, items, turns, a.config)


def finish(partial: Partial, rng: np.random.Generator) -> State:
    """Columns, tier bounds, item means and everybody's rhythm; nothing here is random."""
    config, items = partial.config, partial.items.sort(ITEM_ID)
    ranked = sorted(partial.kinds, key=lambda kind: (-partial.kinds[kind], kind))[: config.max_kinds]
    meta: dict[str, Any] = {
        "kinds": ranked if len(ranked) > 1 else [],
        "steps": [step for step in config.funnel if step in partial.kinds],
        "tiers": kernels.quantiles(partial.frequencies, config.tier_quantiles),
        "money": partial.paid > 0,
        "ratings": len(items) > 0,
    }
    mean = (items["whole"].to_numpy() + items["part"].to_numpy() / 2.0**32) / np.maximum(items["n"].to_numpy(), 1)
    meta["sources"] = dict.fromkeys(("value_sum", "value_mean", "rating_mean"), f"{EVENTS.name}.{VALUE}")
    meta["columns"] = chosen(kernels.names(meta), config, config.kind)
    learned = {"item_mean": mean, "rhythm": kernels.common_rhythm(partial.turns)}
    return State(learned | pack_strings(items[ITEM_ID].to_list(), "items"), meta)


def transform(bucket: Bucket, state: State, config: Config, as_of: datetime) -> "pl.DataFrame":
    """Features of one bucket's users: user_id and Float32 columns, see the module's docstring."""
    import polars as pl

    require(bucket, REQUIRES, config.kind)
    line, columns = timeline(bucket, as_of), state.meta["columns"]
    with np.errstate(over="ignore", invalid="ignore"):  # amounts near 1e308: what overflows is unknown, not an error
        values = _values(line, state, config, clock(bucket, line.users, as_of))
    frame = answer(population(bucket, as_of), line.users, values, columns)
    return frame.with_columns(pl.col(name).fill_null(0.0) for name in _ZERO_WITHOUT_EVENTS if name in columns)


def _offset(config: Config) -> int:
    """Local time minus UTC, microseconds, in whole minutes."""
    return round(config.utc_offset_hours * 60) * kernels.MINUTE


def _values(line: Timeline, state: State, config: Config, now: np.ndarray) -> kernels.Columns:
    offset, meta = _offset(config), state.meta
    if not len(line.starts):
        return dict.fromkeys(state.meta["columns"], np.zeros(0))
    (event, kinds), (item, names) = line.codes(EVENT), line.codes(ITEM_ID)
    gap, rated = kernels.gaps(line), _rated(event, kinds, config)
    made = kernels.recency_frequency(line, now, offset)
    made["activity_tier"] = np.searchsorted(np.array(meta["tiers"], np.int64), line.counts, side="left")
    made |= kernels.gap_features(line, gap)
    made |= kernels.session_features(line, gap, round(config.session_gap_minutes * kernels.MINUTE))
    common = state.arrays.get("rhythm")  # an earlier version's has none: its users' own rhythms count alone
    made |= kernels.rhythm(line, offset, common, config.rhythm_events) | kernels.diversity(line, item)
    if meta["kinds"] or len(meta["steps"]) > 1:
        made |= kernels.mix(kernels.kind_counts(line, event, kinds), line.counts, meta["kinds"], meta["steps"])
    if meta["money"]:
        made |= kernels.money(line, rated)
    if meta["ratings"]:
        items = unpack_strings(state.arrays, "items")
        made |= kernels.ratings(line, rated, item, names, items, state.arrays["item_mean"])
    return made
