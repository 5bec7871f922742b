"""What a figure was measured on, and how much memory it took."""

from pathlib import Path


def processor():
    """Name and vector instruction sets of the processor, as Linux tells."""
    lines = dict(line.partition(":")[::2] for line in Path("/proc/cpuinfo").read_text().splitlines())
    told = {name.strip(): value.strip() for name, value in lines.items()}
    sets = [word for word in told.get("flags", "").split() if word.startswith(("avx", "amx", "fma"))]
    return f"{told.get('model name', 'unknown processor')}: {' '.join(sets)}"


def peak_gib():
    """High-water mark of this process; `getrusage` would tell a worker's parent's, if that was higher."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 2**20
