"""A gated recurrent network over a user's events: GRU4Rec (Hidasi et al. 2016), by softmax over drawn negatives."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from schemas.config import Positive
from tasks.behaviour_encoders._config import SequenceConfig
from tasks.behaviour_encoders._fit import read_by

if TYPE_CHECKING:
    import torch


class Config(SequenceConfig):
    """How a recurrent network reads a history; masked items are told from what came before them."""

    kind: Literal["gru"] = "gru"
    layers: Positive = Field(1, description="recurrent layers, one on the other")


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


fit, from_arrays = read_by(body)
