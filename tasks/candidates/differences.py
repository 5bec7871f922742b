"""Where a model differs from what readers have today, each figure with its paired interval or why there is none."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef
from schemas.evaluation import EvaluationContext
from schemas.gates import (
    CATALOGUE,
    CHAMPION,
    MODEL,
    PRECISION,
    RECIPE,
    SILHOUETTE,
    STABILITY,
    UNASSIGNED,
    UNSEEN,
    USERS,
    GroupFigures,
)
from schemas.reports import Difference, Metric
from schemas.runs import Candidate, HeldOutFigures, Proof, Standing
from tasks.candidates.candidate import TRAINED, refitter
from tasks.candidates.ground import Ground, warm_start
from tasks.candidates.lessons import truth_groups
from tasks.candidates.proof import COVERAGE, HITS, OWN, hits_of, measurable, measured
from tasks.disk.artifacts import fingerprint, load_state, produce
from tasks.models.told import labels_of
from tasks.numerics.paired import LEVEL, difference, of_repeats
from tasks.plugins.find import plugin
from tasks.stores.book import Day

if TYPE_CHECKING:
    import polars as pl

Proofs = tuple[Proof, Proof | None]
"""Held-out figures of our recipe, and of the champion's."""
NOT_RECOMMENDED = "nothing is recommended here"
NOBODY = "none of today's users has a published segment"


@dataclass(frozen=True)
class Bench:
    """Today's users, side by side.

    Attributes:
        day: The run.
        users: (n,) ids.
        X: (n, d) vectors in the candidate's space.
        candidate: Its algorithm, and where it starts.
        vectors: Where X comes from.
        ours: (n,) labels as they would be published.
        told: (n,) labels as readers have them, −1 for users they know nothing of; None: nothing is live.
        assignments: Where `ours` come from.
    """

    day: Day
    users: "pl.Series"
    X: np.ndarray
    candidate: Candidate
    vectors: ArtifactRef
    ours: np.ndarray
    told: np.ndarray | None
    assignments: ArtifactRef

    @property
    def space(self) -> str:
        """The space that the algorithm works in."""
        return str(self.candidate.algorithm.get("space", "euclidean"))

    def paired(self, ours: np.ndarray, theirs: np.ndarray, level: float = LEVEL) -> Difference | None:
        """Difference of the means of two values per user (or per seed and user)."""
        rng = np.random.default_rng(self.day.context.seed)
        return difference(ours, theirs, self.day.settings.evaluate.bootstraps, rng, level)


def differences(
    bench: Bench, standing: Standing, proofs: Proofs, metrics: dict[str, Metric]
) -> dict[str, Difference | str | None]:
    """Candidate minus champion, by the names of schemas/gates.py; a text says why there is nothing to compare.

    Args:
        bench: Today's users.
        standing: The champion.
        proofs: Held-out figures of both recipes.
        metrics: Of the candidate, for its stability.
    """
    found: dict[str, Difference | str | None] = {
        USERS: _users(bench),
        SILHOUETTE: _silhouette(bench),
        STABILITY: _stability(bench, standing, metrics[STABILITY]),
    }
    if not measurable(bench.day):
        return found | dict.fromkeys((CATALOGUE, RECIPE, MODEL, UNSEEN), NOT_RECOMMENDED)
    return found | {
        CATALOGUE: _catalogue(proofs),
        RECIPE: _recipe(bench, proofs),
        MODEL: _model(bench, standing),
        UNSEEN: _unseen(bench, standing, proofs[0]),
    }


def _users(bench: Bench) -> Difference | None:
    """Who has a segment, and who is told one today."""
    assert bench.told is not None
    return bench.paired((bench.ours >= 0).astype(float), (bench.told >= 0).astype(float))


