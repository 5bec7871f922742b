"""Causal self-attention over a user's events: SASRec (Kang & McAuley 2018) by sampled softmax; masked, BERT4Rec.

An event is its item, its kind and the time since the event before; places are counted from the newest event backwards.
One block of one head and 256 negatives do as well as what is deeper: the loss decides more than the architecture
(Klenitskiy & Vasilev 2023).
"""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from schemas.config import Positive
from tasks.behaviour_encoders._config import SequenceConfig
from tasks.behaviour_encoders._fit import read_by

if TYPE_CHECKING:
    import torch


class Config(SequenceConfig):
    """How attention reads a history."""

    kind: Literal["transformer"] = "transformer"
    blocks: Positive = Field(1, description="blocks of attention, one after the other")
    heads: Positive = Field(1, description="heads of each; they share the dimension")


def body(config: Config) -> "torch.nn.Module":
    """Blocks of attention and of two layers, each normalised before."""
    import torch
    from torch.nn import functional as F

    d = config.dimension

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.between = torch.nn.LayerNorm(d), torch.nn.LayerNorm(d)
            self.ask, self.mix = torch.nn.Linear(d, 3 * d), torch.nn.Linear(d, d)
            self.wide, self.narrow = torch.nn.Linear(d, 2 * d), torch.nn.Linear(2 * d, d)

        def forward(self, x: Any, mask: Any, drop: Any, share: float) -> Any:
            n, t, _ = x.shape
            parts = self.ask(self.before(x)).view(n, t, 3, config.heads, d // config.heads).permute(2, 0, 3, 1, 4)
            query, key, value = parts
            read = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)
            x = x + drop(self.mix(read.transpose(1, 2).reshape(n, t, d)), share)
            return x + drop(self.narrow(F.gelu(self.wide(self.between(x)))), share)

    class Body(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.places = torch.nn.Embedding(config.max_length + 2, d)
            self.blocks = torch.nn.ModuleList(Block() for _ in range(config.blocks))
            self.after = torch.nn.LayerNorm(d)

        def forward(self, x: Any, lengths: Any, both_ways: bool, drop: Any, share: float) -> Any:
            at = torch.arange(x.shape[1], device=x.device)
            x = x + self.places((lengths[:, None] - 1 - at).clamp(min=0))
            mask = (at < lengths[:, None])[:, None, None, :] if both_ways else None
            for block in self.blocks:
                x = block(x, mask, drop, share)
            return self.after(x)

    return Body()


fit, from_arrays = read_by(body)
