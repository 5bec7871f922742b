"""From the chosen candidate to a bundle: calibration, reasons, and everything a raw user needs to become a segment."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from schemas.artifacts import ArtifactRef, State
from schemas.reports import SegmentProfile
from schemas.runs import Attempt, Built, Candidate, Slices, Standing, Vectors
from schemas.tables import ITEMS
from tasks.candidates.candidate import LABELS, fitted_arrays, refitter
from tasks.candidates.ground import ground
from tasks.disk.artifacts import fingerprint, load_state, produce
from tasks.models.catalogue import texts_of
from tasks.models.keep import BUNDLE
from tasks.models.scored import assign_all, filled_lookup
from tasks.models.told import labels_of
from tasks.plugins.find import plugin
from tasks.registry.complete import finished
from tasks.segments import bundle as bundles
from tasks.segments import calibration, reasons
from tasks.segments.bundle import Bundle, Encoder, Family, Manifest, Plugin, Segment
from tasks.segments.identity import segment_id
from tasks.stores.book import Day
from tasks.stores.buckets import read_frames, read_table
from tasks.vectors.blocks import feature_block
from tasks.vectors.features import matrix


def build(day: Day, attempt: Attempt, slices: Slices, standing: Standing | None) -> Built:
    """The model that would go live, and everybody assigned by it; its segments have no names yet.

    Args:
        day: The run.
        attempt: The chosen candidate.
        slices: Today's vectors.
        standing: The champion, whose features and representation a candidate may keep.
    """
    run, execution = day.context, day.settings.execution
    bundle = assembled(day, attempt, slices, standing)
    items = read_table(day.tables[ITEMS.name]) if ITEMS.name in day.tables else None
    also = texts_of(items, bundle)  # tomorrow's users touch what nobody has touched yet
    lookup = filled_lookup(bundle, day.tables, run, execution, also)
    bundle = finished(bundle, day.tables, lookup, run, execution)
    sha256 = bundles.content_sha256(bundle)

    def write(place: Path) -> dict[str, Any]:
        bundles.save(bundle, place / BUNDLE)
        return {}

    ref = produce(run.home, "built", fingerprint("built", sha256), write)
    assignments = assign_all(bundle, sha256, "", day.tables, run, execution, lookup)
    told = silhouettes(attempt, assignments, bundle.manifest.ids)
    return Built(bundle=ref, sha256=sha256, assignments=assignments, silhouettes=told)


def silhouettes(attempt: Attempt, assignments: ArtifactRef, ids: Sequence[str]) -> dict[str, float]:
    """Mean cosine silhouette of the users of each segment, as they would be published."""
    from tasks.metrics.silhouette import silhouette_samples

    users, X = matrix(attempt.vectors)
    labels = labels_of(assignments, ids, users)
    X, labels = X[labels >= 0], labels[labels >= 0]
    if len(np.unique(labels)) < 2:
        return {}
    values = silhouette_samples(X, labels, "cosine")
    return {ids[label]: float(values[labels == label].mean()) for label in np.unique(labels).tolist()}


def assembled(day: Day, attempt: Attempt, slices: Slices, standing: Standing | None) -> Bundle:
    """The bundle of a candidate, with provisional ids and without what is measured once it can assign."""
    state, candidate = load_state(attempt.fitted), attempt.candidate
    _, X = matrix(attempt.vectors)
    if candidate.start == "kept" and standing is not None:
        recipe, states = _kept(bundles.load(Path(day.context.home) / standing.bundle / BUNDLE))
    else:
        recipe, states = _fresh(slices.all)
    k = int(state.arrays[LABELS].max()) + 1
    ids = tuple(segment_id(label + 1) for label in range(k))
    manifest = Manifest(
        segmentation=day.name,
        space=_space(candidate),
        dimension=X.shape[1],
        as_of=day.as_of,
        code_version=day.context.code_version,
        calibration=day.settings.calibration.model_dump(mode="json"),
        clusterer=Plugin(kind=candidate.algorithm["kind"], config=candidate.algorithm),
        segments=tuple(Segment(id=name, name=name) for name in ids),
        next_number=k + 1,
        **recipe,
    )
    states[bundles.CLUSTERER] = State(fitted_arrays(state))
    states[bundles.CALIBRATION] = calibrate(day, attempt, slices, standing).to_state()
    if candidate.start != "kept":
        leanings = _leanings(slices.all, state.arrays[LABELS], k)
        states[bundles.REASONS] = reasons.fit(*leanings, day.settings.describe.language).to_state()
    return Bundle(manifest, states)


def calibrate(day: Day, attempt: Attempt, slices: Slices, standing: Standing | None) -> calibration.Calibration:
    """Floors and confidence of a candidate, measured on the users it was fitted on, by refits that start as it does."""
    candidate, run = attempt.candidate, day.context
    module = plugin("clusterers", candidate.algorithm["kind"])
    clusterer = module.from_arrays(fitted_arrays(load_state(attempt.fitted)), module.Config(**candidate.algorithm))
    users, X = matrix(attempt.vectors)
    found = clusterer.assign(X)
    here = ground(candidate, slices.all, standing, "all", day.settings.identity, run.seed)
    return calibration.fit(
        X,
        found,
        k=int(found.labels.max()) + 1,
        space=_space(candidate),
        config=day.settings.calibration,
        refit=refitter(candidate, here, users, X, run),
        seed=run.seed,
    )


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
        states |= {} if texts.tuned is None else {bundles.TUNED: load_state(texts.tuned)}
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


def named(bundle: Bundle, profiles: tuple[SegmentProfile, ...], next_number: int) -> Bundle:
    """The bundle with the ids and names that its segments were found to have, by label."""
    segments = tuple(Segment(id=p.segment_id, name=p.name, cites=p.cites) for p in profiles)
    return Bundle(bundle.manifest.model_copy(update={"segments": segments, "next_number": next_number}), bundle.states)
