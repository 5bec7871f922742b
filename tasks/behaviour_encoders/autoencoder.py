"""A denoising autoencoder of the bag of a user's items: order does not count (Mult-DAE, Liang et al. 2018).

The mean of the items' embeddings passes two layers to the vector, from which every item of the bag is told again, by
softmax against drawn negatives; training hides a share of the bag. Beside encoders of sequences it tells what order
adds.
"""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from schemas.config import Positive
from tasks.behaviour_encoders._config import EncoderConfig
from tasks.behaviour_encoders._fit import read_by

if TYPE_CHECKING:
    import torch


class Config(EncoderConfig):
    """How a bag is read and told again."""

    kind: Literal["autoencoder"] = "autoencoder"
    max_length: Positive = Field(200, description="newest events of a user that are read")
    hide_share: float = Field(0.5, gt=0, lt=1, description="share of a bag that training hides")


def body(config: Config) -> "torch.nn.Module":
    """The mean of a bag through two layers; the same at every place."""
    import torch

    d = config.dimension

    class Body(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.narrow = torch.nn.Linear(d, 4 * d), torch.nn.Linear(4 * d, d)
            self.after = torch.nn.LayerNorm(d)

        def forward(self, x: Any, lengths: Any, both_ways: bool, drop: Any, share: float) -> Any:
            there = (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[..., None]
            mean = (x * there).sum(1) / lengths.clamp(min=1)[:, None].sqrt()
            made = self.after(self.narrow(torch.tanh(self.wide(mean))) + mean)
            return made[:, None, :].expand(-1, x.shape[1], -1)

    return Body()


fit, from_arrays = read_by(body, "bag")
