"""Where a language model's folder lies, and what decides its vectors, read off the files without loading them."""

from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from schemas.errors import UsageError
from tasks.encoders import _engine
from tasks.encoders._base import LanguageModelConfig, fingerprint
from tasks.encoders._packaged import find, folder_of, home_of
from tasks.encoders._place import device_of, dtype_of
from tasks.encoders._safety import from_hub, sha256_of


def resolve(config: LanguageModelConfig) -> tuple[Path, str | None]:
    """The folder that a config's `model` means, and the sha256 its weights must have; None: any.

    A model is a folder, a packaged model, or a hub model at its revision.

    Raises:
        DataError: the model is not there.
        UsageError: the config names none, or a hub name without its revision.
    """
    if not config.model.strip():
        raise UsageError(f"encoder {config.kind} names no model: give a folder, or a hub name with its revision")  # type: ignore[attr-defined]
    folder = Path(config.model).expanduser()
    if folder.is_dir() or folder.is_absolute():
        return folder, config.sha256
    packaged = find(config.model)
    if packaged is None or config.revision is not None:
        return from_hub(config.model, config.revision, config.offline), config.sha256
    return folder_of(packaged, home_of(config.home)), packaged.sha256


Files = tuple[tuple[str, int, int], ...]


def files_of(folder: Path) -> Files:
    """Path, size and time of modification of every file below a folder: what changes when it is written to."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return tuple(sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found))


@lru_cache(maxsize=4)
def _hashes(folder: Path, files: Files) -> dict[str, str]:
    """Sha256 (hex) of each file; the slices of a run ask for the same ones."""
    return {Path(path).relative_to(folder).as_posix(): sha256_of(Path(path)) for path, _, _ in files}


def stamp(config: LanguageModelConfig, device: str) -> str:
    """Sha256 (hex) of all that an encoder's facts come from: config, bytes of the folder, device and libraries.

    Two loads with the same stamp give encoders with the same fingerprint, so that what is known of one is known of the
    other, at the price of hashing the files.

    Raises:
        DataError, UsageError: as `resolve`.
    """
    folder, _ = resolve(config)
    place = device_of(device)
    return fingerprint(
        {
            "config": config.model_dump(mode="json"),
            "files": _hashes(folder, files_of(folder)),
            "place": place.type,
            "dtype": str(dtype_of(config.dtype, place)),
            "engine": _engine.VERSION,
            "libraries": {name: version(name) for name in ("transformers", "tokenizers", "torch")},
        }
    )
