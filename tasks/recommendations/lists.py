"""The lists of a day: the best items for each segment, for users without one, and, if asked for, for each user."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.config import kind_of
from schemas.interactions import Chosen
from schemas.recommended import Basis, Lists, Terms
from schemas.tables import (
    AS_OF,
    ITEM_ID,
    MODEL_VERSION,
    NAME,
    RANK,
    REASON,
    RECOMMENDATIONS,
    SCORE,
    SEGMENT_ID,
    SEGMENTS,
    USER_ID,
    USER_RECOMMENDATIONS,
    Bucket,
)
from tasks.disk.artifacts import fingerprint, produce, write_parquet
from tasks.histories.evidence import Evidence, evidence
from tasks.histories.kept import keep
from tasks.models.today import as_published
from tasks.numerics.history import population
from tasks.plugins.find import plugin
from tasks.ranking.ruled import ruled
from tasks.recommendations.candidates import listable
from tasks.recommendations.chosen import chosen_today
from tasks.registry.readers import expect
from tasks.serving.recommending import fit
from tasks.stores import tables
from tasks.stores.book import Day
from tasks.stores.buckets import bucket_path, map_buckets
from tasks.stores.pointer import Live

if TYPE_CHECKING:
    import polars as pl

    from schemas.artifacts import ArtifactRef

Found = tuple[np.ndarray, np.ndarray]
"""(m, n) column numbers, best first, −1 where nothing is left, and (m, n) scores."""


def recommended(day: Day) -> Lists:
    """Fits the recommender on today's choices and the published segments, and ranks items for each of those.

    Args:
        day: The run.

    Raises:
        UsageError: nothing is live.
        DataError: nobody chose anything.
    """
    live, config = expect(day.context.home, day.name), day.settings.recommend
    segments = tables.read_live(day.context.home, day.name, SEGMENTS.name, live).sort(SEGMENT_ID)
    known = as_published(day, live)
    choices = chosen_today(day, known, segments[SEGMENT_ID].to_list())
    today, items = listable(day, live, choices)
    basis = Basis(today, items, _terms(day, live, segments))
    why, fitted = evidence(basis), fit(basis)
    made = _Tables(day, live.model_version, today, why, fingerprint(known, segments.to_dicts(), dict(day.tables)))
    whole = made.of_segments(segments[SEGMENT_ID], _tops(basis, why, fitted, config.n))
    users = made.of_users(fitted) if config.per_user else None
    return Lists(
        model_version=live.model_version,
        segments=whole,
        users=users,
        recommender=kind_of(config.recommender),
        choosable=len(choices.items),
        unchosen=len(today.items) - len(choices.items),
        basis=keep(day.context.home, basis, made.known),
    )


def _terms(day: Day, live: Live, segments: "pl.DataFrame") -> Terms:
    """How the day's recommender is fitted, and for whom."""
    config = day.settings.recommend
    return Terms(
        model_version=live.model_version,
        segments=tuple(segments[SEGMENT_ID]),
        names=tuple(segments[NAME]),
        language=day.settings.describe.language,
        recommender=config.recommender.model_dump(mode="json"),
        events=day.settings.evaluate.events,
        n=config.n,
        exclude_seen=config.exclude_seen,
        rules=config.rules,
        seed=day.settings.seed,
    )


def _tops(basis: Basis, why: Evidence, fitted: Any, n: int) -> Found:
    """Best items of each segment and, in the last row, for users without one.

    Those get what is popular with everybody, and so does a segment that nobody is in today: of neither is more known.
    """
    today, popular = basis.chosen, plugin("recommenders", "global_popularity")
    everyone, rng = np.zeros(len(today.labels), np.int64), np.random.default_rng(0)
    chosen = popular.fit(today.interactions, None, everyone, popular.Config(), rng)
    chosen.by_group[:, today.interactions.counts.getnnz(axis=0) == 0] = -np.inf  # what nobody chose is not popular
    all_ = ruled(chosen, basis).top(n)
    items, scores = (np.repeat(part, len(why.sizes) + 1, axis=0) for part in all_)
    own = fitted.top(n)
    peopled = np.flatnonzero(why.sizes)
    items[peopled], scores[peopled] = (part[peopled] for part in own)
    return items, scores


class _Tables:
    """Writes lists as tables of the contract.

    Args:
        day: The run.
        version: The live model's.
        today: Whose items the lists name.
        why: What is told of them.
        known: Fingerprint of what they were made from.
    """

    def __init__(self, day: Day, version: str, today: Chosen, why: Evidence, known: str) -> None:
        self.day, self.version, self.today, self.why = day, version, today, why
        settings, run = day.settings, day.context
        told = (settings.recommend, settings.evaluate.events, settings.describe.language)
        self.known = fingerprint(known, version, *told, run.as_of, run.seed, run.code_version)

    def of_segments(self, ids: "pl.Series", found: Found) -> "ArtifactRef":
        """The table `recommendations`."""
        import polars as pl

        owners = pl.concat([ids, pl.Series([None], dtype=pl.String)]).alias(SEGMENT_ID)
        labels = np.append(np.arange(len(ids)), -1)

        def write(place: Path) -> dict[str, Any]:
            frame = self._frame(owners, labels, found)
            write_parquet(bucket_path(place, 0), frame)
            return {"rows": len(frame), "columns": tuple(frame.columns)}

        name = RECOMMENDATIONS.name
        return produce(self.day.context.home, name, fingerprint(name, self.known), write)

    def of_users(self, fitted: Any) -> "ArtifactRef":
        """The table `user_recommendations`, bucket by bucket."""
        import polars as pl

        today, config, run = self.today, self.day.settings.recommend, self.day.context
        place = pl.DataFrame({USER_ID: today.users}).with_row_index("row")

        def recommend(bucket: Bucket) -> pl.DataFrame:
            users = population(bucket, run.as_of)
            own = users.to_frame().join(place, on=USER_ID, how="left", maintain_order="left")["row"].to_numpy()
            found = fitted.recommend(own, config.n, config.exclude_seen)
            return self._frame(users, today.labels[own], found)

        name = USER_RECOMMENDATIONS.name
        digest, execution = fingerprint(name, self.known), self.day.settings.execution
        return map_buckets(self.day.tables, recommend, execution, home=run.home, kind=name, digest=digest)

    def _frame(self, owners: "pl.Series", labels: np.ndarray, found: Found) -> "pl.DataFrame":
        """Rows of (m,) owners with (m,) segments, each with its items."""
        import polars as pl

        items, scores = found
        at, rank = np.nonzero(items >= 0)
        chosen = items[at, rank]
        return pl.DataFrame(
            {
                owners.name: owners.gather(at),
                RANK: (rank + 1).astype(np.int32),
                ITEM_ID: self.today.items.gather(chosen),
                SCORE: scores[at, rank],
                REASON: self.why.words(labels[at], chosen),
            }
        ).with_columns(
            pl.lit(self.version).alias(MODEL_VERSION),
            pl.lit(self.day.as_of).cast(pl.Datetime("us", "UTC")).alias(AS_OF),
        )
