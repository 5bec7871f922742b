"""Linear layers for the CPU: weights laid out once for oneDNN, bias and GELU inside the product.

Measured on 2 cores with AMX, against autocast around plain layers: autocast spends 37 % of its time on copies (weights
cast at each call, the bias spread over the output first, activations cast three times for query, key and value) and
10 % on GELU as a pass of its own. Rounding once, after GELU, not before it as well, is also closer to float32.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@lru_cache
def multiplies(dtype: "torch.dtype") -> bool:
    """Whether oneDNN has a product in this dtype on this processor; bfloat16 asks for AVX-512 or AVX-NE-CONVERT."""
    import torch

    one = torch.ones(1, 1, dtype=dtype)
    try:
        torch.ops.mkldnn._linear_pointwise(
            one, torch.ops.mkldnn._reorder_linear_weight(one, None), None, "none", [], ""
        )
    except RuntimeError:
        return False
    return True


def available() -> bool:
    """Whether this build of torch has the oneDNN products used here; plain layers do the same, slower."""
    import torch

    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def pack(model: Any, dtype: "torch.dtype") -> Any:
    """Replaces the linear layers of `model`, in place, by packed ones that compute in `dtype`; returns it."""
    import torch

    cast = _Cast(dtype)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # BERT's head for sentence pairs: nothing here reads it
    for parent in list(model.modules()):
        activation = getattr(parent, "intermediate_act_fn", None)
        fused = _is_gelu(activation) and isinstance(getattr(parent, "dense", None), torch.nn.Linear)
        if fused:
            parent.intermediate_act_fn = torch.nn.Identity()
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear):
                setattr(parent, name, _packed(child, cast, "gelu" if fused and name == "dense" else "none"))
    return model


def _is_gelu(activation: object) -> bool:
    """Whether an activation is the exact GELU (by the error function), in torch's or in transformers' clothes."""
    import torch
    from transformers.activations import GELUActivation

    if isinstance(activation, torch.nn.GELU):
        return activation.approximate == "none"
    return type(activation) is GELUActivation and activation.act is torch.nn.functional.gelu


class _Cast:
    """Casts activations, and remembers the last: query, key and value read the same one."""

    def __init__(self, dtype: "torch.dtype") -> None:
        self.dtype = dtype
        self._last: tuple[Any, Any] = (None, None)

    def __call__(self, x: "torch.Tensor") -> "torch.Tensor":
        if x.dtype == self.dtype:
            return x
        given, made = self._last
        if given is not x:
            made = x.to(self.dtype)
            self._last = (x, made)
        return made


def _packed(linear: "torch.nn.Linear", cast: _Cast, activation: str) -> "torch.nn.Module":
    import torch

    # Where a processor cannot multiply in `cast.dtype`, the same rounded numbers are multiplied in float32, which is
    # what the others add them up in, and the result is rounded as theirs is.
    carrier = cast.dtype if multiplies(cast.dtype) else torch.float32

    class PackedLinear(torch.nn.Module):
        """x -> activation(x W^T + b) in the dtype of `cast`: weights in oneDNN's own layout, biases in float32."""

        def __init__(self) -> None:
            super().__init__()
            rounded = linear.weight.detach().to(cast.dtype).to(carrier)
            self.weight = torch.ops.mkldnn._reorder_linear_weight(rounded, None)
            self.bias = None if linear.bias is None else linear.bias.detach()
            self.algorithm = "none" if activation == "gelu" else ""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            given = cast(x).to(carrier)
            made = torch.ops.mkldnn._linear_pointwise(given, self.weight, self.bias, activation, [], self.algorithm)
            return made.to(cast.dtype)

    return PackedLinear()
