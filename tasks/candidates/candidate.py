"""Fits one candidate: on all data, what may be registered, and under several seeds on a slice, what is measured."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef, RunContext, State
from schemas.config import Section
from schemas.evaluation import FittedClusterer
from schemas.runs import Candidate
from tasks.candidates.ground import Ground
from tasks.candidates.lessons import lesson, source
from tasks.disk.artifacts import fingerprint, produce, save_state
from tasks.plugins.find import module_of, plugin
from tasks.stores.flat import flatten
from tasks.vectors.features import matrix

if TYPE_CHECKING:
    import polars as pl

Refit = Callable[[np.ndarray, int], np.ndarray]
WARM_STEPS = 3
"""Lloyd iterations of a fit that starts from the champion's members."""
LABELS, TRAINED, FITTED, WARNINGS = "labels", "trained", "fitted.", "warnings"
EXTRAS = "extras."
CURVES = ("k_distances", "eps", "linkage", "fits")
"""What a fit leaves behind for figures, where the algorithm has it; of the fits it made, all labels."""
FIT, FIGURES = "fit", ("modularity", "report")
"""Numbers that a fit itself tells: modularity of communities; cross-validated accuracy, precision, recall and F1."""


def algorithm(candidate: Candidate, ground: Ground | None = None) -> Section:
    """The candidate's clusterer config as its plugin's own class; where it starts from centroids, for as many.

    From there it takes a few steps only: members' means are near an optimum, and who slides on to another one moves
    users without a gain. A later run goes on.
    """
    config = dict(candidate.algorithm)
    if ground is not None and ground.init is not None:
        config |= {"k": len(ground.init), "max_iter": min(WARM_STEPS, config["max_iter"])}
    return plugin("clusterers", config["kind"]).Config(**config)


def fit_candidate(candidate: Candidate, ground: Ground, run: RunContext) -> ArtifactRef:
    """Fits a candidate on all data: labels, arrays, and what the fit left behind."""
    config = algorithm(candidate, ground)
    known = (candidate, *ground.known(), source(config, ground.tables), run.seed, run.code_version)

    def write(place: Path) -> dict[str, Any]:
        fitted = fit(config, ground, run, run.seed)
        arrays = {LABELS: fitted.labels}
        arrays |= {f"{FITTED}{name}": array for name, array in fitted.arrays().items()}
        arrays |= {f"{EXTRAS}{name}": np.asarray(fitted.extras[name]) for name in CURVES if name in fitted.extras}
        figures = {name: fitted.extras[name] for name in FIGURES if fitted.extras.get(name)}
        facts = {"candidate": candidate.model_dump(mode="json"), FIT: flatten(figures)}
        save_state(place, State(arrays, {**facts, WARNINGS: list(fitted.extras.get(WARNINGS, []))}))
        return {"rows": len(fitted.labels)}

    return produce(run.home, "candidate", fingerprint("candidate", *known), write)


def train_candidate(candidate: Candidate, ground: Ground, seeds: int, run: RunContext) -> ArtifactRef:
    """Fits a candidate on a slice under several seeds: labels (seeds, n), one row where seeds change nothing."""
    config = algorithm(candidate, ground)
    known = (candidate.model_copy(update={"name": ""}), *ground.known(), source(config, ground.tables), seeds)

    def write(place: Path) -> dict[str, Any]:
        labels = [fit(config, ground, run, run.seed).labels]
        for number in range(1, seeds):
            labels.append(fit(config, ground, run, run.seed + number).labels)
            if number == 1 and np.array_equal(labels[0], labels[1]):  # no chance in it, or none that matters
                labels = labels[:1]
                break
        save_state(place, State({TRAINED: np.stack(labels).astype(np.int32)}))
        return {"rows": len(labels[0])}

    return produce(run.home, "trained", fingerprint("trained", *known, run.seed, run.code_version), write)


def fit(config: Section, ground: Ground, run: RunContext, seed: int) -> FittedClusterer:
    """An algorithm fitted on user vectors, with what it learns from beside them."""
    users, X = matrix(ground.vectors)
    told = lesson(config, users, ground.tables, run.as_of).of()
    found: FittedClusterer = module_of("clusterers", config).fit(
        X, config, np.random.default_rng(seed), init=ground.init, **told
    )
    return found


def refitter(candidate: Candidate, ground: Ground, users: "pl.Series", X: np.ndarray, run: RunContext) -> Refit:
    """A function that refits the candidate on some rows of X (n, d) with a seed and labels all rows.

    A warm candidate is refitted from where it starts: that is how it will be refitted.
    """
    config = algorithm(candidate, ground)
    module, known = module_of("clusterers", config), lesson(config, users, ground.tables, run.as_of)

    def refit(rows: np.ndarray, seed: int) -> np.ndarray:
        fitted = module.fit(X[rows], config, np.random.default_rng(seed), init=ground.init, **known.of(rows))
        labels: np.ndarray = fitted.assign(X).labels
        return labels

    return refit


def fitted_arrays(state: State) -> dict[str, np.ndarray]:
    """The clusterer's own arrays out of a candidate's state."""
    return {name.removeprefix(FITTED): array for name, array in state.arrays.items() if name.startswith(FITTED)}
