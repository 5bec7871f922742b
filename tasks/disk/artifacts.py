"""Made artifacts on disk, addressed by a fingerprint of inputs, parameters and code version.

Each file is written aside and renamed; the manifest, with the sums of all files, comes last. What has a manifest is
complete: a rerun takes it once its files are what was written, and makes it again where they are not. A crashed run
fills in what is missing.
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

from schemas.artifacts import BY_CONTENT, ArtifactRef, State
from schemas.errors import DataError
from tasks.disk.files import sealed, set_aside, sum_of, unsealed
from tasks.disk.lock import held

if TYPE_CHECKING:
    import polars as pl

MANIFEST = "manifest.json"
_SUMS = "sums"
_SOURCES = ("schemas", "expectations", "tasks")


def _plain(value: Any) -> Any:
    """What `fingerprint` hashes for a value; refuses what has no stable text."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", context=BY_CONTENT)
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
    """The complete artifact with this fingerprint, or None; a damaged one is told, set aside and counts as missing."""
    place = folder(home, kind, digest)
    found = _checked(place)
    if isinstance(found, str):
        with held(Path(home) / "artifacts" / ".lock"):  # whoever found it too may be making it again by now
            found = _checked(place)
            if isinstance(found, str):
                set_aside(place, found)
    return found if isinstance(found, ArtifactRef) else None


def at(home: str, place: str) -> ArtifactRef | None:
    """The artifact in a folder, relative to the state folder, where it is whole."""
    found = _checked(Path(home) / place)
    return found if isinstance(found, ArtifactRef) else None


def _checked(place: Path) -> ArtifactRef | str | None:
    """The artifact in a folder; what is wrong with it; or None where it was not finished.

    Manifests of earlier versions name no sums: their files are held against their sizes.
    """
    try:
        manifest = unsealed((place / MANIFEST).read_bytes())
        sums = manifest.get(_SUMS, {})
        for name, size in manifest["files"].items():
            path = place / name
            if not path.exists():
                return f"{name} is missing"
            if path.stat().st_size != size or sums.get(name) not in (None, sum_of(path)):
                return f"the content of {name} is not what was written"
        return ArtifactRef(**{**manifest["ref"], "path": str(place)})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} is not what was written"


def produce(home: str, kind: str, digest: str, write: Callable[[Path], dict[str, Any]]) -> ArtifactRef:
    """The artifact with this fingerprint, made by `write` unless it is there already, whole.

    Of two that need it at once, in whatever process, one makes it and the other waits.

    Args:
        home: The state folder.
        kind: What the artifact holds.
        digest: Its fingerprint.
        write: Fills the given folder and returns fields of `ArtifactRef` (rows, buckets, columns, meta).
    """
    if (found := find(home, kind, digest)) is not None:
        return found
    place = folder(home, kind, digest)
    with held(place.with_name(f".{place.name}.lock"), passing=True):
        return find(home, kind, digest) or _made(place, kind, digest, write)


def _made(place: Path, kind: str, digest: str, write: Callable[[Path], dict[str, Any]]) -> ArtifactRef:
    """Fills an artifact's folder; the manifest comes last."""
    place.mkdir(parents=True, exist_ok=True)
    ref = ArtifactRef(kind=kind, fingerprint=digest, path=str(place), **write(place))
    paths = {
        path.relative_to(place).as_posix(): path
        for path in sorted(place.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.name != MANIFEST
    }
    manifest = {
        "ref": ref.model_dump(mode="json", exclude={"path"}),  # the state folder may be moved
        "files": {name: path.stat().st_size for name, path in paths.items()},
        _SUMS: {name: sum_of(path) for name, path in paths.items()},
    }
    write_text(place / MANIFEST, sealed(manifest))
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

    facts = load_facts(ref)
    return State(load_file(Path(ref.path) / "state.safetensors"), facts)


def load_facts(ref: ArtifactRef) -> dict[str, Any]:
    """The facts of a saved State, whose arrays may be large."""
    path = Path(ref.path) / "state.json"
    if not path.exists():
        raise DataError(f"{path.parent} holds no fitted state; delete the folder and run again")
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts
