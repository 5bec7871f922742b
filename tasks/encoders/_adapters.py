"""Which weights of a language model are tuned, and how they come out of it and into it again, as arrays alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import DataError, UsageError

if TYPE_CHECKING:
    import torch

Arrays = dict[str, np.ndarray]
"""By the model's own names: `<weight>` instead of what is there, or `<weight>:up` and `<weight>:down` added to it."""
_UP, _DOWN = ":up", ":down"


@dataclass
class Trainable:
    """The weights of a model that are trained.

    Attributes:
        weights: Those.
        arrays: What they are now.
        rate: Highest learning rate that mostly works.
    """

    weights: "list[torch.Tensor]"
    arrays: Callable[[], Arrays]
    rate: float


def lora(model: Any, rank: int) -> Trainable:
    """A low-rank change of every linear layer (Hu et al. 2021, "LoRA"), put into the model.

    Raises:
        UsageError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
        from peft.tuners.lora import LoraLayer
    except ImportError:
        raise UsageError(
            "tune.method lora: peft is not installed: pip install 'fenqun[tune]', or method: full"
        ) from None
    import torch

    linear = [name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)]
    places = [name for name in linear if "pooler" not in name.split(".")]  # BERT's head: nothing here reads it
    model = inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=places), model)
    layers = {name: part for name, part in model.named_modules() if isinstance(part, LoraLayer)}

    def arrays() -> Arrays:
        made: Arrays = {}
        for name, layer in layers.items():
            up, down = (part.get_submodule("default").get_parameter("weight") for part in (layer.lora_B, layer.lora_A))
            made[f"{name}.weight{_UP}"] = _plain(up * layer.scaling["default"])
            made[f"{name}.weight{_DOWN}"] = _plain(down)
        return made

    return Trainable([p for p in model.parameters() if p.requires_grad], arrays, 1e-4)


def full(model: Any, rank: int) -> Trainable:
    """Every weight but the embeddings of tokens and places, and the head that nothing reads; `rank` plays no part."""
    fixed = {"embeddings", "pooler", "wte", "wpe", "embed_tokens", "shared"}
    named = {name: part for name, part in model.named_parameters() if not fixed & {*name.split(".")}}
    for part in named.values():
        part.requires_grad_(True)
    return Trainable([*named.values()], lambda: {name: _plain(part) for name, part in named.items()}, 2e-5)


METHODS: dict[str, Callable[[Any, int], Trainable]] = {"lora": lora, "full": full}


def _plain(tensor: "torch.Tensor") -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy(), dtype=np.float32)  # a copy: the tensor goes on changing


def applied(model: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The model with tuned weights put in; changes are multiplied in float64, so that every machine rounds alike.

    Raises:
        DataError: a weight is of another model.
    """
    import torch

    weights = dict(model.named_parameters())
    for name in sorted({name.removesuffix(_UP).removesuffix(_DOWN) for name in arrays}):
        weight = weights.get(name)
        value = arrays.get(name)
        if value is None and weight is not None and {f"{name}{_UP}", f"{name}{_DOWN}"} <= arrays.keys():
            change = arrays[f"{name}{_UP}"].astype(np.float64) @ arrays[f"{name}{_DOWN}"].astype(np.float64)
            value = weight.detach().cpu().numpy() + change if change.shape == tuple(weight.shape) else None
        if weight is None or value is None or value.shape != tuple(weight.shape):
            raise DataError(f"tuned weights: {name} does not fit the model; restore the model they were made of")
        weight.data = torch.from_numpy(np.asarray(value, dtype=np.float32)).to(weight.device)
    return model
