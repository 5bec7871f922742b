"""The untrained twin of another encoder: the control that each must beat.

Random networks carry far more than one would think: what users have in common stays in common (Wieting & Kiela 2019).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tasks.behaviour_encoders._config import EncoderConfig
from tasks.behaviour_encoders._fit import read_by

if TYPE_CHECKING:
    import torch


class Config(EncoderConfig):
    """Whose twin it is."""

    kind: Literal["random"] = "random"
    twin: Literal["transformer", "gru", "cnn"] = Field("transformer", description="architecture that is not trained")


def body(config: Config) -> "torch.nn.Module":
    """The other's body, with its defaults and this one's sizes."""
    other: Any = import_module(f"tasks.behaviour_encoders.{config.twin}")
    made: torch.nn.Module = other.body(other.Config(dimension=config.dimension, max_length=config.max_length))
    return made


fit, from_arrays = read_by(body, "next_item", trains=False)
