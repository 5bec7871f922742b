"""Causal dilated convolutions over a user's events: NextItNet (Yuan et al. 2019), by softmax over drawn negatives."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from schemas.config import Positive
from tasks.behaviour_encoders._config import SequenceConfig
from tasks.behaviour_encoders._fit import read_by

if TYPE_CHECKING:
    import torch


class Config(SequenceConfig):
    """How convolutions read a history; masked items are told from what came before them."""

    kind: Literal["cnn"] = "cnn"
    width: int = Field(3, ge=2, description="events that a convolution sees")
    layers: Positive = Field(4, description="convolutions, each of which looks twice as far as the one before")


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


fit, from_arrays = read_by(body)
