"""Assembles a Segmenter from a bundle: finds each plugin by its kind and gives it back what it learned."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from schemas.artifacts import State
from schemas.config import CalibrationConfig, RepresentConfig, Section, TextsConfig
from schemas.errors import DataError
from schemas.tables import USER_ID, Bucket
from tasks.plugins.find import block, plugin, restored
from tasks.segments import bundle, calibration
from tasks.segments import ladder as ladders
from tasks.segments import reasons as reasoning
from tasks.segments.bundle import Bundle, Family
from tasks.segments.segmenter import Assigns, Block, Represents, Rows, Segmenter
from tasks.sequences.encoder import REQUIRES, Reader
from tasks.sequences.vocabulary import Speaks
from tasks.vectors.blocks import feature_block
from tasks.vectors.blocks import text_block as text_values
from tasks.vectors.encoder import Lookup, lazy_lookup

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T", bound=Section)
R = TypeVar("R")


def segmenter(bundle_: Bundle, *, lookup: Lookup | None = None, device: str = "auto") -> Segmenter:
    """The Segmenter that a bundle describes; training assembles its own from the bundle that it is about to save.

    Args:
        bundle_: Fresh from training, or loaded.
        lookup: Vectors of texts; none: the bundle's encoder, loaded at the first text that needs it.
        device: Device of that encoder.

    Raises:
        DataError: what was learned does not fit together, or not the plugins of this version.
        UsageError: a plugin or a field of its config is not known here.
    """
    manifest = bundle_.manifest
    k = len(manifest.segments)
    reasons, ladder = bundle_.states.get(bundle.REASONS), bundle_.states.get(bundle.LADDER)
    return Segmenter(
        ids=manifest.ids,
        names=tuple(segment.name for segment in manifest.segments),
        dimension=manifest.dimension,
        blocks=blocks(bundle_, lookup=lookup, device=device),
        representation=representation(bundle_.states[bundle.REPRESENTATION], manifest.represent),
        clusterer=clusterer(manifest.clusterer, bundle_.states[bundle.CLUSTERER]),
        calibration=calibration.from_state(bundle_.states[bundle.CALIBRATION], k, manifest.dimension),
        config=restored(CalibrationConfig, manifest.calibration, "calibration"),
        reasons=reasoning.from_state(reasons, k) if reasons is not None else None,
        ladder=ladders.from_state(ladder, k) if ladder is not None else None,
    )


def blocks(bundle_: Bundle, *, lookup: Lookup | None = None, device: str = "auto") -> tuple[Block, ...]:
    """The feature blocks of a bundle, in the order of training, texts last."""
    manifest = bundle_.manifest
    states = [(family, bundle_.states[bundle.family_state(family.family)]) for family in manifest.families]
    if manifest.texts is None or manifest.encoder is None:
        return tuple(family_block(family, state) for family, state in states)
    config = restored(TextsConfig, manifest.texts, "texts")
    vectors = lookup or lazy_lookup(manifest.encoder, device, bundle_.tuned)
    speaks = Speaks(config, vectors, manifest.encoder.dimension) if config.consumed_weight else None
    made = [family_block(family, state, speaks) for family, state in states]
    made.append(text_block(bundle_.states[bundle.TEXTS], config, vectors, manifest.encoder.dimension))
    return tuple(made)


def family_block(family: Family, state: State, speaks: Speaks | None = None) -> Block:
    """One feature family, or encoder of behaviour, as a block; `speaks`: the texts of items."""
    folder, module = block(family.family)
    config = restored(module.Config, family.config, f"{folder}.{family.family}")
    if folder == "behaviour_encoders":
        read, requires = Reader(state, config, speaks).read, REQUIRES
    else:
        read, requires = partial(_computed, module, state, config), tuple(module.REQUIRES)
    return Block(family.family, family.columns, len(family.columns), requires, partial(_features, read, family))


def text_block(state: State, config: TextsConfig, lookup: Lookup, dimension: int) -> Block:
    """The texts of users as a block."""
    return Block(bundle.TEXT_BLOCK, (), dimension, (), partial(_texts, state, config, lookup, dimension))


def representation(state: State, config: dict[str, Any]) -> Represents:
    """The fitted representation."""
    from tasks.representation import from_state

    settings = restored(RepresentConfig, config, "represent")
    return _rebuilt("representation", lambda: from_state(state, settings))


def clusterer(entry: bundle.Plugin, state: State) -> Assigns:
    """The fitted clusterer."""
    module = plugin("clusterers", entry.kind)
    config = restored(module.Config, entry.config, f"clusterers.{entry.kind}")
    return _rebuilt("clusterer", lambda: module.from_arrays(dict(state.arrays), config))


def _rebuilt(what: str, build: Callable[[], R]) -> R:
    """What a plugin makes of its state; whatever it trips over is the bundle's fault, not the caller's."""
    try:
        return build()
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(f"bundle: the {what} cannot be rebuilt ({type(error).__name__}: {error}); retrain") from error


def _computed(module: ModuleType, state: State, config: Section, bucket: Bucket, as_of: datetime) -> "pl.DataFrame":
    made: pl.DataFrame = module.transform(bucket, state, config, as_of)
    return made


def _features(read: Callable[..., "pl.DataFrame"], family: Family, bucket: Bucket, as_of: datetime) -> Rows:
    frame = read(bucket, as_of)
    if tuple(frame.columns) != (USER_ID, *family.columns):
        raise DataError(f"features.{family.family}: the columns are not those it was fitted with, or in another order")
    values = feature_block(frame) if frame.height else np.empty((0, len(family.columns)), np.float32)
    return Rows(frame.get_column(USER_ID), values)


def _texts(state: State, config: TextsConfig, lookup: Lookup, dimension: int, bucket: Bucket, as_of: datetime) -> Rows:
    from tasks.texts import pooling

    frame = pooling.transform(bucket, state, config, as_of, lookup)
    values = text_values(frame) if frame.height else np.empty((0, dimension), np.float32)
    return Rows(frame.get_column(USER_ID), values)