def _silhouette(bench: Bench) -> Difference | str | None:
    """Of the users who have a segment on both sides, in one space."""
    from tasks.metrics.silhouette import silhouette_samples

    assert bench.told is not None
    both = (bench.ours >= 0) & (bench.told >= 0)
    if not both.any():
        return NOBODY
    X, ours, theirs = bench.X[both], bench.ours[both], bench.told[both]
    if min(len(np.unique(ours)), len(np.unique(theirs))) < 2:
        return "the users with a segment on both sides are all in one"
    return bench.paired(silhouette_samples(X, ours, "cosine"), silhouette_samples(X, theirs, "cosine"))


def _stability(bench: Bench, standing: Standing, ours: Metric) -> Difference | str | None:
    """Of refits on the same resamples, which start as the candidate starts."""
    if not bench.day.settings.evaluate.refits:
        return "stability is not measured (evaluate.refits is 0)"
    init = None
    if bench.candidate.warm:
        settings = (bench.day.settings.identity, bench.day.context.seed)
        init = warm_start(standing, "all", bench.vectors, *settings, grown=bench.candidate.grown)
    assigned = standing.placed["all"].assignments
    labels = labels_of(assigned, standing.ids, bench.users)
    model = Candidate(name=f"version {standing.version}", algorithm=standing.algorithm, start=bench.candidate.start)
    theirs = stability_of(bench, model, Ground(bench.vectors, bench.day.tables, init), labels, assigned)
    if theirs.value is None:
        return f"the champion's is missing: {theirs.reason}"
    if ours.value is None:
        return None
    return of_repeats(np.array(ours.details["each"]), np.array(theirs.details["each"]), paired=True)


def stability_of(
    bench: Bench, model: Candidate, ground: Ground, labels: np.ndarray, assignments: ArtifactRef
) -> Metric:
    """Stability of labels of today's users under refits of an algorithm in the bench's space."""
    config, run = bench.day.settings.evaluate, bench.day.context
    algorithm = model.model_copy(update={"name": ""})
    digest = fingerprint(
        "stability", algorithm, *ground.known(), assignments, config.refits, run.seed, run.code_version
    )

    def write(place: Path) -> dict[str, Any]:
        context = EvaluationContext(
            X=bench.X,
            labels=labels,
            space=bench.space,
            seed=run.seed,
            refit=refitter(model, ground, bench.users, bench.X, run),
        )
        metric = plugin("metrics", STABILITY).compute(context, config)
        (place / "metric.json").write_text(metric.model_dump_json(), encoding="utf-8")
        return {}

    ref = produce(run.home, "stability", digest, write)
    return Metric.model_validate_json((Path(ref.path) / "metric.json").read_text(encoding="utf-8"))


def _precision(bench: Bench, ours: np.ndarray, theirs: np.ndarray, level: float = LEVEL) -> Difference | None:
    """Difference of two users' hits (seeds, n), in precision."""
    gap = bench.paired(ours, theirs, level)
    return gap and gap.scaled(bench.day.settings.evaluate.top_n)


def _recipe(bench: Bench, proofs: Proofs) -> Difference | None:
    """Both recipes, fitted on the train slice."""
    ours, theirs = proofs
    if theirs is None:
        return None
    return _precision(bench, hits_of(ours.recipe)[HITS], hits_of(theirs.recipe)[HITS])


def _catalogue(proofs: Proofs) -> Difference | None:
    """Share of the items that each recipe recommends, over its seeds."""
    ours, theirs = proofs
    if theirs is None:
        return None
    return of_repeats(hits_of(ours.recipe)[COVERAGE], hits_of(theirs.recipe)[COVERAGE], paired=False)


def _model(bench: Bench, standing: Standing) -> Difference | None:
    """The labels that would be published, and those that are; ours have seen the slice, theirs up to their day."""
    ours, theirs = registered(bench), live(bench, standing)
    return _precision(bench, hits_of(ours)[HITS], hits_of(theirs)[HITS])


def registered(bench: Bench) -> HeldOutFigures:
    """Held-out figures of the registered labels themselves; the model has seen the slice that they are measured on."""
    return measured(bench.day, bench.users, bench.ours, ("model", bench.assignments))


def live(bench: Bench, standing: Standing, after: datetime | None = None) -> HeldOutFigures:
    """Held-out figures of the labels that readers have; users whom those leave out get popularity, as they do today."""
    assert bench.told is not None
    return measured(bench.day, bench.users, bench.told, ("model", standing.published), after)


