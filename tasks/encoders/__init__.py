"""One file per encoder."""


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
