"""The untrained twin of another encoder: the control that each must beat.

Random networks carry far more than one would think: what users have in common stays in common (Wieting & Kiela 2019).
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Literal

import numpy as np
from pydantic import Field

from schemas.interactions import Items
from schemas.sequences import Sequences
from tasks.behaviour_encoders import _fit
from tasks.behaviour_encoders._config import EncoderConfig
from tasks.behaviour_encoders._fitted import Body, FittedEncoder
from tasks.behaviour_encoders._train import Progress


class Config(EncoderConfig):
    """Whose twin it is."""

    kind: Literal["random"] = "random"
    twin: Literal["transformer", "gru", "cnn"] = Field("transformer", description="architecture that is not trained")


def fit(
    sequences: Iterable[Sequences],
    items: Items,
    config: Config,
    rng: np.random.Generator,
    device: str = "cpu",
    *,
    init: Mapping[str, np.ndarray] | None = None,
    progress: Progress | None = None,
) -> FittedEncoder:
    """Draws parameters, or takes those to start from, and leaves them as they are."""
    idle = config.model_copy(update={"epochs": 0})
    return _fit.fit(sequences, items, idle, rng, device, (_twin(config), "next_item"), (init, None))


def from_arrays(arrays: Mapping[str, np.ndarray], config: Config) -> FittedEncoder:
    """What `arrays()` of a fitted one gave, as a fitted one."""
    return FittedEncoder(arrays, config, _twin(config))


def _twin(config: Config) -> Body:
    """The other's body, with its defaults and this one's sizes."""
    other: Any = import_module(f"tasks.behaviour_encoders.{config.twin}")
    sizes = {"dimension": config.dimension, "max_length": config.max_length}
    return lambda _: other.body(other.Config(**sizes))
