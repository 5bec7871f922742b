"""One file per encoder."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def tuned_fingerprint(frozen: str, sha256: str) -> str:
    """Fingerprint of an encoder whose weights were tuned, by that of the frozen one and the sum of what was tuned."""
    from tasks.encoders._base import fingerprint

    return fingerprint({"frozen": frozen, "tuned": sha256})


def weights_sum(arrays: "Mapping[str, np.ndarray]") -> str:
    """Sha256 (hex) of tuned weights: names, shapes and numbers."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {list(arrays[name].shape)} ".encode() + arrays[name].astype("<f4").tobytes())
    return digest.hexdigest()


def place(device: str = "auto") -> str:
    """Name of the torch device for `auto`, `cpu`, `cuda` or `cuda:1`.

    Raises:
        UsageError: the name is unknown or the machine has no such device.
    """
    from tasks.encoders._place import device_of

    return str(device_of(device))


def arithmetic(device: str = "auto") -> tuple[str, bool]:
    """Where an encoder would run, and whether bfloat16 is multiplied there rather than emulated.

    Raises:
        UsageError: the machine has no such device.
    """
    import torch

    from tasks.encoders._cpu import available, multiplies
    from tasks.encoders._place import device_of

    place = device_of(device)
    if place.type == "cuda":
        return f"{place} ({torch.cuda.get_device_name(place)})", torch.cuda.is_bf16_supported(including_emulation=False)
    return str(place), available() and multiplies(torch.bfloat16)
