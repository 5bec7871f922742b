"""A gated recurrent network over a user's events: GRU4Rec (Hidasi et al. 2016), by softmax over drawn negatives."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from schemas.config import Positive
from schemas.interactions import Items
from schemas.sequences import Sequences
from tasks.behaviour_encoders import _fitted
from tasks.behaviour_encoders._config import SequenceConfig
from tasks.behaviour_encoders._fitted import FittedEncoder
from tasks.behaviour_encoders._train import Progress

if TYPE_CHECKING:
    import torch


class Config(SequenceConfig):
    """How a recurrent network reads a history; masked items are told from what came before them."""

    kind: Literal["gru"] = "gru"
    layers: Positive = Field(1, description="recurrent layers, one on the other")


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
    """Trains on streamed histories; see `_fitted.fit`."""
    return _fitted.fit(sequences, items, config, rng, device, (body, config.objective), (init, progress))


def from_arrays(arrays: Mapping[str, np.ndarray], config: Config) -> FittedEncoder:
    """What `arrays()` of a fitted one gave, as a fitted one."""
    return FittedEncoder(arrays, config, body, config.objective == "masked")


def body(config: Config) -> "torch.nn.Module":
    """Recurrent layers, and a normalisation after them."""
    import torch

    class Body(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read = torch.nn.GRU(config.dimension, config.dimension, config.layers, batch_first=True)
            self.after = torch.nn.LayerNorm(config.dimension)

        def forward(self, x: Any, lengths: Any, both_ways: bool, drop: Any, share: float) -> Any:
            return self.after(drop(self.read(x)[0], share))

    return Body()
