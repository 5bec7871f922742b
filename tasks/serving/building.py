"""From the chosen candidate to a bundle: calibration, reasons, and everything a raw user needs to become a segment."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from schemas.artifacts import RunContext, State
from schemas.config import CalibrationConfig
from schemas.reports import SegmentProfile
from schemas.runs import Attempt, Candidate, Standing, Vectors
from tasks.segments import _reasons as reasons
from tasks.segments import bundle as bundles
from tasks.segments import calibration
from tasks.segments.bundle import Bundle, Encoder, Family, Manifest, Plugin, Segment
from tasks.serving.blocks import feature_block
from tasks.serving.candidates import LABELS, Refit, fitted_arrays, refitter
from tasks.serving.fitting import matrix
from tasks.serving.keeping import BUNDLE
from tasks.serving.plugins import plugin
from tasks.stores.artifacts import load_state
from tasks.stores.buckets import Refs, read_frames


def calibrate(
    candidate: Candidate, fitted: State, X: np.ndarray, config: CalibrationConfig, refit: Refit, seed: int
) -> calibration.Calibration:
    """Floors and confidence of a candidate, measured on the users it was fitted on."""
    module = plugin("clusterers", candidate.algorithm["kind"])
    clusterer = module.from_arrays(fitted_arrays(fitted), module.Config(**candidate.algorithm))
    found = clusterer.assign(X)
    return calibration.fit(
        X, found.labels, found.distance, k=int(found.labels.max()) + 1, space=_space(candidate), config=config,
        second=found.second, refit=refit, seed=seed,
    )  # fmt: skip


def build(
    segmentation: str,
    attempt: Attempt,
    vectors: Vectors,
    standing: Standing | None,
    segments: tuple[Segment, ...],
    next_number: int,
    tables: Refs,
    config: CalibrationConfig,
    run: RunContext,
) -> Bundle:
    """The bundle of a candidate.

    Args:
        segmentation: Its name.
        attempt: The candidate.
        vectors: How fresh vectors were made, on all data.
        standing: The champion, whose features and representation a warm candidate keeps.
        segments: Ids and names by label.
        next_number: First number never used in a segment id.
        tables: Input tables, for algorithms that learn from known labels or ties.
        config: Of the calibration.
        run: Gives as_of, seed and code version.
    """
    state = load_state(attempt.fitted)
    candidate = attempt.candidate
    users, X = matrix(attempt.vectors)
    if candidate.warm and standing is not None:
        recipe, states = _kept(bundles.load(Path(run.home) / standing.bundle / BUNDLE))
    else:
        recipe, states = _fresh(vectors)
    manifest = Manifest(
        segmentation=segmentation, space=_space(candidate), dimension=X.shape[1], as_of=run.as_of,
        code_version=run.code_version, clusterer=Plugin(kind=candidate.algorithm["kind"], config=candidate.algorithm),
        calibration=config.model_dump(mode="json"), segments=segments, next_number=next_number, **recipe,
    )  # fmt: skip
    states[bundles.CLUSTERER] = State(fitted_arrays(state))
    states[bundles.CALIBRATION] = calibrate(
        candidate, state, X, config, refitter(candidate, users, X, tables, run), run.seed
    ).to_state()
    if not candidate.warm:
        states[bundles.REASONS] = reasons.fit(*_leanings(vectors, state.arrays[LABELS], len(segments))).to_state()
    return Bundle(manifest, states)


def _fresh(vectors: Vectors) -> tuple[dict[str, Any], dict[str, State]]:
    """Fields of the manifest and states of features, texts and representation as fitted in this run."""
    texts = vectors.texts
    families = tuple(
        Family(family=kind, config=vectors.recipe.features[kind], columns=made.output.columns[1:])
        for kind, made in vectors.features.items()
    )
    states = {bundles.family_state(kind): load_state(made.state) for kind, made in vectors.features.items()}
    if texts is not None:
        states[bundles.TEXTS] = load_state(texts.fitted.state)
    states[bundles.REPRESENTATION] = load_state(vectors.represented.state)
    recipe = {
        "families": families,
        "texts": None if texts is None else texts.config,
        "encoder": None if texts is None else Encoder(**texts.encoder),
        "represent": vectors.recipe.represent,
    }
    return recipe, states


def _kept(champion: Bundle) -> tuple[dict[str, Any], dict[str, State]]:
    """The same of the champion, for a candidate that keeps its representation."""
    manifest = champion.manifest
    recipe = {name: getattr(manifest, name) for name in ("families", "texts", "encoder", "represent")}
    fitted_anew = (bundles.CLUSTERER, bundles.CALIBRATION, bundles.REASONS, bundles.LADDER)
    return recipe, {name: state for name, state in champion.states.items() if name not in fitted_anew}


def _space(candidate: Candidate) -> Any:
    return candidate.algorithm.get("space", "euclidean")


def _leanings(vectors: Vectors, labels: np.ndarray, k: int) -> tuple[Iterator[Any], list[str], int]:
    """Arguments of `reasons.fit`: bucket by bucket the feature blocks side by side, with the users' labels."""
    outputs = {kind: made.output for kind, made in vectors.features.items()}
    columns = [f"{kind}.{column}" for kind, ref in outputs.items() for column in ref.columns[1:]]

    def parts() -> Iterator[Any]:
        start = 0
        for frames in zip(*(read_frames(ref) for ref in outputs.values()), strict=True):
            stacked = np.concatenate([feature_block(frame) for frame in frames], axis=1)
            yield stacked, labels[start : start + len(stacked)]
            start += len(stacked)

    return parts(), columns, k


def named(profiles: tuple[SegmentProfile, ...]) -> tuple[Segment, ...]:
    """Ids and names, by label."""
    return tuple(Segment(id=profile.segment_id, name=profile.name) for profile in profiles)
