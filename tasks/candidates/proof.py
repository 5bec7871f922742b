"""Held-out figures on the last slice of everyone's history: of a recipe fitted before it, or of labels as they are."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import State
from schemas.evaluation import HeldOut
from schemas.reports import Metric
from schemas.runs import Candidate, HeldOutFigures, Proof, Standing, Vectors
from tasks.candidates.candidate import TRAINED, train_candidate
from tasks.candidates.ground import ground
from tasks.candidates.heldout import TEST, can_hit, heldout
from tasks.disk.artifacts import fingerprint, load_state, produce, save_state
from tasks.stores.book import Day
from tasks.vectors.features import matrix

if TYPE_CHECKING:
    import polars as pl

HITS, COVERAGE, POPULAR, OWN = "hits", "coverage", "popular", "own"
FIGURES = "figures.json"


def prove(day: Day, candidate: Candidate, made: Vectors, standing: Standing | None = None) -> Proof:
    """Fits a recipe on the first 80 % of everyone's history, as it would go live, and measures it on the rest.

    Args:
        day: The run.
        candidate: Whose algorithm, parameters and start; what it was fitted to elsewhere is not used.
        made: User vectors made from the first 80 %.
        standing: The champion on the same slice, for a candidate that starts from it.
    """
    config, run = day.settings.evaluate, day.context
    if not measurable(day):
        return Proof(recipe=HeldOutFigures(metric=_missing(day)), wanted=config.lift)
    here = ground(candidate, made, standing, "proving", day.settings.identity, run.seed)
    trained = train_candidate(candidate, here, config.seeds, run)
    users = matrix(made.represented.output)[0]
    if not matrix(here.vectors)[0].equals(users, check_names=False):
        raise RuntimeError("the users of a slice differ between two representations; this is a bug")
    labels = load_state(trained).arrays[TRAINED]
    figures = measured(day, users, labels, ("recipe", trained)).model_copy(update={"labels": trained})
    return Proof(recipe=figures, wanted=config.lift)


def measurable(day: Day) -> bool:
    """Whether held-out lift is wanted and could be had: somebody's last choices hold an item that can be hit.

    What the user had before is not recommended again, and of what nobody had before nothing is known. Of fewer than
    five events none are held out.
    """
    config = day.settings.evaluate
    return config.lift and can_hit(day.tables, TEST, config.events)


def measured(
    day: Day, users: "pl.Series", labels: np.ndarray, known: tuple[Any, ...], after: datetime | None = None
) -> HeldOutFigures:
    """Held-out figures of labels on the last slice.

    Args:
        day: The run.
        users: (n,) ids.
        labels: (n,) labels of theirs, or (seeds, n).
        known: What a fingerprint of the labels has to hold.
        after: Of the held-out events only those later than this count; None: all.
    """
    from tasks.metrics.heldout_lift import measured as measure
    from tasks.metrics.heldout_lift import told

    config, run = day.settings.evaluate, day.context
    digest = fingerprint("proof", *known, dict(day.tables), config, after, run.seed, run.code_version)

    def write(place: Path) -> dict[str, Any]:
        held = _held(day, users, after)
        found = measure(held, labels, config, run.seed)
        metric = told(found, labels, config, seed=run.seed)
        (place / FIGURES).write_text(metric.model_dump_json(), encoding="utf-8")
        own = np.diff(held.test.indptr)
        save_state(place, State({HITS: found.hits, COVERAGE: found.coverage, POPULAR: found.popular, OWN: own}))
        return {"rows": len(users)}

    ref = produce(run.home, "proof", digest, write)
    text = (Path(ref.path) / FIGURES).read_text(encoding="utf-8")
    return HeldOutFigures(metric=Metric.model_validate_json(text), hits=ref)


def hits_of(figures: HeldOutFigures) -> dict[str, np.ndarray]:
    """Hits (seeds, n), coverage (seeds,), hits of popularity (n,) and held-out items (n,) of every user."""
    assert figures.hits is not None
    return load_state(figures.hits).arrays


def _held(day: Day, users: "pl.Series", after: datetime | None = None) -> HeldOut:
    found = heldout(day.tables, users, TEST, day.settings.evaluate.events, after)
    assert found is not None  # `measurable` was asked
    return found


def _missing(day: Day) -> Metric:
    silent = "nothing held out can be hit: nobody's last fifth of events has an item new to the user that others had"
    why = silent if day.settings.evaluate.lift else "evaluate.lift is off: items are not users' choices"
    return Metric(name="heldout_lift", value=None, n=0, reason=why)
