"""What stands side by side under two protocols: the chosen candidate, the champion's recipe, chance and attributes."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef
from schemas.errors import DataError
from schemas.evaluation import HeldOut
from schemas.runs import Candidate, Proof, Registered, Standing, Vectors
from schemas.tables import EVENTS, SEGMENT_ID, USER_ID
from schemas.yardsticks import ATTRIBUTES, CHAMPION, RANDOM, SEGMENTS, Protocol, Yardsticks
from tasks.candidates.candidate import TRAINED, train_candidate
from tasks.candidates.ground import ground
from tasks.candidates.heldout import SHARES, TEST, heldout, heldout_after
from tasks.disk.artifacts import fingerprint, load_state, produce
from tasks.models.told import labels_of
from tasks.stores.book import Day
from tasks.stores.buckets import read_frames, read_table
from tasks.vectors.features import matrix
from tasks.yardsticks.attributes import by_attributes
from tasks.yardsticks.catalogue import items_of
from tasks.yardsticks.split import DATED, Split, split_of, turning_point
from tasks.yardsticks.table import measured

if TYPE_CHECKING:
    import polars as pl

FILE = "yardsticks.json"
Labels = tuple[ArtifactRef, ArtifactRef | None]
"""Labels of the candidate's recipe on what came before the cut, under its seeds, and of the champion's recipe."""


def by_user(day: Day, proofs: tuple[Proof, Proof | None], made: Vectors, model: Registered) -> Yardsticks | None:
    """Every way learns from the first 80 % of everyone's history and is measured on the rest.

    Nothing was chosen by what it is measured on. None where nothing can be measured, or nothing is to be.

    Args:
        day: The run.
        proofs: Held-out figures of the candidate's recipe and of the champion's, with their labels.
        made: User vectors of the first 80 %.
        model: The registered version: who is in which of its segments.
    """
    ours, theirs = proofs
    if ours.recipe.labels is None or day.settings.evaluate.yardsticks == ():
        return None
    _fitted_before(made, SHARES["proving"], day.as_of)
    users = matrix(made.represented.output)[0]

    def split() -> Split:
        held = heldout(day.tables, users, TEST, day.settings.evaluate.events)
        assert held is not None  # a proof was made
        return _split(day, held, made, everyone=True)

    labels = (ours.recipe.labels, None if theirs is None else theirs.recipe.labels)
    return _kept(day, "user", labels, (made, users), model, split)


def by_date(then: Day, trained: Labels, made: Vectors, model: Registered) -> Yardsticks:
    """Every way learns from what everyone did up to a date and is measured on what came after it, by who then came.

    Args:
        then: The run as of that date.
        trained: Labels of the candidate's recipe and of the champion's, fitted as of that date.
        made: User vectors as of that date.
        model: The registered version: who is in which of its segments.
    """
    _fitted_before(made, SHARES["all"], then.as_of)
    users = known_or_later(then, matrix(made.represented.output)[0])

    def split() -> Split:
        held = heldout_after(then.tables, users, then.as_of, then.settings.evaluate.events)
        return _split(then, held, made, everyone=False)

    return _kept(then, "date", trained, (made, users), model, split)


def _fitted_before(made: Vectors, share: float, as_of: datetime) -> None:
    """Refuses vectors that know of what is held out."""
    cut = made.slice
    if cut.share > share or cut.as_of > as_of:
        raise DataError(
            f"yardsticks: vectors of the first {cut.share:.0%} of histories as of {cut.as_of:%Y-%m-%d %H:%M:%S} "
            f"know what is held out: asked were those of the first {share:.0%} as of {as_of:%Y-%m-%d %H:%M:%S}"
        )


def known_or_later(then: Day, users: "pl.Series") -> "pl.Series":
    """The users of the vectors, and after them whoever came later."""
    import polars as pl

    frames = read_frames(then.tables[EVENTS.name], (USER_ID,))
    everyone = pl.concat([frame[USER_ID].cast(pl.String).unique() for frame in frames]).unique().sort()
    return pl.concat([users, everyone.filter(~everyone.is_in(users.implode()))])


def date_of(day: Day) -> datetime | None:
    """The date that the second protocol cuts at; None where nothing is to be measured by it, or cannot be."""
    config = day.settings.evaluate
    if not config.lift or not config.by_date or config.yardsticks == ():
        return None
    return turning_point(day.tables, DATED, config.events)


def trained_at(then: Day, candidate: Candidate, made: Vectors, standing: Standing | None = None) -> ArtifactRef:
    """Labels of a recipe fitted as of a date as it would go live, under several seeds."""
    config, run = then.settings.evaluate, then.context
    here = ground(candidate, made, standing, "dated", then.settings.identity, run.seed)
    return train_candidate(candidate, here, config.seeds, run)


def _split(day: Day, held: HeldOut, made: Vectors, everyone: bool) -> Split:
    import polars as pl

    items = items_of(day, made, pl.Series(held.items))
    return split_of(held, items, day.settings.evaluate.top_n, not day.settings.recommend.exclude_seen, everyone)


def _kept(
    day: Day,
    protocol: Protocol,
    trained: Labels,
    slice_: "tuple[Vectors, pl.Series]",
    model: Registered,
    split: Callable[[], Split],
) -> Yardsticks:
    """The table, measured once for the same labels, vectors, tables and settings; the users are those of the split."""
    config, run, (made, users) = day.settings.evaluate, day.context, slice_
    known = (protocol, trained, model.assignments, made.represented, made.texts, dict(day.tables), run.as_of)
    digest = fingerprint("yardsticks", *known, config, day.settings.recommend, run.seed, run.code_version)

    def write(place: Path) -> dict[str, Any]:
        here, groups = split(), groups_of(day, trained, made, len(users))
        told = measured(protocol, here, groups, members(model, users, here.asked), config, run.seed)
        (place / FILE).write_text(told.model_dump_json(), encoding="utf-8")
        return {"rows": len(told.ways)}

    ref = produce(run.home, "yardsticks", digest, write)
    return Yardsticks.model_validate_json((Path(ref.path) / FILE).read_text(encoding="utf-8"))


def groups_of(day: Day, trained: Labels, made: Vectors, n: int) -> dict[str, np.ndarray]:
    """Way -> (draws, n) labels of everything that groups users; who has no vector, and comes last, is in no group."""
    config, rng = day.settings.evaluate, np.random.default_rng(day.context.seed)
    ours = load_state(trained[0]).arrays[TRAINED]
    found = {SEGMENTS: ours, RANDOM: np.stack([rng.permutation(ours[0]) for _ in range(config.random_draws)])}
    if trained[1] is not None:
        found[CHAMPION] = load_state(trained[1]).arrays[TRAINED]
    if (told := by_attributes(day, made, int(ours.max(initial=0)) + 1)) is not None:
        found[ATTRIBUTES] = told[None]
    return {way: np.pad(some, ((0, 0), (0, n - some.shape[1])), constant_values=-1) for way, some in found.items()}


def members(model: Registered, users: "pl.Series", asked: np.ndarray) -> dict[str, np.ndarray]:
    """Segment id -> (m,) bool of its members among the asked users."""
    ids = sorted(read_table(model.assignments)[SEGMENT_ID].drop_nulls().unique())
    labels = labels_of(model.assignments, ids, users)[asked]
    return {name: labels == label for label, name in enumerate(ids) if (labels == label).any()}
