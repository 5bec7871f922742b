"""Causal dilated convolutions over a user's events: NextItNet (Yuan et al. 2019), by softmax over drawn negatives."""

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
    """How convolutions read a history; masked items are told from what came before them."""

    kind: Literal["cnn"] = "cnn"
    width: int = Field(3, ge=2, description="events that a convolution sees")
    layers: Positive = Field(4, description="convolutions, each of which looks twice as far as the one before")


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
    """Residual convolutions that see no later event."""
    import torch
    from torch.nn import functional as F

    d = config.dimension

    class Layer(torch.nn.Module):
        def __init__(self, reach: int) -> None:
            super().__init__()
            self.before = torch.nn.LayerNorm(d)
            self.look = torch.nn.Conv1d(d, d, config.width, dilation=reach)
            self.mix = torch.nn.Linear(d, d)
            self.pad = (config.width - 1) * reach

        def forward(self, x: Any, drop: Any, share: float) -> Any:
            seen = self.look(F.pad(self.before(x).transpose(1, 2), (self.pad, 0))).transpose(1, 2)
            return x + drop(self.mix(F.gelu(seen)), share)

    class Body(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList(Layer(2**number) for number in range(config.layers))
            self.after = torch.nn.LayerNorm(d)

        def forward(self, x: Any, lengths: Any, both_ways: bool, drop: Any, share: float) -> Any:
            for layer in self.layers:
                x = layer(x, drop, share)
            return self.after(x)

    return Body()