def since(bench: Bench, standing: Standing, ours: Proof) -> tuple[HeldOutFigures, HeldOutFigures]:
    """Our recipe and the published labels, on what users did after those were published: neither side has seen it."""
    assert ours.recipe.labels is not None
    labels = load_state(ours.recipe.labels).arrays[TRAINED]
    recipe = measured(bench.day, bench.users, labels, ("recipe", ours.recipe.labels), standing.as_of)
    return recipe, live(bench, standing, standing.as_of)


def lifts(bench: Bench, standing: Standing | None, proofs: Proofs) -> dict[str, Metric]:
    """Held-out lift of every side, under names that say which; `seen` is the share of the slice that a model knew."""
    ours, theirs = proofs
    found = {RECIPE: _known(ours.recipe, 0.0)}
    if not measurable(bench.day):
        return found
    found[MODEL] = _known(registered(bench), 1.0)
    if standing is None or theirs is None:
        return found
    recipe, told = since(bench, standing, ours)
    late, whole = hits_of(told)[OWN].sum(), hits_of(live(bench, standing))[OWN].sum()
    found |= {f"{CHAMPION}{RECIPE}": _known(theirs.recipe, 0.0)}
    found |= {f"{CHAMPION}{MODEL}": _known(live(bench, standing), 1.0 - float(late) / max(float(whole), 1.0))}
    if late:
        found |= {UNSEEN: _known(recipe, 0.0), f"{CHAMPION}{UNSEEN}": _known(told, 0.0)}
    return found


def _known(figures: HeldOutFigures, seen: float) -> Metric:
    metric = figures.metric
    if metric.value is None:  # nothing was measured, so nothing of it was seen
        return metric
    return metric.model_copy(update={"details": {**metric.details, "seen": seen}})


def _unseen(bench: Bench, standing: Standing, ours: Proof) -> Difference | str | None:
    """Both on what the champion has not seen, by the users whom readers know."""
    assert bench.told is not None
    least = bench.day.settings.gates.min_unseen_users
    found, theirs = since(bench, standing, ours)
    there = (bench.told >= 0) & (hits_of(found)[OWN] > 0)
    if there.sum() < least:
        return f"{there.sum()} published users have events that the champion has not seen, fewer than {least}"
    return _precision(bench, hits_of(found)[HITS][:, there], hits_of(theirs)[HITS][:, there])


def groups(bench: Bench, standing: Standing | None, proofs: Proofs) -> dict[str, dict[str, GroupFigures]]:
    """Figures of each group of the declared columns; the intervals of all of them hold together."""
    day = bench.day
    columns = {column: truth_groups(day.tables, bench.users, column) for column in day.settings.gates.slices}
    masks = {
        column: {
            str(group): (values == group).fill_null(False).to_numpy() for group in values.drop_nulls().unique().sort()
        }
        for column, values in columns.items()
    }
    level = 1 - (1 - LEVEL) / max(sum(map(len, masks.values())), 1)
    return {
        column: {group: _group(bench, mask, standing, proofs, level) for group, mask in found.items()}
        for column, found in masks.items()
    }


def _group(bench: Bench, mask: np.ndarray, standing: Standing | None, proofs: Proofs, level: float) -> GroupFigures:
    out = (bench.ours < 0).astype(float)
    against: dict[str, Difference | None] = {}
    if standing is not None and bench.told is not None:
        against[UNASSIGNED] = bench.paired(out[mask], (bench.told < 0).astype(float)[mask], level)
    ours, theirs = proofs
    if theirs is not None and ours.recipe.hits is not None and theirs.recipe.hits is not None:
        mine, others = (hits_of(proof.recipe)[HITS][:, mask] for proof in (ours, theirs))
        against[PRECISION] = _precision(bench, mine, others, level)
    known = {name: gap for name, gap in against.items() if gap is not None}
    return GroupFigures(n=int(mask.sum()), unassigned=float(out[mask].mean()), against=known)
