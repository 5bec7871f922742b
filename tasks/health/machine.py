"""The machine: cores, memory, disk, and where language models run."""

import os
import shutil
from pathlib import Path

from schemas.health import Finding

GIB = 2**30
LITTLE_MEMORY, LITTLE_DISK, NO_DISK = 4 * GIB, 10 * GIB, GIB


def machine(home: str) -> list[Finding]:
    """Cores, memory and disk that this process may use, and the device of encoders."""
    return [_cores(), _memory(), _disk(home), *_device()]


def _cores() -> Finding:
    """Cores, by affinity and cgroup."""
    from dask.system import CPU_COUNT

    return Finding("cores", "fine", f"{CPU_COUNT} (set execution.workers to use them)")


def _memory() -> Finding:
    """Memory, by the machine, the cgroup and the process limit."""
    from distributed.system import MEMORY_LIMIT

    found = f"{MEMORY_LIMIT / GIB:.1f} GiB"
    if MEMORY_LIMIT >= LITTLE_MEMORY:
        return Finding("memory", "fine", found)
    return Finding(
        "memory", "note", found, "raise ingest.buckets, so that a bucket fits: half the memory for each worker"
    )


def _disk(home: str) -> Finding:
    """Free disk where the state folder is, or will be."""
    free = shutil.disk_usage(existing(home)).free
    state, remedy = "fine", ""
    if free < LITTLE_DISK:
        state, remedy = "wrong" if free < NO_DISK else "note", f"make room, or set FENQUN_HOME elsewhere than {home}"
    return Finding("disk", state, f"{free / GIB:.1f} GiB free at {existing(home)}", remedy)  # type: ignore[arg-type]


def existing(home: str) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    place = Path(home)
    return next(one for one in (place, *place.parents) if one.exists())


def _device() -> list[Finding]:
    """What `device: auto` means here."""
    from tasks.encoders import arithmetic

    device, multiplies = arithmetic()
    words = "multiplied natively" if multiplies else "emulated, by the same rounding in float32"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    told = f"{device}; CUDA_VISIBLE_DEVICES={hidden}" if hidden is not None else device
    return [Finding("device", "fine", told), Finding("bfloat16", "fine", words)]
