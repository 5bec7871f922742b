"""Fits one candidate on all data and on the train slice, and measures it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.artifacts import ArtifactRef, RunContext, State
from schemas.config import Section
from schemas.errors import UsageError
from schemas.evaluation import FittedClusterer, HeldOut
from schemas.runs import Candidate
from schemas.tables import EVENTS, ITEM_ID, SEQUENCE, TIMESTAMP, USER_ID, USERS
from tasks.serving.fitting import matrix
from tasks.serving.lessons import lesson, source
from tasks.serving.plugins import module_of, plugin
from tasks.stores.artifacts import fingerprint, produce, save_state
from tasks.stores.buckets import Refs, read_frames
from tasks.stores.flat import flatten

if TYPE_CHECKING:
    import polars as pl

VALIDATION, TEST = (0.7, 0.8), (0.8, 1.0)
"""Slices of everyone's history: candidates are chosen on the first and only reported and gated on the second."""
Refit = Callable[[np.ndarray, int], np.ndarray]
LABELS, TRAIN_LABELS, FITTED, WARNINGS = "labels", "train_labels", "fitted.", "warnings"
EXTRAS = "extras."
CURVES = ("k_distances", "eps", "linkage")
"""What a fit leaves behind for figures, where the algorithm has it."""
FIT, FIGURES = "fit", ("modularity", "report")
"""Numbers that a fit itself tells: modularity of communities; cross-validated accuracy, precision, recall and F1."""


def algorithm(candidate: Candidate) -> Section:
    """The candidate's clusterer config as its plugin's own class."""
    return plugin("clusterers", candidate.algorithm["kind"]).Config(**candidate.algorithm)


def fit_candidate(
    candidate: Candidate, full: ArtifactRef, train: ArtifactRef, tables: Refs, run: RunContext,
    init: np.ndarray | None = None,
) -> ArtifactRef:  # fmt: skip
    """Fits a candidate on all data (what may be registered) and on the train slice (what its lift is measured with).

    Args:
        candidate: Which algorithm, with which parameters.
        full: User vectors of all data.
        train: User vectors of the train slice.
        tables: Input tables, for algorithms that learn from known labels or ties.
        run: Gives the seed and the code version.
        init: Centroids to start from, for a warm candidate.
    """
    config = algorithm(candidate)
    known = (candidate, full, train, source(config, tables), run.seed, run.code_version)
    digest = fingerprint("candidate", *known, None if init is None else init.tolist())

    def write(place: Path) -> dict[str, Any]:
        fitted = fit(config, full, tables, run, init)
        sliced = fit(config, train, tables, run)
        arrays = {LABELS: fitted.labels, TRAIN_LABELS: sliced.labels}
        arrays |= {f"{FITTED}{name}": array for name, array in fitted.arrays().items()}
        arrays |= {f"{EXTRAS}{name}": np.asarray(fitted.extras[name]) for name in CURVES if name in fitted.extras}
        figures = {name: fitted.extras[name] for name in FIGURES if fitted.extras.get(name)}
        facts = {"candidate": candidate.model_dump(mode="json"), FIT: flatten(figures)}
        save_state(place, State(arrays, {**facts, WARNINGS: list(fitted.extras.get(WARNINGS, []))}))
        return {"rows": len(fitted.labels)}

    return produce(run.home, "candidate", digest, write)


def fit(
    config: Section, vectors: ArtifactRef, tables: Refs, run: RunContext, init: np.ndarray | None = None
) -> FittedClusterer:
    """An algorithm fitted on user vectors, with what it learns from beside them."""
    users, X = matrix(vectors)
    told = lesson(config, users, tables, run.as_of).of()
    found: FittedClusterer = module_of("clusterers", config).fit(
        X, config, np.random.default_rng(run.seed), init=init, **told
    )
    return found


def fitted_arrays(state: State) -> dict[str, np.ndarray]:
    """The clusterer's own arrays out of a candidate's state."""
    return {name.removeprefix(FITTED): array for name, array in state.arrays.items() if name.startswith(FITTED)}


def heldout(tables: Refs, users: "pl.Series", low: float, high: float) -> HeldOut | None:
    """Interactions before `low` and between `low` and `high` of everyone's history; None where there are no events."""
    import polars as pl

    from tasks.metrics._split import cells, matrix_of, slice_events

    if EVENTS.name not in tables:
        return None
    events = tables[EVENTS.name]
    items = pl.concat([frame.unique() for frame in read_frames(events, (ITEM_ID,))])[ITEM_ID].unique().sort()
    before, after = [], []
    for frame in read_frames(events, (USER_ID, ITEM_ID, TIMESTAMP, SEQUENCE)):
        before.append(cells(slice_events(frame, 0.0, low), users, items))
        after.append(cells(slice_events(frame, low, high), users, items))
    shape = len(users), len(items)
    return HeldOut(matrix_of(before, *shape), matrix_of(after, *shape, binary=True))


def truth_groups(tables: Refs, users: "pl.Series", column: str) -> "pl.Series":
    """(n,) text values of a column of users, null where unknown or where there is no such column.

    Raises:
        UsageError: the column holds lists.
    """
    import polars as pl

    if USERS.name not in tables or column not in tables[USERS.name].columns:
        return pl.Series(column, [None] * len(users), dtype=pl.String)
    frames = list(read_frames(tables[USERS.name], (USER_ID, column)))
    if frames[0].schema[column].is_nested():
        raise UsageError(f"users.{column} holds lists, which make no groups: name a column with one value per user")
    known = pl.concat([frame.with_columns(pl.col(column).cast(pl.String)) for frame in frames])
    return pl.DataFrame({USER_ID: users}).join(known, on=USER_ID, how="left", maintain_order="left")[column]


def truth_labels(tables: Refs, users: "pl.Series", column: str | None) -> np.ndarray | None:
    """(n,) codes of a column of users; −1 where unknown; None where none is asked for or nobody has it."""
    import polars as pl

    values = None if column is None else truth_groups(tables, users, column)
    if values is None or values.null_count() == len(values):
        return None
    return values.rank("dense").cast(pl.Int32).fill_null(0).to_numpy() - 1


def refitter(candidate: Candidate, users: "pl.Series", X: np.ndarray, tables: Refs, run: RunContext) -> Refit:
    """A function that refits the candidate on some rows of X (n, d) with a seed and labels all rows."""
    config = algorithm(candidate)
    module, known = module_of("clusterers", config), lesson(config, users, tables, run.as_of)

    def refit(rows: np.ndarray, seed: int) -> np.ndarray:
        labels: np.ndarray = module.fit(X[rows], config, np.random.default_rng(seed), **known.of(rows)).assign(X).labels
        return labels

    return refit
