"""Made artifacts on disk, addressed by a fingerprint of inputs, parameters and code version.

Each file is written aside and renamed; the manifest comes last. What has a manifest is complete: a rerun takes it as it
is, and a crashed run fills in what is missing.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from schemas.artifacts import ArtifactRef, State
from schemas.errors import DataError

if TYPE_CHECKING:
    import polars as pl

MANIFEST = "manifest.json"
_SOURCES = ("schemas", "expectations", "tasks")


def _plain(value: Any) -> Any:
    """What `fingerprint` hashes for a value; refuses what has no stable text."""
    if isinstance(value, ArtifactRef):
        return value.fingerprint
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no stable fingerprint")


def fingerprint(*parts: Any) -> str:
    """sha256 (hex) of JSON-able parts, pydantic models and references (by their own fingerprints)."""
    text = json.dumps(parts, default=_plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache
def code_version() -> str:
    """sha256 (hex) of our own sources: code that changed never takes an old artifact for its own."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for path in sorted(path for part in _SOURCES for path in (root / part).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Yields a path to write to, which becomes `path` in one rename; nothing is left behind on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text aside and renames it."""
    with aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_parquet(path: Path, frame: "pl.DataFrame") -> None:
    """Writes a frame as Parquet aside and renames it."""
    with aside(path) as temporary:
        frame.write_parquet(temporary, compression="lz4", statistics=False)


def link(source: Path, path: Path) -> None:
    """Puts a file that never changes at a second path: by hard link, or as a copy where the disk has none."""
    with aside(path) as temporary:
        try:
            temporary.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, temporary)


def folder(home: str, kind: str, digest: str) -> Path:
    """Where the artifact with this fingerprint lives, complete or not."""
    return Path(home) / "artifacts" / kind / digest[:24]


def find(home: str, kind: str, digest: str) -> ArtifactRef | None:
    """The complete artifact with this fingerprint, or None; a damaged one counts as missing and is made again."""
    place = folder(home, kind, digest)
    try:
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        intact = all((place / name).stat().st_size == size for name, size in manifest["files"].items())
    except (OSError, ValueError, KeyError):
        return None
    return ArtifactRef(**{**manifest["ref"], "path": str(place)}) if intact else None


def produce(home: str, kind: str, digest: str, write: Callable[[Path], dict[str, Any]]) -> ArtifactRef:
    """The artifact with this fingerprint, made by `write` unless it is there already.

    Args:
        home: The state folder.
        kind: What the artifact holds.
        digest: Its fingerprint.
        write: Fills the given folder and returns fields of `ArtifactRef` (rows, buckets, columns, meta).
    """
    if (found := find(home, kind, digest)) is not None:
        return found
    place = folder(home, kind, digest)
    place.mkdir(parents=True, exist_ok=True)
    ref = ArtifactRef(kind=kind, fingerprint=digest, path=str(place), **write(place))
    files = {
        path.relative_to(place).as_posix(): path.stat().st_size
        for path in sorted(place.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.name != MANIFEST
    }
    write_text(place / MANIFEST, json.dumps({"ref": ref.model_dump(mode="json"), "files": files}, indent=1))
    return ref


def save_state(place: Path, state: State) -> None:
    """Saves a State as `state.safetensors` and `state.json`."""
    import numpy as np
    from safetensors.numpy import save_file

    with aside(place / "state.safetensors") as temporary:
        save_file({name: np.ascontiguousarray(array) for name, array in state.arrays.items()}, temporary)
    write_text(place / "state.json", json.dumps(state.meta, ensure_ascii=False))


def content_of(place: Path) -> str:
    """sha256 (hex) of a saved State: equal states have equal content, whatever they were fitted on."""
    files = (place / "state.safetensors", place / "state.json")
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def load_state(ref: ArtifactRef) -> State:
    """Loads what `save_state` saved."""
    from safetensors.numpy import load_file

    place = Path(ref.path)
    if not (place / "state.json").exists():
        raise DataError(f"{place} holds no fitted state; delete the folder and run again")
    return State(load_file(place / "state.safetensors"), json.loads((place / "state.json").read_text(encoding="utf-8")))
