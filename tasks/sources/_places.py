"""Files of a source: found by name, glob or address, kept inside the root, opened as streams."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from schemas.errors import DataError, UsageError, did_you_mean
from schemas.secrets import redact, resolve_all

Format = Literal["csv", "parquet", "jsonl"]
_ENDINGS: Mapping[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_SHEETS = (".xlsx", ".xls", ".ods", ".numbers")
_PACKED = (".gz", ".zip")
_ZIP_METHODS = (0, 8, 12, 14)  # stored, deflate, bzip2, lzma
_BLOCK = 2**20  # bytes


@dataclass(frozen=True)
class Place:
    """One file.

    Attributes:
        name: What users are shown: the path below the root, or the address without its credentials.
        path: Local path, or the path within the file system of `protocol`.
        protocol: fsspec's name of the file system; None: local.
        options: fsspec's options, resolved only when the file is opened.
    """

    name: str
    path: str
    protocol: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def file_system(self) -> Any:
        """fsspec's file system of a remote file."""
        import fsspec

        return fsspec.filesystem(self.protocol, **resolve_all(self.options))

    @property
    def format(self) -> Format:
        """The format that the ending tells.

        Raises:
            UsageError: the ending tells none.
        """
        suffixes = [suffix.lower() for suffix in Path(self.path).suffixes]
        for suffix in reversed(suffixes):
            if suffix not in _PACKED:
                if suffix in _ENDINGS:
                    return _ENDINGS[suffix]
                break
        if suffixes and suffixes[-1] in _SHEETS:
            raise UsageError(f"{self.name} is a spreadsheet; save the sheet as CSV")
        raise UsageError(f"{self.name}: cannot tell the format by this ending; set format: csv, parquet or jsonl")

    @property
    def plain(self) -> bool:
        """Whether it is a local file that is not compressed."""
        return self.protocol is None and Path(self.path).suffix.lower() not in _PACKED


def find(paths: str | tuple[str, ...], root: str, options: Mapping[str, str]) -> list[Place]:
    """The files that paths, globs and addresses name, in order and each once.

    Raises:
        DataError: nothing is there, or a directory is.
        UsageError: a path leaves the root, or cannot be one.
    """
    found: dict[str, Place] = {}
    for path in (paths,) if isinstance(paths, str) else paths:
        path = path.removeprefix("file://")
        places = _remote(path, options) if "://" in path else _local(path, Path(root))
        found.update({place.name: place for place in places})
    return list(found.values())


def _local(path: str, root: Path) -> list[Place]:
    """Local files of one path or glob, none outside the root (symbolic links followed)."""
    given, root = root, root.expanduser().resolve()
    if not root.is_dir():
        raise UsageError(f"the source's root is not a folder: {given}; in a config file it is relative to that file")
    base = Path(path).expanduser()
    pattern = base.relative_to(root) if base.is_absolute() and base.is_relative_to(root) else base
    if pattern.is_absolute() or ".." in pattern.parts:
        raise UsageError(f"{path} leaves the source's root; move the file below it, or set root")
    exact = root / pattern
    try:
        globbed = any(letter in path for letter in "*?[") and not exact.exists()
        hits = sorted(hit for hit in root.glob(str(pattern)) if hit.is_file()) if globbed else [exact]
        found = [_checked(hit, root) for hit in hits]
    except (ValueError, OSError) as error:
        raise UsageError(f"{path[:80]!r} cannot be a path: {str(error)[:80]}") from None
    if not found:
        raise DataError(f"no file matches {path} below the source's root")
    return found


def _checked(path: Path, root: Path) -> Place:
    """A local file as a place, if it is a file inside the root."""
    name = path.relative_to(root).as_posix()
    if not path.resolve().is_relative_to(root):
        raise UsageError(f"{name} is a link that leaves the source's root")
    if path.is_dir():
        raise DataError(f"{name} is a directory; name a file in it, or a glob such as {name}/*.parquet")
    if not path.exists():
        near = ", ".join(sorted(p.name for p in path.parent.glob("*"))[:5]) if path.parent.is_dir() else ""
        raise DataError(f"{name} does not exist below the source's root" + (f"; there are {near}" if near else ""))
    if not path.is_file():
        raise DataError(f"{name} is no ordinary file, such as a pipe; name a file")
    return Place(name, str(path))


