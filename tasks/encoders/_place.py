"""Which device an encoder runs on, and in which arithmetic."""

from typing import TYPE_CHECKING

from schemas.errors import UsageError

if TYPE_CHECKING:
    import torch


def device_of(name: str) -> "torch.device":
    """The torch device for `auto`, `cpu`, `cuda` or `cuda:1`.

    Raises:
        UsageError: the name is unknown or the machine has no such device.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"device {name!r} is unknown: use auto, cpu, cuda or cuda:1") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device {name!r} is not on this machine ({torch.cuda.device_count()} CUDA devices): use auto")
    return device


def dtype_of(name: str, device: "torch.device") -> "torch.dtype":
    """The dtype of the layers; `auto` is bfloat16 where the device has matrix units for it, else float32.

    On CPUs only AMX counts: with AVX-512 alone bfloat16 products save little and casts cost more.
    """
    import torch

    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if device.type == "cpu" and torch.cpu._is_amx_tile_supported() else torch.float32