def _remote(path: str, options: Mapping[str, str]) -> list[Place]:
    """Files of one fsspec address, which may be a glob."""
    import fsspec
    import fsspec.implementations.local

    protocol, _, rest = path.partition("://")
    shown = f"{protocol[:40]}://{rest.rpartition('@')[2].partition('?')[0]}"
    if "::" not in path and protocol not in (known := fsspec.available_protocols()):
        near = did_you_mean(
            protocol, [f"{one}://" for one in known], "name a file below the root, or an address such as s3://"
        )
        raise UsageError(f"{shown}: there is no kind of address {protocol[:40]}://; {near}")
    try:
        system, inner = fsspec.core.url_to_fs(path, **resolve_all(options))
        hits = sorted(system.glob(inner)) if any(letter in inner for letter in "*?[") else [inner]
        if hits == [inner] and system.isdir(inner):
            raise DataError(f"{shown} is a directory; name a file in it, or a glob")
        if "::" in path or isinstance(system, fsspec.implementations.local.LocalFileSystem):
            raise UsageError(f"{shown}: local files are named by paths below the source's root")
    except (OSError, ValueError, ImportError) as error:
        raise DataError(f"{shown}: {redact(str(error), *options.values())}") from None
    if not hits:
        raise DataError(f"no file matches {shown}")
    return [Place(f"{protocol}://{str(hit).lstrip('/')}", str(hit), protocol, options) for hit in hits]


@contextmanager
def opened(place: Place, offset: int = 0) -> "Iterator[BinaryIO]":
    """The file's content as a stream, unpacked where it is .gz or .zip (of one file).

    Raises:
        DataError: the file is missing, truncated or damaged.
    """
    import gzip
    import zipfile
    import zlib

    suffix = Path(place.path).suffix.lower()
    try:
        with Path(place.path).open("rb") if place.protocol is None else place.file_system().open(place.path) as raw:
            if suffix == ".gz":
                yield cast(BinaryIO, gzip.GzipFile(fileobj=raw))
            elif suffix == ".zip":
                with zipfile.ZipFile(raw) as archive, archive.open(_only_member(archive, place)) as member:
                    yield cast(BinaryIO, member)
            else:
                raw.seek(offset)
                yield raw
    except (EOFError, zlib.error, zipfile.BadZipFile, OSError) as error:
        words = redact(str(error), *place.options.values()).replace(place.path, place.name)
        raise DataError(f"{place.name} cannot be read, it may be truncated or damaged: {words}") from None


def _only_member(archive: Any, place: Place) -> str:
    """The one data file of a zip archive."""
    files = [info for info in archive.infolist() if not info.is_dir() and "__MACOSX" not in info.filename]
    if len(files) != 1:
        raise DataError(f"{place.name} holds {len(files)} files; it must hold exactly one")
    if files[0].flag_bits & 1:
        raise DataError(f"{place.name} is encrypted; unpack it, or pack it without a password")
    if files[0].compress_type not in _ZIP_METHODS:
        raise DataError(f"{place.name} is packed by a method that cannot be read; pack it as an ordinary zip")
    return str(files[0].filename)


def digest(path: Path, size: int) -> str:
    """Digest of the first `size` bytes, all of them: a sample would not see a row that was changed between."""
    seen = hashlib.sha256()
    with path.open("rb") as handle:
        while size > 0 and (block := handle.read(min(size, _BLOCK))):
            seen.update(block)
            size -= len(block)
    return seen.hexdigest()[:16]


def stamp(place: Place) -> str:
    """What changes when a file does: size, modification and, where local, a digest of its content."""
    if place.protocol is None:
        path = Path(place.path)
        status = path.stat()
        return f"{status.st_size}-{status.st_mtime_ns}-{digest(path, status.st_size)}"
    info = place.file_system().info(place.path)
    mark = next((info[name] for name in ("ETag", "etag", "LastModified", "mtime", "created") if name in info), "")
    return f"{info.get('size')}-{mark}"


def grown_from(place: Place, earlier: str) -> int | None:
    """Bytes that the file had at an earlier stamp, if since then it only grew at its end; else None."""
    parts = earlier.split("-")
    if not place.plain or len(parts) != 3:
        return None
    path, size = Path(place.path), int(parts[0])
    now = path.stat().st_size
    if now < size or digest(path, size) != parts[2]:
        return None
    with path.open("rb") as handle:
        handle.seek(max(0, size - 1))
        return size if size == 0 or handle.read(1) == b"\n" else None
